//! What is wrong so far.

use super::Builder;
use crate::error::{Fault, Problem, short};
use crate::planner::at::At;
use crate::qemu_target::Version;

/// More problems than these nobody reads, and looking for what repeats among them would take ever longer.
const MOST: usize = 500;

impl Builder<'_> {
    pub(crate) fn fault(&mut self, at: At<'_>, fault: Fault) {
        if self.problems.len() >= MOST {
            return;
        }
        self.problems.push(Problem { path: at.path(), fault });
    }

    pub(crate) fn invalid(&mut self, at: At<'_>, value: &str, why: impl Into<String>) {
        self.fault(at, Fault::Invalid { value: short(value), why: why.into() });
    }

    pub(crate) fn conflict(&mut self, at: At<'_>, why: impl Into<String>) {
        self.fault(at, Fault::Conflict { why: why.into() });
    }

    /// Whether the target is at least `major.minor`; a problem that names `feature` if not.
    pub(crate) fn needs(&mut self, at: At<'_>, feature: &str, major: u32, minor: u32) -> bool {
        let since = Version::new(major, minor);
        let target = self.target.version;
        if target < since {
            self.fault(at, Fault::Needs { feature: feature.to_owned(), since, target });
        }
        target >= since
    }

    /// Whether the target is older than `major.minor`.
    pub(crate) fn before(&self, major: u32, minor: u32) -> bool {
        self.target.version < Version::new(major, minor)
    }

    pub(crate) fn not_here(&mut self, at: At<'_>, feature: &str, hint: &'static str) {
        let machine = self.board.kind.clone();
        self.fault(at, Fault::NotOnMachine { feature: feature.to_owned(), machine, hint });
    }
}
