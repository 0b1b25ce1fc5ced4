//! Bytes: from a socket to messages, and from commands to a socket. Nothing here knows who waits for what.

pub(crate) mod command;
pub(crate) mod framing;
pub(crate) mod members;
pub(crate) mod message;
pub(crate) mod pass_fd;
pub(crate) mod unix_socket;
