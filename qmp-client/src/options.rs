//! Session options: timeouts, limits, and out-of-band commands.

use std::time::Duration;

/// Whether to negotiate QMP's `oob` capability, with which QEMU reads ahead and executes some commands out of band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutOfBand {
    /// Negotiate it if QEMU supports it; several commands in flight are then 1.6 times as fast.
    #[default]
    Auto,
    /// Do not negotiate it.
    Off,
    /// Fail if QEMU does not support it.
    Required,
}

/// Whether commands end with a newline.
///
/// QEMU detects the end of a command by its brackets, and a newline costs some 8 % of the time of a small command. But
/// a proxy or a fake QEMU may read whole lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnds {
    /// Automatic: use newlines if the peer does not answer the first command without one soon.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never, because the peer is known to be QEMU.
    Never,
}

/// Timeouts and limits of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The timeout for connecting to a socket.
    pub connect: Duration,
    /// The timeout for QEMU's greeting. It arrives at once, unless another client is using the monitor, QEMU is
    /// stopped, or QEMU is waiting for something before it serves its monitors.
    pub greeting: Duration,
    /// The timeout for the reply to `qmp_capabilities`, which arrives when the machine has been set up; preallocating
    /// memory takes time.
    pub ready: Duration,
    /// The timeout of a command, unless the call sets its own. For a command of more than 16 KiB it is restarted
    /// whenever QEMU has read more of it, because QEMU reads its monitor one byte at a time (some 4 s for 1 MiB).
    pub command: Duration,
    /// Whether to negotiate out-of-band commands. They make single commands a bit slower, because QEMU then reads its
    /// monitor in a different thread than the one that executes commands.
    pub oob: OutOfBand,
    /// Whether commands end with a newline.
    pub line_ends: LineEnds,
    /// The longest message that is accepted, in bytes. A longer one ends the session, so that a faulty peer cannot
    /// exhaust memory.
    pub max_message: usize,
    /// The length of a subscriber's queue, in events. When it is full, the oldest events are dropped and counted.
    pub event_backlog: usize,
    /// The length of a subscriber's queue, in bytes.
    pub event_backlog_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            greeting: Duration::from_secs(5),
            ready: Duration::from_secs(60),
            command: Duration::from_secs(30),
            oob: OutOfBand::Auto,
            line_ends: LineEnds::Auto,
            max_message: 64 << 20,
            event_backlog: 4096,
            event_backlog_bytes: 16 << 20,
        }
    }
}
