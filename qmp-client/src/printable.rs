//! Untrusted text, made safe for a terminal.

use std::fmt::{self, Write};

/// Prints untrusted text of a guest, a peer or a file without control characters, escape sequences, and characters that
/// change the writing direction. Each is replaced by `U+FFFD`.
///
/// QEMU's error messages may quote a guest agent, and a VM or file may have any name. Control sequences in them could
/// set the terminal's title, fill the clipboard, or disguise text.
///
/// ```
/// use qmp_client::Printable;
///
/// let said = "no such file\x1b]52;c;cm0=\x07\nerror: none";
/// assert_eq!(Printable::line(said).to_string(), "no such file\u{fffd}]52;c;cm0=\u{fffd}\u{fffd}error: none");
/// assert_eq!(Printable::text("two\nlines\u{202e}").to_string(), "two\nlines\u{fffd}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a> {
    text: &'a str,
    keeps_lines: bool,
}

impl<'a> Printable<'a> {
    /// Prints the text in one line: newlines are replaced, too.
    pub fn line(text: &'a str) -> Self {
        Self { text, keeps_lines: false }
    }

    /// Prints the text with its newlines.
    pub fn text(text: &'a str) -> Self {
        Self { text, keeps_lines: true }
    }

    /// Whether a terminal or a reader could take the character for something other than text.
    pub fn is_obeyed(c: char) -> bool {
        match c {
            '\t' => false,
            // Directional marks, embeddings, overrides and isolates; line and paragraph separators.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => true,
            c => c.is_control(),
        }
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.text;
        while let Some(at) = rest.find(|c| Self::is_obeyed(c) && !(self.keeps_lines && c == '\n')) {
            let (plain, from) = rest.split_at(at);
            f.write_str(plain)?;
            f.write_char(char::REPLACEMENT_CHARACTER)?;
            let mut chars = from.chars();
            chars.next();
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_replaced_and_the_rest_is_kept() {
        let kept = "Größe 10\tµs – “日本” 🦀 \u{a0}";
        assert_eq!(Printable::line(kept).to_string(), kept);
        assert_eq!(Printable::text("a\nb\n").to_string(), "a\nb\n");
        let obeyed = "\0\x07\x08\r\x1b\x7f\u{85}\u{9b}\u{9d}\u{202a}\u{202e}\u{2066}\u{2069}\u{200f}\u{2029}";
        let all = "\u{fffd}".repeat(obeyed.chars().count());
        assert_eq!(Printable::line(obeyed).to_string(), all);
        assert_eq!(Printable::text(obeyed).to_string(), all);
        assert_eq!(Printable::line("a\nb").to_string(), "a\u{fffd}b");
    }
}
