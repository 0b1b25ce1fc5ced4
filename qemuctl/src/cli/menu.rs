//! The menu of the console: an escape key followed by a command key.

/// Divides typed keys between the guest and the menu.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Menu {
    escape: u8,
    is_open: bool,
}

/// The result of typed keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice<'a> {
    /// Keys for the guest.
    Type(&'a [u8]),
    /// The menu was opened.
    Open,
    /// Ask the guest to shut down.
    Stop,
    /// Kill QEMU.
    Kill,
    /// Close the menu.
    Continue,
    /// Show help; the menu stays open.
    Help,
}

const CTRL_C: u8 = 3;
const ESC: u8 = 0x1b;

impl Menu {
    pub(crate) fn new(escape: u8) -> Self {
        Self { escape, is_open: false }
    }

    /// Returns the name of the escape key.
    pub(crate) fn key(self) -> String {
        format!("Ctrl-{}", char::from(self.escape + b'@'))
    }

    /// Returns the menu as one line.
    pub(crate) fn line(self, vm: &str) -> String {
        format!("{vm}: s stop, k kill, c continue, {0} send {0}, ? help", self.key())
    }

    /// Returns a description of each key.
    pub(crate) fn help(self) -> Vec<String> {
        let escape = self.key();
        vec![
            "s       ask the guest to shut down; repeated: stop QEMU, then kill it".to_owned(),
            "k       kill QEMU at once, like a power cut".to_owned(),
            "c       return to the guest (also Enter and Esc)".to_owned(),
            format!("{escape:<7} send {escape} to the guest"),
        ]
    }

    /// Processes the next keys.
    pub(crate) fn read<'a>(&mut self, mut typed: &'a [u8]) -> Vec<Choice<'a>> {
        let mut choices = Vec::new();
        while let Some(&key) = typed.first() {
            if !self.is_open {
                let end = typed.iter().position(|&key| key == self.escape).unwrap_or(typed.len());
                let (text, rest) = typed.split_at(end);
                if !text.is_empty() {
                    choices.push(Choice::Type(text));
                }
                typed = rest;
                if let Some(rest) = typed.get(1..) {
                    typed = rest;
                    self.is_open = true;
                    choices.push(Choice::Open);
                }
                continue;
            }
            if let Some(length) = report(typed) {
                let (this, rest) = typed.split_at(length);
                choices.push(Choice::Type(this));
                typed = rest;
                continue;
            }
            let (this, rest) = typed.split_at(1);
            typed = rest;
            let choice = match key {
                key if key == self.escape => Choice::Type(this),
                b's' | b'S' | CTRL_C => Choice::Stop,
                b'k' | b'K' => Choice::Kill,
                b'c' | b'C' | b'\r' | b'\n' => Choice::Continue,
                ESC => {
                    // Skip the rest of an escape sequence, as sent by arrow keys.
                    typed = &[];
                    Choice::Continue
                }
                _ => Choice::Help,
            };
            self.is_open = choice == Choice::Help;
            choices.push(choice);
        }
        choices
    }
}

/// Returns the length of a terminal's own answer to the guest, such as its cursor position. Shells request it with each
/// prompt, so it must not be taken for typed keys.
fn report(typed: &[u8]) -> Option<usize> {
    let rest = typed.strip_prefix(b"\x1b[")?;
    let end = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b'?' | b'>'))?;
    matches!(rest[end], b'R' | b'c' | b'n').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::{Choice, Menu};

    #[test]
    fn what_the_terminal_answers_goes_to_the_guest_and_leaves_the_menu_open() {
        let mut menu = Menu::new(1);
        let report = b"\x1b[24;80R";
        assert_eq!(menu.read(b"\x01"), [Choice::Open]);
        assert_eq!(menu.read(report), [Choice::Type(report)]);
        assert_eq!(menu.read(b"\x1b[?1;2ck"), [Choice::Type(b"\x1b[?1;2c"), Choice::Kill]);
        for key in [&b"\x1b"[..], b"\x1b[", b"\x1b[24;80", b"\x1b[3~", b"\x1b[1;5C"] {
            assert_eq!(menu.read(b"\x01"), [Choice::Open]);
            assert_eq!(menu.read(key), [Choice::Continue], "{key:?}");
        }
    }

    #[test]
    fn keys_go_to_the_guest_until_the_menu_is_opened() {
        let mut menu = Menu::new(0x1d);
        assert_eq!(menu.read(b"ls\r\x03"), [Choice::Type(b"ls\r\x03")]);
        assert_eq!(
            menu.read(b"a\x1dsb"),
            [Choice::Type(b"a"), Choice::Open, Choice::Stop, Choice::Type(b"b")]
        );
        assert_eq!(menu.read(b"\x1d"), [Choice::Open]);
        assert_eq!(menu.read(b"x"), [Choice::Help]);
        assert_eq!(menu.read(b"?"), [Choice::Help]);
        assert_eq!(menu.read(b"\x1b[A"), [Choice::Continue]);
        assert_eq!(menu.read(b"\x1d\x1d."), [Choice::Open, Choice::Type(b"\x1d"), Choice::Type(b".")]);
        assert_eq!(menu.read(b"\x1dk\x1d\x03"), [Choice::Open, Choice::Kill, Choice::Open, Choice::Stop]);
        assert_eq!(menu.read(b"\x1dc"), [Choice::Open, Choice::Continue]);
        assert_eq!(menu.read(b""), []);
        assert_eq!(menu.line("vm"), "vm: s stop, k kill, c continue, Ctrl-] send Ctrl-], ? help");
    }
}
