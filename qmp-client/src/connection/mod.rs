//! One connection: how it is made, who serves it, and what its handles share.
//!
//! `connect` makes it by a `handshake`; then a task, the `driver`, owns the reading end and each `handle` puts commands into
//! what both of them share.

pub(crate) mod connect;
pub(crate) mod driver;
pub(crate) mod handle;
pub(crate) mod handshake;
pub(crate) mod shared;
