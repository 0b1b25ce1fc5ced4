//! A wait for a console to print something, in vain.

use std::time::Duration;

/// What was waited for did not come.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum ExpectError {
    #[error("the pattern {pattern:?} is not valid")]
    Pattern { pattern: String, source: regex::Error },
    #[error("the console printed nothing that matches {pattern:?} within {after:?}; its last lines:\n{last}")]
    Timeout { pattern: String, after: Duration, last: String },
    #[error("the console ended before it printed {pattern:?}; its last lines:\n{last}")]
    Ended { pattern: String, last: String },
}
