//! The US keyboard layout.

/// Returns the keys to press for a character, by QEMU's names.
pub(super) fn stroke(letter: char) -> Option<Vec<&'static str>> {
    let plain = |key| Some(vec![key]);
    let shifted = |key| Some(vec!["shift", key]);
    if letter.is_ascii_lowercase() || letter.is_ascii_digit() {
        return plain(same(letter)?);
    }
    if letter.is_ascii_uppercase() {
        return shifted(same(letter.to_ascii_lowercase())?);
    }
    SYMBOLS.iter().find_map(|&(key, low, high)| {
        if letter == low {
            plain(key)
        } else if Some(letter) == high {
            shifted(key)
        } else {
            None
        }
    })
}

/// Translates a common key name to QEMU's, ignoring case. Other names are returned unchanged.
pub(super) fn canonical(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let known = match name.as_str() {
        "enter" | "return" => "ret",
        "space" => "spc",
        "escape" => "esc",
        "del" => "delete",
        "ins" => "insert",
        "control" => "ctrl",
        "pageup" | "page_up" => "pgup",
        "pagedown" | "page_down" => "pgdn",
        "win" | "super" | "meta" => "meta_l",
        "altgr" => "alt_r",
        _ => return name,
    };
    known.to_owned()
}

fn same(letter: char) -> Option<&'static str> {
    const NAMES: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
    let at = NAMES.find(letter)?;
    NAMES.get(at..=at)
}

/// A key, its character, and its character with shift.
const SYMBOLS: &[(&str, char, Option<char>)] = &[
    ("spc", ' ', None),
    ("ret", '\n', None),
    ("tab", '\t', None),
    ("1", '1', Some('!')),
    ("2", '2', Some('@')),
    ("3", '3', Some('#')),
    ("4", '4', Some('$')),
    ("5", '5', Some('%')),
    ("6", '6', Some('^')),
    ("7", '7', Some('&')),
    ("8", '8', Some('*')),
    ("9", '9', Some('(')),
    ("0", '0', Some(')')),
    ("minus", '-', Some('_')),
    ("equal", '=', Some('+')),
    ("bracket_left", '[', Some('{')),
    ("bracket_right", ']', Some('}')),
    ("backslash", '\\', Some('|')),
    ("semicolon", ';', Some(':')),
    ("apostrophe", '\'', Some('"')),
    ("grave_accent", '`', Some('~')),
    ("comma", ',', Some('<')),
    ("dot", '.', Some('>')),
    ("slash", '/', Some('?')),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_ascii_character_has_keys() {
        for letter in (' '..='~').chain(['\n', '\t']) {
            assert!(stroke(letter).is_some(), "{letter:?}");
        }
        assert_eq!(stroke('a'), Some(vec!["a"]));
        assert_eq!(stroke('Z'), Some(vec!["shift", "z"]));
        assert_eq!(stroke('?'), Some(vec!["shift", "slash"]));
        assert_eq!(stroke('7'), Some(vec!["7"]));
        assert_eq!(stroke('é'), None);
    }
}
