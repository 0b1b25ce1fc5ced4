//! Reasons, and texts in them.

/// Why something has no typed field.
pub(super) type Why = String;

/// A text for a message, of a readable length.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
