//! I/O limits of a disk of a running VM.
//!
//! A disk with limits in its config uses a throttle filter, possibly shared by a group; its limits are replaced. For
//! other disks the limits are set on the device.

#![allow(deprecated, reason = "QEMU deprecates one member of this command, `device`, which is not used here")]

use qmp_proto::{BlockIOThrottle, BlockSetIoThrottle, QomGet, QomSet};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::instance::Instance;

/// I/O limits of a disk. 0 means no limit; a total cannot be combined with separate limits of reads and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IoLimits {
    /// Bytes per second, reads and writes together.
    pub bytes_total: u64,
    /// Bytes per second, reads only.
    pub bytes_read: u64,
    /// Bytes per second, writes only.
    pub bytes_write: u64,
    /// Requests per second, reads and writes together.
    pub requests_total: u64,
    /// Requests per second, reads only.
    pub requests_read: u64,
    /// Requests per second, writes only.
    pub requests_write: u64,
    /// Higher limits for short bursts. Defaults to none.
    pub burst: Option<IoBurst>,
}

/// Limits for short bursts. 0 means no bursts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IoBurst {
    /// Bytes per second, reads and writes together.
    pub bytes_total: u64,
    /// Bytes per second, reads only.
    pub bytes_read: u64,
    /// Bytes per second, writes only.
    pub bytes_write: u64,
    /// Requests per second, reads and writes together.
    pub requests_total: u64,
    /// Requests per second, reads only.
    pub requests_read: u64,
    /// Requests per second, writes only.
    pub requests_write: u64,
    /// The maximum length of a burst, in seconds; at least 1.
    pub seconds: u64,
}

impl IoLimits {
    /// Returns each limit and its burst, by the names of a throttle group.
    fn pairs(&self) -> [(&'static str, u64, u64); 6] {
        let burst = self.burst.unwrap_or_default();
        [
            ("bps-total", self.bytes_total, burst.bytes_total),
            ("bps-read", self.bytes_read, burst.bytes_read),
            ("bps-write", self.bytes_write, burst.bytes_write),
            ("iops-total", self.requests_total, burst.requests_total),
            ("iops-read", self.requests_read, burst.requests_read),
            ("iops-write", self.requests_write, burst.requests_write),
        ]
    }

    /// Returns the length of a burst in seconds. QEMU rejects a length without a burst.
    fn seconds(&self, burst: u64) -> u64 {
        if burst == 0 { 1 } else { self.burst.map_or(1, |burst| burst.seconds.max(1)) }
    }

    /// Returns the `limits` of a throttle group. All are given, since omitted ones would not be changed.
    fn to_group(self) -> Value {
        let mut limits = Map::new();
        for (key, limit, burst) in self.pairs() {
            limits.insert(key.to_owned(), limit.into());
            limits.insert(format!("{key}-max"), burst.into());
            limits.insert(format!("{key}-max-length"), self.seconds(burst).into());
        }
        limits.into()
    }

    fn from_group(limits: &Value) -> Self {
        let number = |key: &str| limits.get(key).and_then(Value::as_u64).unwrap_or_default();
        let max = |key: &str| number(&format!("{key}-max"));
        let mut burst = IoBurst {
            bytes_total: max("bps-total"),
            bytes_read: max("bps-read"),
            bytes_write: max("bps-write"),
            requests_total: max("iops-total"),
            requests_read: max("iops-read"),
            requests_write: max("iops-write"),
            seconds: 0,
        };
        let some = burst != IoBurst::default();
        let keys = ["bps-total", "bps-read", "bps-write", "iops-total", "iops-read", "iops-write"];
        burst.seconds = keys.iter().map(|key| number(&format!("{key}-max-length"))).max().unwrap_or_default();
        Self {
            bytes_total: number("bps-total"),
            bytes_read: number("bps-read"),
            bytes_write: number("bps-write"),
            requests_total: number("iops-total"),
            requests_read: number("iops-read"),
            requests_write: number("iops-write"),
            burst: some.then_some(burst),
        }
    }
}

/// # I/O limits
impl Instance {
    /// Replaces the I/O limits of the disk with the id `disk`. The default value removes all limits.
    ///
    /// If the disk shares its limits with others through a group in its config, they are changed for the whole group.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no such disk, [`Error::Unsupported`] if a number is too large; otherwise as
    /// [`Instance::execute`], for example for a burst that is lower than its limit.
    #[doc(alias = "block_set_io_throttle")]
    pub async fn set_io_limits(&self, disk: &str, limits: IoLimits) -> Result<(), Error> {
        let number = |value: u64| {
            i64::try_from(value).map_err(|_| Error::Unsupported {
                action: "limiting the I/O of",
                name: disk.to_owned(),
                reason: format!("{value} is too large"),
            })
        };
        for (_, limit, burst) in limits.pairs() {
            number(limit).and(number(burst))?;
        }
        if let Some(group) = self.throttle_group(disk) {
            let command = QomSet::new(object(&group), "limits", limits.to_group());
            return self.execute(command).await.map(drop);
        }
        let mut throttle = BlockIOThrottle::new(
            number(limits.bytes_total)?,
            number(limits.bytes_read)?,
            number(limits.bytes_write)?,
            number(limits.requests_total)?,
            number(limits.requests_read)?,
            number(limits.requests_write)?,
        );
        let [bps, bps_rd, bps_wr, iops, iops_rd, iops_wr] = limits.pairs();
        for (max, length, burst) in [
            (&mut throttle.bps_max, &mut throttle.bps_max_length, bps.2),
            (&mut throttle.bps_rd_max, &mut throttle.bps_rd_max_length, bps_rd.2),
            (&mut throttle.bps_wr_max, &mut throttle.bps_wr_max_length, bps_wr.2),
            (&mut throttle.iops_max, &mut throttle.iops_max_length, iops.2),
            (&mut throttle.iops_rd_max, &mut throttle.iops_rd_max_length, iops_rd.2),
            (&mut throttle.iops_wr_max, &mut throttle.iops_wr_max_length, iops_wr.2),
        ] {
            if burst > 0 {
                *max = Some(number(burst)?);
                *length = Some(number(limits.seconds(burst))?);
            }
        }
        throttle.id = Some(self.device_of(disk).await?);
        self.execute(BlockSetIoThrottle(throttle)).await.map(drop)
    }

