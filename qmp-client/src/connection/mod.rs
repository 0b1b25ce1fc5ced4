//! A connection: how it is established, the task that serves it, and the state its handles share.
//!
//! `connect` establishes it with a `handshake`. Then a task, the `driver`, owns the reading end, and each `handle` puts
//! commands into the state that both share.

pub(crate) mod connect;
pub(crate) mod driver;
pub(crate) mod handle;
pub(crate) mod handshake;
pub(crate) mod shared;
