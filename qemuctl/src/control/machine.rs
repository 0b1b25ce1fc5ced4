//! Wakeup, and the human monitor.

use qmp_proto::{HumanMonitorCommand, SystemWakeup};

use crate::error::Error;
use crate::instance::Instance;

/// # Waking, and the human monitor
impl Instance {
    /// Wakes a suspended guest (ACPI S3).
    ///
    /// # Errors
    ///
    /// QEMU refuses if the guest is not suspended; otherwise as [`Instance::execute`].
    pub async fn wake(&self) -> Result<(), Error> {
        self.execute(SystemWakeup {}).await.map(drop)
    }

    /// Executes a command of QEMU's human monitor, and returns its output.
    ///
    /// The output is not meant for programs: it differs between QEMU releases, and errors are text, too.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    #[doc(alias = "hmp")]
    pub async fn human_monitor(&self, command_line: &str) -> Result<String, Error> {
        self.execute(HumanMonitorCommand::new(command_line.to_owned())).await
    }
}
