//! The machine as a whole: sleep, memory balloon, and the monitor for humans.

use qmp_proto::{Balloon, HumanMonitorCommand, QueryBalloon, SystemWakeup};

use crate::error::Error;
use crate::instance::Instance;

impl Instance {
    /// Wakes a guest that sleeps (ACPI S3).
    ///
    /// # Errors
    ///
    /// QEMU refuses if the guest does not sleep; else as [`Instance::execute`].
    pub async fn wake(&self) -> Result<(), Error> {
        self.execute(SystemWakeup {}).await.map(drop)
    }

    /// Asks the guest's balloon driver to leave the guest this much memory, in bytes. The guest follows in its own time.
    ///
    /// # Errors
    ///
    /// QEMU refuses if the VM has no balloon; else as [`Instance::execute`].
    pub async fn set_balloon(&self, bytes: u64) -> Result<(), Error> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.execute(Balloon::new(bytes)).await.map(drop)
    }

    /// How much memory the guest has now, in bytes.
    ///
    /// # Errors
    ///
    /// As [`set_balloon`](Self::set_balloon).
    pub async fn balloon(&self) -> Result<u64, Error> {
        let info = self.execute(QueryBalloon {}).await?;
        Ok(u64::try_from(info.actual).unwrap_or_default())
    }

    /// Executes a command of QEMU's monitor for humans, and returns what it prints.
    ///
    /// Its text is not meant for programs: it differs between QEMU's releases, and errors are text too.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    #[doc(alias = "hmp")]
    pub async fn human_monitor(&self, command_line: &str) -> Result<String, Error> {
        self.execute(HumanMonitorCommand::new(command_line.to_owned())).await
    }
}