    /// Returns the current I/O limits of the disk with the id `disk`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no such disk; otherwise as [`Instance::execute`].
    pub async fn io_limits(&self, disk: &str) -> Result<IoLimits, Error> {
        if let Some(group) = self.throttle_group(disk) {
            let limits = self.execute(QomGet::new(object(&group), "limits")).await?;
            return Ok(IoLimits::from_group(&limits));
        }
        let Some(inserted) = self.block_device(disk).await?.inserted else { return Ok(IoLimits::default()) };
        let number = |value: i64| u64::try_from(value).unwrap_or_default();
        let max = |value: Option<i64>| value.map_or(0, number);
        let burst = IoBurst {
            bytes_total: max(inserted.bps_max),
            bytes_read: max(inserted.bps_rd_max),
            bytes_write: max(inserted.bps_wr_max),
            requests_total: max(inserted.iops_max),
            requests_read: max(inserted.iops_rd_max),
            requests_write: max(inserted.iops_wr_max),
            seconds: 0,
        };
        let lengths = [
            inserted.bps_max_length,
            inserted.bps_rd_max_length,
            inserted.bps_wr_max_length,
            inserted.iops_max_length,
            inserted.iops_rd_max_length,
            inserted.iops_wr_max_length,
        ];
        let some = burst != IoBurst::default();
        let seconds = lengths.into_iter().map(max).max().unwrap_or_default();
        Ok(IoLimits {
            bytes_total: number(inserted.bps),
            bytes_read: number(inserted.bps_rd),
            bytes_write: number(inserted.bps_wr),
            requests_total: number(inserted.iops),
            requests_read: number(inserted.iops_rd),
            requests_write: number(inserted.iops_wr),
            burst: some.then_some(IoBurst { seconds, ..burst }),
        })
    }

    /// Returns the throttle group of a planned disk, if it uses a filter.
    fn throttle_group(&self, disk: &str) -> Option<String> {
        let plan = self.plan()?;
        let device = plan.devices().find(|device| device.id == disk)?;
        let node = device.props.get_str("drive")?;
        let filter = plan.block_nodes().find(|part| part.node_name == node)?;
        filter.props.get_str("throttle-group").map(str::to_owned)
    }
}

fn object(id: &str) -> String {
    format!("/objects/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_same_in_a_group_and_back() {
        let burst = IoBurst { bytes_total: 200, seconds: 5, ..IoBurst::default() };
        let plain = IoLimits { bytes_read: 1, requests_write: 2, ..IoLimits::default() };
        for limits in [
            IoLimits::default(),
            plain,
            IoLimits { bytes_total: 100, requests_total: 10, burst: Some(burst), ..IoLimits::default() },
        ] {
            assert_eq!(IoLimits::from_group(&limits.to_group()), limits);
        }
    }
}
