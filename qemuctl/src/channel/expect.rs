//! Waiting for console output that matches a pattern.

use std::time::Duration;

use regex::bytes::Regex;
use tokio::time::timeout;

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
    /// # Errors
    ///
    /// [`ExpectError`] contains what was printed instead.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: output that did not match is searched again.
    pub async fn expect(&mut self, pattern: &str, within: Duration) -> Result<Match, ExpectError> {
        let regex = Regex::new(pattern)
            .map_err(|source| ExpectError::Pattern { pattern: pattern.to_owned(), source })?;
        let found = timeout(within, async {
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
                Err(ExpectError::Timeout { pattern: pattern.to_owned(), after: within, last: self.last() })
            }
        }
    }

    fn take_match(&mut self, regex: &Regex) -> Option<Match> {
        let surplus = self.ahead.len().saturating_sub(LOOK_BACK);
        self.ahead.drain(..surplus);
        let captures = regex.captures(&self.ahead)?;
        let whole = captures.get(0)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let expected = Match {
            before: text(&self.ahead[..whole.start()]),
            groups: captures
                .iter()
                .map(|group| group.map_or_else(String::new, |group| text(group.as_bytes())))
                .collect(),
        };
        let end = whole.end();
        self.ahead.drain(..end);
        Some(expected)
    }

    fn last(&self) -> String {
        let text = String::from_utf8_lossy(&self.ahead);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}
