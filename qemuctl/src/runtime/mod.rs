//! The files of a running VM: sockets in a private directory, a lock on its name, and a record for other processes.

mod defaults;
mod dir;
mod life;
mod lock;
mod name;
mod plain;
mod plans;
mod record;
mod removal;
mod residue;
mod socket;
mod sweep;

#[cfg(feature = "home")]
pub(crate) use defaults::default_home;
pub use defaults::{default_socket_dir, default_state_dir};
pub(crate) use dir::{SocketDir, check_socket_path, make_private};
pub(crate) use lock::NameLock;
pub(crate) use name::{check_name, random_name};
pub(crate) use plain::{open_regular, read_regular};
pub(crate) use plans::{LOCK, Plans, socket_of};
pub(crate) use record::write_private;
pub use record::{Record, SshLogin};
pub(crate) use residue::Residue;
pub(crate) use socket::bind_socket;
pub(crate) use sweep::clear;
pub use sweep::{Ended, sweep, sweep_name};
