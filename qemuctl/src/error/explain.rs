//! Errors with all that caused them.

use std::error::Error as StdError;

/// An error and everything that caused it, in one line. A cause that the error tells itself is not repeated.
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
