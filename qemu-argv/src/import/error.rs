//! Why a command line cannot be read.

use super::bag::short;
use crate::render::redact;

/// A command line that QEMU would not take either, or a script that is more than a command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argument {index} ({argument:?}): {why}")]
#[non_exhaustive]
pub struct ImportError {
    /// The place of the argument in the command line; the program is number 0.
    pub index: usize,
    /// The argument, cut where it is very long, without what looks like a password.
    pub argument: String,
    /// What is wrong with it, and what to do.
    pub why: String,
}

impl ImportError {
    pub(super) fn new(index: usize, argument: &str, why: impl Into<String>) -> Self {
        Self { index, argument: short(&redact(argument)), why: why.into() }
    }
}
