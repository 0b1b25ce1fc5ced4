//! `cargo xtask schema verify`: what a live QEMU has that the types lack, and the other way round.

use std::path::Path;

use anyhow::{Result, bail};

use super::compare::{Finding, compare};
use super::introspect::{self, Live};
use super::merge::merge;
use super::merged::Merged;
use super::store::{self, Dialect};

/// The merged QMP schema that the types are made from.
pub fn merged() -> Result<Merged> {
    merge(store::read_all(Dialect::Qmp)?)
}

/// Asks `qemu` and prints what was found.
pub fn run(qemu: &Path) -> Result<()> {
    let live = introspect::ask(qemu)?;
    let report = report(&merged()?, &live);
    println!("{}: QEMU {}", qemu.display(), live.version);
    for line in report.problems.iter().chain(&report.extra) {
        println!("  {line}");
    }
    println!("  {}", report.sum);
    if !report.problems.is_empty() {
        bail!("the types do not cover QEMU {}: import its schema or run `schema learn`", live.version);
    }
    Ok(())
}

/// What a comparison tells a reader.
pub struct Report {
    /// What a value of this QEMU could carry that the types lose or refuse.
    pub problems: Vec<String>,
    /// What other releases or builds have.
    pub extra: Vec<String>,
    pub sum: String,
}

pub fn report(merged: &Merged, live: &Live) -> Report {
    let mut report = Report { problems: Vec::new(), extra: Vec::new(), sum: String::new() };
    let (mut commands, mut events, mut members, mut other) = (0, 0, 0, 0);
    for finding in compare(merged, live).findings {
        match finding {
            Finding::Features { .. } => continue,
            Finding::Extra(what) => {
                report.extra.push(format!("not in this QEMU: {what}"));
                continue;
            }
            Finding::MissingCommand(_) => commands += 1,
            Finding::MissingEvent(_) => events += 1,
            Finding::MissingMember { .. }
            | Finding::MissingWord { .. }
            | Finding::MissingBranch { .. }
            | Finding::MissingReply { .. } => members += 1,
            Finding::Mismatch { .. } | Finding::TooStrict { .. } => other += 1,
        }
        report.problems.push(format!("{finding:?}"));
    }
    report.sum = format!(
        "{commands} missing commands, {events} missing events, {members} missing members, {other} of another \
         kind; of {} commands and {} events",
        live.commands.len(),
        live.events.len()
    );
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places;

    #[test]
    fn the_types_cover_every_installed_qemu() {
        let merged = merged().expect("facts");
        let qemus = places::qemus().expect("a place for QEMUs");
        let mut problems = Vec::new();
        for version in store::RELEASES {
            for arch in ["x86_64", "aarch64"] {
                let qemu = qemus.join(version).join("bin").join(format!("qemu-system-{arch}"));
                assert!(qemu.exists(), "{} is missing: run `cargo xtask qemus`", qemu.display());
                let live = introspect::ask(&qemu).expect("the schema");
                problems.extend(
                    report(&merged, &live)
                        .problems
                        .into_iter()
                        .map(|problem| format!("{version} {arch}: {problem}")),
                );
            }
        }
        assert_eq!(problems, Vec::<String>::new());
    }
}
