//! Descriptors over the line: one `sendmsg` that carries a command's first byte and the descriptor.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::socket::{ControlMessage, MsgFlags, recvmsg, sendmsg};

/// What one read has brought.
pub(crate) struct Received {
    /// How many bytes.
    pub count: usize,
    /// The peer sent descriptors along with them, which the kernel has closed: QEMU passes none.
    pub with_fds: bool,
}

/// Receives into `room`.
pub(crate) fn receive(socket: &impl AsRawFd, room: &mut [u8]) -> io::Result<Received> {
    let mut room = [IoSliceMut::new(room)];
    // Without room for control messages, those that come are dropped and the message is marked as cut.
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut room, None, MsgFlags::MSG_DONTWAIT)?;
    Ok(Received { count: received.bytes, with_fds: received.flags.contains(MsgFlags::MSG_CTRUNC) })
}

/// Sends `fd` along with the first of `bytes`. Returns how many bytes went.
pub(crate) fn send(socket: &impl AsRawFd, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<usize> {
    let fds = [fd.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    loop {
        let sent = sendmsg::<()>(
            socket.as_raw_fd(),
            &[IoSlice::new(bytes)],
            &rights,
            MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
            None,
        );
        match sent {
            Err(nix::errno::Errno::EINTR) => {}
            sent => return Ok(sent?),
        }
    }
}
