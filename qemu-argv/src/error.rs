//! Why a machine cannot be planned: all problems at once, each with its place in the config.

use std::fmt;

use crate::qemu_target::Version;
use crate::topology::TopologyError;

/// All problems of a config, for the QEMU it was planned for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanError {
    /// The problems, in the order of the config. At least one, at most 500.
    pub problems: Vec<Problem>,
}

impl PlanError {
    /// Makes an error of problems that a launcher found, such as an image of another format. `problems` must not be
    /// empty.
    pub fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(formatter, "cannot plan the machine: {only}"),
            many => {
                write!(formatter, "cannot plan the machine, {} problems:", many.len())?;
                many.iter().take(MOST).try_for_each(|problem| write!(formatter, "\n  {problem}"))?;
                match many.len().saturating_sub(MOST) {
                    0 => Ok(()),
                    more => write!(formatter, "\n  and {more} more"),
                }
            }
        }
    }
}

impl std::error::Error for PlanError {}

/// The most problems that are printed; further ones are only counted.
const MOST: usize = 50;

/// One problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The place in the config, such as `disks[1].throttle.group`.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
}

impl Problem {
    /// Makes a problem of the config field `path`.
    pub fn new(path: impl Into<String>, fault: Fault) -> Self {
        Self { path: path.into(), fault }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(formatter, "{}", self.fault)
        } else {
            write!(formatter, "{}: {}", self.path, self.fault)
        }
    }
}

/// The kinds of problems.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum Fault {
    #[error("{feature} requires QEMU {}.{} or later, this is {target}", since.major, since.minor)]
    Needs { feature: String, since: Version, target: Version },
    #[error("{feature} was removed in QEMU {}.{}, this is {target}; {instead}", removed.major, removed.minor)]
    Gone { feature: String, removed: Version, target: Version, instead: &'static str },
    #[error("this QEMU was built without {feature}")]
    NotBuilt { feature: String },
    #[error("{feature} is not supported by machine {machine}{hint}")]
    NotOnMachine { feature: String, machine: String, hint: &'static str },
    #[error("no {kind} has the id {id:?}; {known}")]
    UnknownReference { kind: &'static str, id: String, known: String },
    #[error("no secret has the id given here; {known}")]
    UnknownSecret { known: String },
    #[error("{what} {value:?} is already used by {first}")]
    Duplicate { what: &'static str, value: String, first: String },
    #[error("{value:?} {why}")]
    Invalid { value: String, why: String },
    #[error("{why}")]
    Conflict { why: String },
    #[error("{what} is missing")]
    Missing { what: String },
    #[error(
        "the path {path:?} is not UTF-8, which QEMU requires here; rename the file or create a link to it"
    )]
    NotUtf8 { path: String },
    #[error(transparent)]
    NoPlace(#[from] TopologyError),
}

/// Shortens `text` for an error message, so that a hostile value cannot flood a terminal.
pub(crate) fn short(text: &str) -> String {
    const KEEP: usize = 80;
    match text.char_indices().nth(KEEP) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_is_one_line_and_many_are_a_list() {
        let problem = Problem {
            path: "networks[0]".into(),
            fault: Fault::Needs {
                feature: "netdev passt".into(),
                since: Version::new(10, 1),
                target: Version { major: 7, minor: 2, micro: 22 },
            },
        };
        let line = "networks[0]: netdev passt requires QEMU 10.1 or later, this is 7.2.22";
        assert_eq!(
            PlanError { problems: vec![problem.clone()] }.to_string(),
            format!("cannot plan the machine: {line}")
        );
        assert_eq!(
            PlanError { problems: vec![problem.clone(), problem] }.to_string(),
            format!("cannot plan the machine, 2 problems:\n  {line}\n  {line}")
        );
    }
}
