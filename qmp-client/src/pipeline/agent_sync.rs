//! Synchronization with the guest agent.
//!
//! No I/O. The agent's channel outlives its clients and the agent itself: there may be replies to other clients, a
//! partial command in the agent's parser, or no agent at all. So before the first command, and after one that was not
//! answered, a `guest-sync-delimited` is sent: the byte 0xFF resets the agent's parser, and everything before the 0xFF
//! and the number of its reply is stale.

use crate::wire::message;

/// Clears the parser on either side.
pub(crate) const MARK: u8 = 0xff;

/// Numbers stay below this, so that every JSON implementation keeps them exact.
const NUMBERS: u64 = 1 << 53;

/// Whether the agent's replies can be trusted to be ours.
#[derive(Debug)]
pub(crate) struct AgentSync {
    state: State,
    next: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Needed,
    /// A synchronisation with this number was sent.
    Waiting(u64),
    Done,
}

impl AgentSync {
    /// Begins out of step. `seed` should differ from that of earlier clients of the same agent.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: State::Needed, next: seed % NUMBERS }
    }

    /// In step: what comes is the reply to what was sent last.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Out of step, and nothing was done about it.
    pub(crate) fn is_needed(&self) -> bool {
        self.state == State::Needed
    }

    /// A command was not answered: what comes next may be its late reply.
    pub(crate) fn lose(&mut self) {
        self.state = State::Needed;
    }

    /// What to send to get in step.
    pub(crate) fn start(&mut self) -> Vec<u8> {
        let number = self.next;
        self.next = (number + 1) % NUMBERS;
        self.state = State::Waiting(number);
        let mut bytes = vec![MARK];
        bytes.extend_from_slice(
            format!("{{\"execute\":\"guest-sync-delimited\",\"arguments\":{{\"id\":{number}}}}}\n")
                .as_bytes(),
        );
        bytes
    }

    /// The part of a line that may be a message: what follows the last mark. None: the line is stale.
    pub(crate) fn filter<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let mark = memchr::memrchr(MARK, line);
        match (&self.state, mark) {
            (State::Waiting(_), Some(mark)) => Some(&line[mark + 1..]),
            // A marked line is the reply to a synchronisation, and that was not asked for.
            (State::Done, None) => Some(line),
            _ => None,
        }
    }

    /// Takes the reply to a synchronisation. True: it was ours.
    pub(crate) fn on_reply(&mut self, reply: &[u8]) -> bool {
        let ours = matches!(self.state, State::Waiting(number) if message::number(reply) == Some(number));
        if ours {
            self.state = State::Done;
        }
        ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_last_try_counts() {
        let mut sync = AgentSync::new(7);
        assert!(sync.is_needed());
        assert_eq!(sync.start(), b"\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7}}\n");
        sync.lose();
        sync.start();
        assert!(!sync.on_reply(b"7"));
        assert!(!sync.on_reply(b"{}"));
        assert!(!sync.is_done() && !sync.is_needed());
        assert!(sync.on_reply(b"8"));
        assert!(sync.is_done());
        assert!(!sync.on_reply(b"8"), "only one reply is the one");
    }

    #[test]
    fn stale_lines_are_told_apart() {
        let mut sync = AgentSync::new(u64::MAX);
        assert_eq!(sync.filter(b"{}"), None);
        assert_eq!(sync.filter(b"\xff{}"), None);
        sync.start();
        assert_eq!(sync.filter(b"{\"return\": 1}"), None);
        assert_eq!(sync.filter(b"{\"ret\xff\xff{\"return\": 2}"), Some(&b"{\"return\": 2}"[..]));
        assert!(sync.on_reply((u64::MAX % NUMBERS).to_string().as_bytes()));
        assert_eq!(sync.filter(b"{\"return\": 3}"), Some(&b"{\"return\": 3}"[..]));
        assert_eq!(sync.filter(b"\xff{\"return\": 4}"), None);
    }
}
