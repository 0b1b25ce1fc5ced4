//! From a VM to its console.

use qemu_argv::SocketRole;

use crate::error::Error;
use crate::instance::Instance;
use crate::launch::socket_of;

use super::Console;

impl Instance {
    /// The guest's first serial console. A VM started here has it from the first byte on; for an attached one the
    /// console's socket is connected now, if nobody else has it.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no serial console that is served on a socket, [`Error::Io`] if the socket
    /// cannot be connected.
    pub async fn console(&self) -> Result<Console, Error> {
        let connect = async {
            let missing =
                || Error::Missing { name: self.name().to_owned(), what: "serial console".to_owned() };
            let plan = self.plan().ok_or_else(missing)?;
            let socket = socket_of(&plan, &SocketRole::Console(0)).ok_or_else(missing)?;
            let console = Console::connect(&socket, None).await;
            console.map_err(|source| Error::Io { action: "connect to the console", path: socket, source })
        };
        self.console_cell().get_or_try_init(|| connect).await.cloned()
    }
}
