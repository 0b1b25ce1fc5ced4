//! Why a machine cannot be planned: every problem at once, each with its place in the configuration.

use std::fmt::{self, Write as _};

use crate::plan::topology::TopologyError;
use crate::target::Version;

/// Everything that is wrong with a configuration, for the QEMU it was planned for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanError {
    /// The problems, in the order of the configuration. Never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(formatter, "cannot plan the machine: {only}"),
            many => {
                write!(formatter, "cannot plan the machine, {} problems:", many.len())?;
                many.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for PlanError {}

/// One problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where in the configuration, such as `disks[1].throttle.group`.
    pub path: String,
    /// What is wrong there.
    pub fault: Fault,
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

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum Fault {
    #[error("{feature} needs QEMU ≥ {}.{}, target is {target}", since.major, since.minor)]
    Needs { feature: String, since: Version, target: Version },
    #[error("{feature} is gone since QEMU {}.{}, target is {target}; {instead}", removed.major, removed.minor)]
    Gone { feature: String, removed: Version, target: Version, instead: &'static str },
    #[error("this QEMU was built without {feature}")]
    NotBuilt { feature: String },
    #[error("{feature} does not exist on machine {machine}{hint}")]
    NotOnMachine { feature: String, machine: String, hint: &'static str },
    #[error("no {kind} has the id {id:?}; {known}")]
    UnknownReference { kind: &'static str, id: String, known: String },
    #[error("{what} {value:?} is used already by {first}")]
    Duplicate { what: &'static str, value: String, first: String },
    #[error("{value:?} {why}")]
    Invalid { value: String, why: String },
    #[error("{why}")]
    Conflict { why: String },
    #[error("{what} is missing")]
    Missing { what: String },
    #[error(
        "the path {path:?} is not UTF-8, and QEMU takes this one only as text; rename the file or link to it"
    )]
    NotUtf8 { path: String },
    #[error(transparent)]
    NoPlace(#[from] TopologyError),
}

/// A place in the configuration: cheap to build on every step down, printed only when something is wrong there.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    parent: Option<&'a At<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl<'a> At<'a> {
    /// The configuration as a whole.
    pub(crate) const ROOT: At<'static> = At { parent: None, name: "", index: None };

    /// A field of this place.
    pub(crate) fn field(&'a self, name: &'a str) -> At<'a> {
        At { parent: Some(self), name, index: None }
    }

    /// An element of a list field of this place.
    pub(crate) fn item(&'a self, name: &'a str, index: usize) -> At<'a> {
        At { parent: Some(self), name, index: Some(index) }
    }

    fn write(&self, out: &mut String) {
        if let Some(parent) = self.parent.filter(|parent| !parent.name.is_empty()) {
            parent.write(out);
            out.push('.');
        }
        out.push_str(self.name);
        if let Some(index) = self.index {
            // Writing to a String cannot fail.
            let _ = write!(out, "[{index}]");
        }
    }

    /// The place as a reader would write it, such as `disks[1].throttle`.
    pub(crate) fn path(&self) -> String {
        let mut out = String::with_capacity(32);
        self.write(&mut out);
        out
    }
}

/// `text` shortened for an error message: a hostile value must not flood a terminal.
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
    fn places_print_as_a_reader_would_write_them() {
        let root = At::ROOT;
        let disk = root.item("disks", 1);
        let throttle = disk.field("throttle");
        assert_eq!(throttle.field("group").path(), "disks[1].throttle.group");
        assert_eq!(root.path(), "");
    }

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
        let line = "networks[0]: netdev passt needs QEMU ≥ 10.1, target is 7.2.22";
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
