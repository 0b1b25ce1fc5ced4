//! The memory balloon, and the guest's memory statistics.

use std::collections::BTreeMap;
use std::time::Duration;

use qmp_proto::{Balloon, QomGet, QomList, QomSet, QueryBalloon};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::instance::Instance;

/// The polling interval while statistics are being waited for, in seconds; QEMU's minimum.
const POLLING_S: u32 = 1;

/// How often to check whether the guest has answered.
const LOOKS_AGAIN: Duration = Duration::from_millis(100);

/// A guest's memory statistics, in bytes. `None` if its driver does not report a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BalloonStats {
    /// Total memory.
    pub total: Option<u64>,
    /// Free memory.
    pub free: Option<u64>,
    /// Memory available to programs without swapping.
    pub available: Option<u64>,
    /// Memory used for disk caches.
    pub caches: Option<u64>,
    /// Total memory read from swap space.
    pub swapped_in: Option<u64>,
    /// Total memory written to swap space.
    pub swapped_out: Option<u64>,
    /// The number of page faults that required a disk access.
    pub major_faults: Option<u64>,
    /// The number of other page faults.
    pub minor_faults: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct GuestStats {
    /// By QEMU's names, such as `stat-free-memory`.
    stats: BTreeMap<String, u64>,
    /// Seconds since 1970; 0 if the guest has not answered.
    last_update: i64,
}

impl From<BTreeMap<String, u64>> for BalloonStats {
    fn from(stats: BTreeMap<String, u64>) -> Self {
        // QEMU uses all ones for a value that the guest does not report.
        let told = |name: &str| stats.get(name).copied().filter(|&value| value != u64::MAX);
        Self {
            total: told("stat-total-memory"),
            free: told("stat-free-memory"),
            available: told("stat-available-memory"),
            caches: told("stat-disk-caches"),
            swapped_in: told("stat-swap-in"),
            swapped_out: told("stat-swap-out"),
            major_faults: told("stat-major-faults"),
            minor_faults: told("stat-minor-faults"),
        }
    }
}

/// # Memory of the guest
impl Instance {
    /// Asks the guest's balloon driver to change the guest's memory to this size, in bytes. The guest does so
    /// gradually.
    ///
    /// # Errors
    ///
    /// QEMU refuses if the VM has no balloon; otherwise as [`Instance::execute`].
    pub async fn set_balloon(&self, bytes: u64) -> Result<(), Error> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.execute(Balloon::new(bytes)).await.map(drop)
    }

    /// Returns the guest's current memory size, in bytes.
    ///
    /// # Errors
    ///
    /// As [`set_balloon`](Self::set_balloon).
    pub async fn balloon(&self) -> Result<u64, Error> {
        let info = self.execute(QueryBalloon {}).await?;
        Ok(u64::try_from(info.actual).unwrap_or_default())
    }

    /// Asks the guest's balloon driver for memory statistics, and waits for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no balloon, [`Error::Timeout`] if the guest does not answer in time, for
    /// example because it has no driver. Otherwise as [`Instance::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, QEMU continues to poll the guest once a second.
    #[doc(alias = "guest-stats")]
    pub async fn balloon_stats(&self, timeout: Duration) -> Result<BalloonStats, Error> {
        let deadline = Instant::now() + timeout;
        let path = self.balloon_path().await?;
        let asked = |seconds: u32| QomSet::new(&path, "guest-stats-polling-interval", seconds.into());
        let before = self.guest_stats(&path).await?.last_update;
        self.execute(asked(POLLING_S)).await?;
        let stats = loop {
            let stats = self.guest_stats(&path).await?;
            if stats.last_update > before {
                break Ok(stats.stats.into());
            }
            if Instant::now() >= deadline {
                break Err(Error::Timeout {
                    action: "reading the memory statistics of",
                    name: self.name().to_owned(),
                    after: timeout,
                });
            }
            sleep(LOOKS_AGAIN).await;
        };
        self.execute(asked(0)).await?;
        stats
    }

    async fn guest_stats(&self, path: &str) -> Result<GuestStats, Error> {
        let value = self.execute(QomGet::new(path, "guest-stats")).await?;
        serde_json::from_value(value).map_err(|error| Error::Unsupported {
            action: "reading the memory statistics of",
            name: self.name().to_owned(),
            reason: format!("QEMU's reply is invalid: {error}"),
        })
    }

    /// Returns the QOM path of the balloon, which may have no id.
    async fn balloon_path(&self) -> Result<String, Error> {
        for place in ["/machine/peripheral", "/machine/peripheral-anon"] {
            let devices = self.execute(QomList::new(place)).await?;
            if let Some(found) = devices.iter().find(|device| device.r#type.contains("<virtio-balloon")) {
                return Ok(format!("{place}/{}", found.name));
            }
        }
        Err(self.missing("memory balloon"))
    }
}
