//! Something that stands in the way, and what would clear it.

use std::fmt;

/// Why something cannot be used, in words that a user can act on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Obstacle {
    /// What is in the way.
    pub why: String,
    /// What would help, such as a command to type.
    pub remedy: Option<String>,
}

impl Obstacle {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: None }
    }

    pub(crate) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.why)?;
        match &self.remedy {
            Some(remedy) => write!(formatter, " (help: {remedy})"),
            None => Ok(()),
        }
    }
}
