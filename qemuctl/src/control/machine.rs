//! The machine as a whole: sleep, and the monitor for humans.

use qmp_proto::{HumanMonitorCommand, SystemWakeup};

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
