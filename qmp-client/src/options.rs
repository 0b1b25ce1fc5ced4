//! What a session may be told: deadlines, bounds and whether to ask for out-of-band commands.

use std::time::Duration;

/// Whether to negotiate QMP's `oob` capability, which lets QEMU read ahead and take some commands out of band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutOfBand {
    /// Negotiate it where QEMU offers it: several commands in flight are then 1.6 times as fast.
    #[default]
    Auto,
    /// Do not negotiate it.
    Off,
    /// Refuse the session if QEMU does not offer it.
    Required,
}

/// Whether commands end with a line end.
///
/// QEMU needs none: it knows by the brackets where a command ends, and each byte costs it time, a line end some 8 % of a
/// small command. But a proxy or a stand-in may read whole lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnds {
    /// As the peer needs it: with line ends, if it has not answered the first command soon without one.
    #[default]
    Auto,
    /// After each command.
    Always,
    /// After none: the peer is known to be QEMU.
    Never,
}

/// Deadlines and bounds of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long connecting to a socket may take.
    pub connect: Duration,
    /// How long QEMU's greeting may take. It comes at once unless another client holds the monitor,
    /// QEMU is stopped, or QEMU still waits for something before it serves its monitors.
    pub greeting: Duration,
    /// How long the reply to `qmp_capabilities` may take, which comes once the machine is built: allow for
    /// preallocated memory.
    pub ready: Duration,
    /// How long each command may take, unless the call says otherwise. For a command of more than 16 KiB
    /// the time starts again whenever QEMU has taken more of it, because QEMU reads its monitor one
    /// byte at a time (some 4 s for 1 MiB).
    pub command: Duration,
    /// Whether to negotiate out-of-band commands. They cost a lone command some of its speed, because QEMU then
    /// reads its monitor in another thread than the one that carries commands out.
    pub oob: OutOfBand,
    /// Whether commands end with a line end.
    pub line_ends: LineEnds,
    /// The longest message that is accepted, in bytes. A longer one ends the session, so that a peer
    /// gone mad cannot fill the memory.
    pub max_message: usize,
    /// How many events wait for a slow subscriber before the oldest are dropped, and counted, to make room.
    pub event_backlog: usize,
    /// How many bytes of events wait for a slow subscriber, likewise.
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
