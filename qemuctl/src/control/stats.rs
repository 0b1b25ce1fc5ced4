//! Resource usage of a VM: CPU time, memory, and I/O of disks and TAP interfaces.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use qmp_proto::{BlockStats, QueryBlockstats, QueryCpusFast};

use crate::error::Error;
use crate::instance::Instance;

/// The resource usage of a VM. All counters start with QEMU and only increase; compute a rate from the difference of
/// two values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The whole QEMU process. `None` for an attached VM whose process is not visible.
    pub process: Option<ProcessStats>,
    /// The virtual CPUs, in the order of their numbers. TCG may run all of them on one thread, whose time is then
    /// reported for each.
    pub vcpus: Vec<VcpuStats>,
    /// The disks, and drives with a medium.
    pub disks: Vec<DiskStats>,
    /// The TAP interfaces. There are no counters for other networks; for the guest's own counters see
    /// [`Instance::network_interfaces`].
    pub taps: Vec<TapStats>,
}

/// The resource usage of QEMU's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessStats {
    /// CPU time of all threads in user mode, including the guest's own time.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Resident memory in bytes, of the guest and of QEMU itself.
    pub resident: u64,
    /// Swapped-out memory, in bytes.
    pub swapped: u64,
    /// The number of threads.
    pub threads: u64,
}

/// A virtual CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VcpuStats {
    /// Its number.
    pub index: u64,
    /// CPU time of its thread. `None` if that is not visible.
    pub time: Option<Duration>,
}

/// The I/O of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskStats {
    /// The id of its device, such as `disk0`, or else QEMU's own name for it.
    pub id: String,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Read requests.
    pub reads: u64,
    /// Write requests.
    pub writes: u64,
    /// Flush requests.
    pub flushes: u64,
    /// Failed read and write requests.
    pub failed: u64,
    /// The total time of all read requests.
    pub read_time: Duration,
    /// The total time of all write requests.
    pub write_time: Duration,
    /// The total time of all flush requests.
    pub flush_time: Duration,
}

/// A TAP interface, from the guest's point of view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TapStats {
    /// The interface's name on the host.
    pub interface: String,
    /// Bytes that the guest received.
    pub received_bytes: u64,
    /// Packets that the guest received.
    pub received_packets: u64,
    /// Packets to the guest that were dropped.
    pub received_dropped: u64,
    /// Bytes that the guest sent.
    pub sent_bytes: u64,
    /// Packets that the guest sent.
    pub sent_packets: u64,
    /// Packets from the guest that were dropped.
    pub sent_dropped: u64,
}

/// # Statistics
impl Instance {
    /// Returns the VM's resource usage: CPU time, memory, and I/O of disks and TAP interfaces.
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

/// Returns a device's id, which QEMU may report as a path: `/machine/peripheral/disk0/virtio-backend`.
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

/// Parses the times in a `stat` file of `/proc`.
fn times(stat: &str) -> Option<Times> {
    // The program's name in parentheses may itself contain spaces and parentheses.
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
        // A process that has just ended has no memory.
        resident: bytes("VmRSS:").unwrap_or_default(),
        swapped: bytes("VmSwap:").unwrap_or_default(),
        threads: times.threads,
    })
}

/// Returns the TAP interfaces that the process has open, by the names the kernel reports for its file descriptors.
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
    // An interface has one file descriptor for each queue.
    names.dedup();
    // The interfaces of QEMU's network namespace.
    let table = fs::read_to_string(proc.join("net/dev")).unwrap_or_default();
    names.iter().filter_map(|name| tap(&table, name)).collect()
}

/// Parses the line of an interface in `/proc/<pid>/net/dev`. What the host received is what the guest sent.
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
