//! What a VM leaves in the file system while it runs: sockets in a private directory, a lock on its name, and a
//! record for those who come later.

mod dir;
mod lock;
mod name;
mod plans;
mod record;
mod residue;

pub(crate) use dir::{SocketDir, check_socket_path, make_private};
pub use dir::{default_socket_dir, default_state_dir};
pub(crate) use lock::NameLock;
pub(crate) use name::{check_name, random_name};
pub(crate) use plans::Plans;
pub use record::Record;
pub(crate) use record::write_private;
pub(crate) use residue::Residue;
