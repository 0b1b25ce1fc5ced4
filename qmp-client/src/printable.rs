//! Text that somebody else wrote, made fit for a terminal.

use std::fmt::{self, Write};

/// A text of a guest's, a peer's or a file's, printed without what a terminal obeys: control characters, escape sequences, and
/// characters that change the direction of writing. Each stands as `U+FFFD`.
///
/// QEMU's error texts repeat what a guest's agent said, and a VM's or a file's name may be anything; a terminal takes what is
/// in them for orders: to set its title, to fill the clipboard, to show a line other than it is.
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
    /// The text in one line: an end of line in it is neutralised too.
    pub fn line(text: &'a str) -> Self {
        Self { text, keeps_lines: false }
    }

    /// The text with its lines.
    pub fn text(text: &'a str) -> Self {
        Self { text, keeps_lines: true }
    }

    /// Whether a terminal, or somebody who reads, could take the character for something else than text.
    pub fn is_obeyed(c: char) -> bool {
        match c {
            '\t' => false,
            // Marks, embeddings, overrides and isolates of the direction of writing; separators of lines and paragraphs.
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
