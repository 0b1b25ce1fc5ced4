//! Why something cannot be used, and how to fix it.

use std::fmt;

/// Why something cannot be used, with advice.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Obstacle {
    /// The reason.
    pub why: String,
    /// How to fix it, such as a command.
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
