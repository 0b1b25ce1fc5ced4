//! The error of waiting for console output.

use std::time::Duration;

/// The expected output did not appear.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum ExpectError {
    #[error("invalid pattern {pattern:?}: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("the console did not print {pattern:?} within {after:?}; its last lines:\n{last}")]
    Timeout { pattern: String, after: Duration, last: String },
    #[error("the console ended before it printed {pattern:?}; its last lines:\n{last}")]
    Ended { pattern: String, last: String },
}
