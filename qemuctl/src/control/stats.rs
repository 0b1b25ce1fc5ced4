//! What a VM uses of its host now: processor time, memory, what its disks and taps have moved.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use qmp_proto::{BlockStats, QueryBlockstats, QueryCpusFast};

use crate::error::Error;
use crate::instance::Instance;

/// What a VM uses of its host. All counters begin with QEMU's start and only grow; a rate is the difference of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The whole QEMU process. `None` for an attached VM whose process cannot be seen from here.
    pub process: Option<ProcessStats>,
    /// The virtual processors, in the order of their numbers. TCG may run all of them on one thread: then each has
    /// the time of that thread.
    pub vcpus: Vec<VcpuStats>,
    /// The drives that have a medium.
    pub disks: Vec<DiskStats>,
    /// The TAP interfaces. QEMU counts nothing of other networks; what a guest counts itself is in
    /// [`Instance::network_interfaces`].
    pub taps: Vec<TapStats>,
}

/// What QEMU's process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessStats {
    /// Processor time in user mode so far, of all its threads; the guest's own time is part of it.
    pub user: Duration,
    /// Processor time in the kernel so far.
    pub system: Duration,
    /// Memory that is in RAM now, in bytes: the guest's and QEMU's own.
    pub resident: u64,
    /// Memory that was swapped out, in bytes.
    pub swapped: u64,
    /// How many threads it has.
    pub threads: u64,
}

/// A virtual processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VcpuStats {
    /// Its number.
    pub index: u64,
    /// Processor time of its thread so far. `None` if that cannot be seen from here.
    pub time: Option<Duration>,
}

/// A drive, as the guest has used it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskStats {
    /// The id of its device, such as `disk0`; else QEMU's own name for it.
    pub id: String,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Requests to read.
    pub reads: u64,
    /// Requests to write.
    pub writes: u64,
    /// Requests to make what was written permanent.
    pub flushes: u64,
    /// Requests to read or write that failed.
    pub failed: u64,
    /// How long all requests to read took together.
    pub read_time: Duration,
    /// How long all requests to write took together.
    pub write_time: Duration,
    /// How long all flushes took together.
    pub flush_time: Duration,
}

/// A TAP interface, seen from the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TapStats {
    /// The interface's name on the host.
    pub interface: String,
    /// Bytes that the guest received.
    pub received_bytes: u64,
    /// Packets that the guest received.
    pub received_packets: u64,
    /// Packets to the guest that were dropped on their way.
    pub received_dropped: u64,
    /// Bytes that the guest sent.
    pub sent_bytes: u64,
    /// Packets that the guest sent.
    pub sent_packets: u64,
    /// Packets from the guest that were dropped on their way.
    pub sent_dropped: u64,
}

impl Instance {
    /// Counts what the VM uses of its host: processor time, memory, what its disks and TAP interfaces have moved.
    ///
    /// ```no_run
    /// # async fn example(vm: &qemuctl::Instance) -> Result<(), qemuctl::Error> {
    /// let stats = vm.stats().await?;
    /// for disk in &stats.disks {
    ///     println!("{}: {} bytes read, {} written", disk.id, disk.read_bytes, disk.written_bytes);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    #[doc(alias = "query-blockstats")]
    pub async fn stats(&self) -> Result<Stats, Error> {
        let (cpus, blocks) =
            tokio::join!(self.execute(QueryCpusFast {}), self.execute(QueryBlockstats::default()));
        let (cpus, blocks) = (cpus?, blocks?);
        let proc = self.pid().map(|pid| Path::new("/proc").join(pid.to_string()));
        let mut vcpus: Vec<_> = cpus
            .iter()
            .map(|cpu| VcpuStats {
                index: unsigned(cpu.cpu_index),
                time: proc.as_ref().and_then(|proc| {
                    let thread = proc.join("task").join(cpu.thread_id.to_string());
                    Some(times(&fs::read_to_string(thread.join("stat")).ok()?)?.total())
                }),
            })
            .collect();
        vcpus.sort_by_key(|vcpu| vcpu.index);
        Ok(Stats {
            process: proc.as_deref().and_then(process),
            vcpus,
            disks: blocks.iter().map(disk).collect(),
            taps: proc.as_deref().map(taps).unwrap_or_default(),
        })
    }
}

/// QEMU's counters are never negative.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

