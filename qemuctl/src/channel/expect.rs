//! Waiting for console output that matches a pattern.

use std::time::Duration;

use regex_lite::Regex;

use super::ConsoleReader;
use crate::error::ExpectError;

/// The most output that is searched for a match, in bytes.
const LOOK_BACK: usize = 256 * 1024;

/// Output that matched a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Match {
    /// The output before the match, from the reader's position.
    pub before: String,
    /// The match, followed by its groups; a group that did not take part is empty.
    pub groups: Vec<String>,
}

impl ConsoleReader {
    /// Waits until the console prints output that matches `pattern`, and moves the position after it.
    ///
    /// The pattern is a regular expression in the syntax of the crate `regex`, with classes such as `\d` and `\w` of
    /// ASCII. Bytes that are not UTF-8 are searched as U+FFFD.
    ///
    /// # Errors
    ///
    /// [`ExpectError`] contains what was printed instead.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: output that did not match is searched again.
    pub async fn expect(&mut self, pattern: &str, timeout: Duration) -> Result<Match, ExpectError> {
        let regex = Regex::new(pattern).map_err(|error| ExpectError::Pattern {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        })?;
        let found = tokio::time::timeout(timeout, async {
            loop {
                if let Some(expected) = self.take_match(&regex) {
                    return Some(expected);
                }
                if !self.read_ahead().await {
                    return None;
                }
            }
        });
        match found.await {
            Ok(Some(expected)) => Ok(expected),
            Ok(None) => Err(ExpectError::Ended { pattern: pattern.to_owned(), last: self.last() }),
            Err(_) => {
                Err(ExpectError::Timeout { pattern: pattern.to_owned(), after: timeout, last: self.last() })
            }
        }
    }

    fn take_match(&mut self, regex: &Regex) -> Option<Match> {
        let surplus = self.ahead.len().saturating_sub(LOOK_BACK);
        self.ahead.drain(..surplus);
        let output = String::from_utf8_lossy(&self.ahead[..complete(&self.ahead)]);
        let captures = regex.captures(&output)?;
        let whole = captures.get(0)?;
        let expected = Match {
            before: output[..whole.start()].to_owned(),
            groups: captures
                .iter()
                .map(|group| group.map_or_else(String::new, |group| group.as_str().to_owned()))
                .collect(),
        };
        let end = bytes_of(&self.ahead, whole.end());
        self.ahead.drain(..end);
        Some(expected)
    }

    fn last(&self) -> String {
        let text = String::from_utf8_lossy(&self.ahead);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

/// How many bytes there are before a character whose rest has not arrived.
fn complete(bytes: &[u8]) -> usize {
    let begins = bytes.iter().rev().take(3).position(|byte| *byte & 0xc0 != 0x80);
    let Some(at) = begins.map(|back| bytes.len() - 1 - back) else { return bytes.len() };
    let needed = match bytes[at] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if bytes.len() - at < needed { at } else { bytes.len() }
}

/// How many of `bytes` the first `length` bytes of their lossy text stand for.
fn bytes_of(bytes: &[u8], length: usize) -> usize {
    let (mut left, mut read) = (length, 0);
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid().len();
        if left <= valid {
            return read + left;
        }
        left -= valid;
        read += valid;
        left = left.saturating_sub(char::REPLACEMENT_CHARACTER.len_utf8());
        read += chunk.invalid().len();
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_character_waits_for_its_rest() {
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"a", 1),
            ("ä".as_bytes(), 2),
            (b"a\xc3", 1),
            (b"a\xe2\x82", 1),
            (b"a\xf0\x9f\x98", 1),
            ("a😀".as_bytes(), 5),
            (b"a\xff", 2),
            (b"\x80\x80\x80", 3),
        ] {
            assert_eq!(complete(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn lossy_text_is_counted_in_the_bytes_it_came_from() {
        let bytes = b"a\xff\xc3\xa4\xe2\x82b";
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(text, "a\u{fffd}ä\u{fffd}b");
        for (length, expected) in [(0, 0), (1, 1), (4, 2), (6, 4), (9, 6), (10, 7)] {
            assert_eq!(bytes_of(bytes, length), expected, "{length}");
        }
    }
}
