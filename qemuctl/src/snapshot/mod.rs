//! Snapshots of a machine: the state of all its disks, and of its memory if it runs, at one instant.
//!
//! They are kept in the machine's qcow2 images and nowhere else, so that they survive any crash, and are the same for a
//! machine that runs ([`Instance::create_snapshot`](crate::Instance::create_snapshot)) and for one that is off
//! ([`DiskSet`]). Every writable disk takes part; one in a format without snapshots, such as raw, is an error, since it
//! could not be reverted with the others.

mod offline;
mod running;

use std::time::Duration;

use qmp_proto::SnapshotInfo;
use serde::Serialize;

pub use offline::DiskSet;

/// A snapshot of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub tag: String,
    /// When it was taken, in seconds since 1970-01-01 UTC.
    pub created: u64,
    /// The saved state of memory and devices, in bytes; 0 for a snapshot of the disks alone.
    pub memory_bytes: u64,
    /// How long the guest had run.
    #[serde(rename = "guest_seconds", serialize_with = "seconds")]
    pub guest_time: Duration,
    /// The disks that have it, by id.
    pub disks: Vec<String>,
    /// The machine's disks that do not have it, such as one that was added later. It cannot be reverted to then.
    pub missing: Vec<String>,
}

impl Snapshot {
    /// Whether it contains the memory, so that the guest continues where it was.
    pub fn has_memory(&self) -> bool {
        self.memory_bytes > 0
    }
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// Whether the guest's file systems are frozen for a snapshot of the disks alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quiesce {
    /// If a guest agent answers.
    #[default]
    Auto,
    /// Always: without an answer of the agent, there is no snapshot.
    Always,
    /// Never. The snapshot is what a power cut would leave.
    Never,
}

/// How a running machine's snapshot is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// Whether the memory is saved, too. The guest stands still meanwhile, about a second for each GiB in use.
    pub memory: bool,
    /// Whether file systems are frozen, if the memory is not saved. With the memory, nothing in it is lost.
    pub quiesce: Quiesce,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self { memory: true, quiesce: Quiesce::Auto }
    }
}

/// A snapshot that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SnapshotReport {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Whether the guest's file systems were frozen.
    pub quiesced: bool,
}

impl SnapshotReport {
    /// Of a machine that is off, whose file systems need not be frozen.
    pub fn of(snapshot: Snapshot) -> Self {
        Self { snapshot, quiesced: false }
    }
}

/// The shortest free name of the form `s1`, `s2`, ….
pub fn free_tag(snapshots: &[Snapshot]) -> String {
    let is_free = |tag: &String| snapshots.iter().all(|snapshot| snapshot.tag != *tag);
    // One of them is free, since there are more than snapshots.
    (0..=snapshots.len()).map(|number| format!("s{}", number + 1)).find(is_free).unwrap_or_default()
}

/// What is wrong with a name, if anything. QEMU takes a number for an id, and stores at most 127 bytes.
fn fault_of(tag: &str) -> Option<&'static str> {
    if tag.is_empty() || tag.len() > 127 {
        return Some("a snapshot's name has 1 to 127 bytes");
    }
    if tag.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("a snapshot's name may not be a number, which QEMU takes for an id");
    }
    if tag.chars().any(char::is_control) {
        return Some("a snapshot's name may not contain control characters");
    }
    None
}

/// Puts together what the images of a machine have, the oldest first.
fn merge(disks: &[(&str, &[SnapshotInfo])]) -> Vec<Snapshot> {
    let mut merged: Vec<Snapshot> = Vec::new();
    let number = |value: i64| u64::try_from(value).unwrap_or_default();
    for (disk, infos) in disks {
        for info in *infos {
            let known = merged.iter().position(|snapshot| snapshot.tag == info.name);
            let at = known.unwrap_or_else(|| {
                let guest_time = Duration::from_secs(number(info.vm_clock_sec))
                    + Duration::from_nanos(number(info.vm_clock_nsec));
                merged.push(Snapshot {
                    tag: info.name.clone(),
                    created: number(info.date_sec),
                    memory_bytes: 0,
                    guest_time,
                    disks: Vec::new(),
                    missing: Vec::new(),
                });
                merged.len() - 1
            });
            merged[at].memory_bytes = merged[at].memory_bytes.max(number(info.vm_state_size));
            merged[at].disks.push((*disk).to_owned());
        }
    }
    for snapshot in &mut merged {
        let all = disks.iter().map(|(disk, _)| *disk);
        snapshot.missing =
            all.filter(|disk| !snapshot.disks.iter().any(|has| has == disk)).map(str::to_owned).collect();
    }
    merged.sort_by_key(|snapshot| (snapshot.created, snapshot.guest_time));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, memory: i64, date: i64) -> SnapshotInfo {
        SnapshotInfo::new("1", name, memory, date, 0, 1, 500_000_000)
    }

    #[test]
    fn a_snapshot_is_what_all_disks_have() {
        let (one, two) = ([info("new", 0, 9), info("old", 7, 5)], [info("old", 0, 5)]);
        let disks = [("disk0", &one[..]), ("disk1", &two[..])];
        let merged = merge(&disks);
        let told: Vec<_> = merged.iter().map(|it| (&it.tag[..], it.memory_bytes, it.missing.len())).collect();
        assert_eq!(told, [("old", 7, 0), ("new", 0, 1)]);
        assert_eq!(
            (&merged[1].disks[..], &merged[1].missing[..]),
            (&["disk0".to_owned()][..], &["disk1".to_owned()][..])
        );
        assert_eq!(merged[0].guest_time, Duration::from_millis(1500));
        assert_eq!(free_tag(&merged), "s1");
    }

    #[test]
    fn names_that_qemu_would_misread_are_refused() {
        for tag in ["", "12", "a\nb", &"x".repeat(128)] {
            assert!(fault_of(tag).is_some(), "{tag:?}");
        }
        for tag in ["s1", "before the update", "ä"] {
            assert_eq!(fault_of(tag), None, "{tag:?}");
        }
    }
}
