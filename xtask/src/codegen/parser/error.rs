//! What is wrong with a schema file, and where.

/// A malformed schema.
#[derive(Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub file: String,
    pub line: usize,
    pub expected: String,
    pub found: String,
}

impl std::fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: expected {}, found {}", self.file, self.line, self.expected, self.found)
    }
}

impl std::error::Error for SyntaxError {}

pub fn fail<T>(
    file: &str,
    line: usize,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Result<T, SyntaxError> {
    Err(SyntaxError { file: file.into(), line, expected: expected.into(), found: found.into() })
}
