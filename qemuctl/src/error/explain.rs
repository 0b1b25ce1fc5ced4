//! Errors with their sources, in one line.

use std::error::Error as StdError;

/// Formats an error and its sources in one line. A source that the error's message contains already is not repeated.
#[must_use]
pub fn explain(error: &dyn StdError) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}
