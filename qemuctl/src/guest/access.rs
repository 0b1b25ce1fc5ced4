//! Access to a VM's console.

use std::io;

use qemu_argv::SocketRole;

use crate::channel::{Console, Turn};
use crate::error::Error;
use crate::instance::Instance;
use crate::runtime::socket_of;

use super::agent::describe;

/// # Serial console
impl Instance {
    /// Returns the guest's first serial console. A VM that was started by this process has it from the first byte on;
    /// for an attached one the console's socket is connected now, if it is free.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no serial console on a socket, [`Error::InUse`] if another program, such as the
    /// VM's launcher, is using it, [`Error::Io`] if the socket cannot be connected.
    pub async fn console(&self) -> Result<Console, Error> {
        let connect = async {
            let missing =
                || Error::Missing { name: self.name().to_owned(), what: "serial console".to_owned() };
            let plan = self.plan().ok_or_else(missing)?;
            let socket = socket_of(&plan, &SocketRole::Console(0)).ok_or_else(missing)?;
            let fail = |source| Error::Io { action: "lock the console", path: socket.clone(), source };
            // Another launcher may not have created the lock file.
            let turn = match Turn::try_take(&socket) {
                Ok(Ok(turn)) => Some(turn),
                Ok(Err(holder)) => {
                    let by = holder.map_or_else(|| "another process".to_owned(), describe);
                    return Err(Error::InUse { name: self.name().to_owned(), what: "console", by });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(fail(error)),
            };
            let console = Console::connect(&socket, None, turn).await;
            console.map_err(|source| Error::Io { action: "connect to the console", path: socket, source })
        };
        self.console_cell().get_or_try_init(|| connect).await.cloned()
    }
}
