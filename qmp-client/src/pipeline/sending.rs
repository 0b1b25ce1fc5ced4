//! What may be sent when.

use std::os::fd::{AsFd, BorrowedFd};

use super::Pipeline;
use super::state::{Flight, Resync, State};
use crate::pipeline::outgoing::Lane;

/// The maximum number of unanswered in-band commands. QEMU stops reading at 8, including out-of-band commands; more
/// than 2 have no advantage with a real QEMU.
pub(super) const WINDOW: usize = 7;

/// The maximum number of unanswered out-of-band commands, which QEMU answers at once.
const URGENT_WINDOW: usize = 4;

/// A send buffer larger than this, in bytes, is freed once it is empty.
const KEEP_CAPACITY: usize = 64 << 10;

/// Resets QEMU's parser, which causes one error without an id.
const RESYNC: u8 = 0xff;

impl Pipeline {
    /// Moves the commands that may be sent now into the send buffer.
    pub(crate) fn fill(&mut self) {
        if let Some(sync) = &mut self.agent {
            if self.queue.is_empty() || !self.out.is_empty() || !self.flights.is_empty() {
                return;
            }
            if sync.is_needed() {
                self.out = sync.start();
            } else if sync.is_done()
                && let Some(number) = self.queue.pop_front()
            {
                self.send(number);
            }
            return;
        }
        while !self.urgent.is_empty() && self.flights.iter().flatten().count() - self.in_band < URGENT_WINDOW
        {
            let Some(number) = self.urgent.pop_front() else { break };
            self.send(number);
        }
        while let Some(&number) = self.queue.front() {
            let State::Queued(command) = &self.callers[number].state else { break };
            let alone = command.lane == Lane::Exclusive;
            let room = match self.resync {
                // Commands in flight may never be answered, so this one does not wait for them.
                Resync::Needed => self.out.is_empty(),
                Resync::Sent(_) => false,
                Resync::NotNeeded if self.exclusive => false,
                // A file descriptor is sent with the first byte of a write, so the buffer must be empty.
                Resync::NotNeeded if alone => self.in_band == 0 && self.out.is_empty(),
                Resync::NotNeeded => self.in_band < WINDOW,
            };
            if !room {
                break;
            }
            self.queue.pop_front();
            self.send(number);
        }
    }

    fn send(&mut self, number: usize) {
        let caller = &mut self.callers[number];
        let detached = caller.detached;
        let State::Queued(mut command) = std::mem::replace(&mut caller.state, State::Free) else {
            return;
        };
        let id = self.flights.iter().position(Option::is_none).unwrap_or(self.flights.len());
        if id == self.flights.len() {
            self.flights.push(None);
        }
        let urgent = command.lane == Lane::OutOfBand;
        let bare = self.may_be_bare(&command);
        if !urgent && self.resync == Resync::Needed {
            self.out.push(RESYNC);
            self.resync = Resync::Sent(id);
        }
        // Only for a guest agent, a command may have to be repeated.
        let again = (self.agent.is_some() && detached).then(|| command.bytes.clone());
        if self.out.is_empty() {
            self.out = command.bytes;
        } else {
            self.out.extend_from_slice(&command.bytes);
        }
        if self.agent.is_some() {
            self.out.extend_from_slice(b"}\n");
        } else if bare {
            self.out.push(b'}');
        } else {
            self.ids = self.ids.max(id + 1);
            self.out.extend_from_slice(b",\"id\":");
            // Never more than one digit or two.
            if id >= 10 {
                self.out.extend_from_slice((id / 10).to_string().as_bytes());
            }
            self.out.extend_from_slice(&[b"0123456789"[id % 10], b'}']);
        }
        if self.line_ends {
            self.out.push(b'\n');
        }
        if let Some(fd) = command.fd.take() {
            self.out_fd = Some(fd);
        }
        if !urgent {
            self.in_band += 1;
            self.exclusive = command.lane == Lane::Exclusive;
        }
        let end = self.written + (self.out.len() - self.out_start) as u64;
        self.flights[id] = Some(Flight {
            caller: Some(number),
            lane: command.lane,
            orphan: command.orphan,
            again,
            end,
            bare,
        });
        self.callers[number].state = State::Sent(id);
    }

    /// Returns the bytes to write next, and the file descriptor to send with the first byte.
    pub(crate) fn pending(&self) -> Option<(&[u8], Option<BorrowedFd<'_>>)> {
        let bytes = &self.out[self.out_start..];
        (!bytes.is_empty()).then(|| (bytes, self.out_fd.as_ref().map(AsFd::as_fd)))
    }

    /// Records that `count` bytes were written, together with the file descriptor.
    pub(crate) fn wrote(&mut self, count: usize) {
        self.out_fd = None;
        self.out_start += count;
        self.written += count as u64;
        if self.out_start == self.out.len() {
            self.out_start = 0;
            self.out.clear();
            if self.out.capacity() > KEEP_CAPACITY {
                self.out = Vec::new();
            }
        }
    }
}