fn disk(drive: &BlockStats) -> DiskStats {
    let stats = &drive.stats;
    let nanoseconds = |count| Duration::from_nanos(unsigned(count));
    DiskStats {
        id: name(drive),
        read_bytes: unsigned(stats.rd_bytes),
        written_bytes: unsigned(stats.wr_bytes),
        reads: unsigned(stats.rd_operations),
        writes: unsigned(stats.wr_operations),
        flushes: unsigned(stats.flush_operations),
        failed: unsigned(stats.failed_rd_operations) + unsigned(stats.failed_wr_operations),
        read_time: nanoseconds(stats.rd_total_time_ns),
        write_time: nanoseconds(stats.wr_total_time_ns),
        flush_time: nanoseconds(stats.flush_total_time_ns),
    }
}

/// A device's id, which QEMU may tell as its path: `/machine/peripheral/disk0/virtio-backend`.
fn name(drive: &BlockStats) -> String {
    let device = drive.qdev.as_deref().unwrap_or_default();
    let id = device.strip_prefix("/machine/peripheral/").unwrap_or(device).split('/').next();
    let names = [id, drive.device.as_deref(), drive.node_name.as_deref()];
    names.into_iter().flatten().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

struct Times {
    user: Duration,
    system: Duration,
    threads: u64,
}

impl Times {
    fn total(&self) -> Duration {
        self.user + self.system
    }
}

/// The times in a `stat` of `/proc`.
fn times(stat: &str) -> Option<Times> {
    // The program's name, in parentheses, may itself hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?.max(1);
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let time = |index| Some(Duration::from_nanos(number(index)?.saturating_mul(1_000_000_000 / per_second)));
    Some(Times { user: time(11)?, system: time(12)?, threads: number(17)? })
}

fn process(proc: &Path) -> Option<ProcessStats> {
    let times = times(&fs::read_to_string(proc.join("stat")).ok()?)?;
    let status = fs::read_to_string(proc.join("status")).ok()?;
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    };
    Some(ProcessStats {
        user: times.user,
        system: times.system,
        // A process that has just ended has none.
        resident: bytes("VmRSS:").unwrap_or_default(),
        swapped: bytes("VmSwap:").unwrap_or_default(),
        threads: times.threads,
    })
}

/// The TAP interfaces that the process has open, by the names that the kernel tells of its descriptors.
fn taps(proc: &Path) -> Vec<TapStats> {
    let Ok(descriptors) = fs::read_dir(proc.join("fd")) else { return Vec::new() };
    let mut names: Vec<String> = descriptors
        .filter_map(|entry| {
            let entry = entry.ok()?;
            fs::read_link(entry.path()).ok().filter(|device| device.ends_with("net/tun"))?;
            let info = fs::read_to_string(proc.join("fdinfo").join(entry.file_name())).ok()?;
            info.lines().find_map(|line| line.strip_prefix("iff:")).map(|name| name.trim().to_owned())
        })
        .collect();
    names.sort();
    // An interface has a descriptor for each of its queues.
    names.dedup();
    // The interfaces of the network namespace that QEMU is in.
    let table = fs::read_to_string(proc.join("net/dev")).unwrap_or_default();
    names.iter().filter_map(|name| tap(&table, name)).collect()
}

/// The line of an interface in `/proc/<pid>/net/dev`. What the host receives is what the guest sent.
fn tap(table: &str, interface: &str) -> Option<TapStats> {
    let find = |line: &str| line.trim_start().strip_prefix(interface)?.strip_prefix(':').map(str::to_owned);
    let line = table.lines().find_map(find)?;
    let mut numbers = [0; 16];
    for (number, field) in numbers.iter_mut().zip(line.split_ascii_whitespace()) {
        *number = field.parse().ok()?;
    }
    Some(TapStats {
        interface: interface.to_owned(),
        sent_bytes: numbers[0],
        sent_packets: numbers[1],
        sent_dropped: numbers[3],
        received_bytes: numbers[8],
        received_packets: numbers[9],
        received_dropped: numbers[11],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_is_told_from_one_whose_name_begins_alike() {
        let table = "Inter-|   Receive   |  Transmit\n face |bytes\n  tap10: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n   \
                     tap1:1500 3 0 1 0 0 0 0 60 2 0 4 0 0 0 0\n";
        let found = tap(table, "tap1").expect("it is there");
        assert_eq!((found.sent_bytes, found.sent_packets, found.sent_dropped), (1500, 3, 1));
        assert_eq!((found.received_bytes, found.received_packets, found.received_dropped), (60, 2, 4));
        assert_eq!(tap(table, "tap2"), None);
    }
}
