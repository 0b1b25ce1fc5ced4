//! Commands without an id, whose replies are identified by their order.
//!
//! An id costs QEMU a quarter more time for each small command, because QEMU reads its monitor a byte at a time and
//! writes the id back. With QEMU 10.0 on `-M none`, the median of six rounds was 146 µs of CPU time for a command
//! without an id, and 191 µs for one with an id. That is the only reason for this file. To turn it off, make
//! `may_be_bare` return false.

use super::Pipeline;
use super::state::Resync;
use crate::pipeline::outgoing::{Lane, Outgoing};
use crate::wire::message::Id;

/// The longest command that may go without an id, in bytes.
const BARE_LENGTH: usize = 1024;

/// Whose a reply is.
pub(super) enum Addressee {
    /// That of the command with this id, which it may not have been sent with.
    Command(usize),
    /// QEMU could not parse something, and this was the command it was to carry out next.
    Unparsed(usize),
}

impl Pipeline {
    /// Whether a command may go without an id, which spares QEMU a tenth of its time or more.
    ///
    /// Its reply is then known by its turn: in-band commands are answered in order, bad ones included, and each of
    /// them once; and no reply to another client comes after the handshake. A peer that was seen to answer otherwise gets
    /// ids with all further commands. An error without an id must not be about another command's text, though. So nothing with an
    /// id may be in flight when it is sent, and it has to be as short and plain as QEMU's parser finds nothing wrong with.
    pub(super) fn may_be_bare(&self, command: &Outgoing) -> bool {
        self.agent.is_none()
            && self.in_turn
            && self.flights.iter().flatten().all(|flight| flight.bare)
            && self.resync == Resync::NotNeeded
            && command.lane != Lane::OutOfBand
            && command.bytes.len() <= BARE_LENGTH
            && command.bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\')
    }

    /// Whose reply has this id, at a monitor; `failed`: the reply is an error. None: nobody's.
    pub(super) fn addressee(&mut self, id: Id, failed: bool) -> Option<Addressee> {
        let sent_with = match id {
            Id::Number(id) => usize::try_from(id).ok(),
            Id::Missing | Id::Foreign => None,
        };
        if let Some(id) = sent_with.filter(|&id| self.flight(id).is_some_and(|flight| !flight.bare)) {
            return Some(Addressee::Command(id));
        }
        // An id where none was sent, or one reply too many: this peer's replies are not to be told by their turn.
        let oldest = self.oldest();
        let again = sent_with.is_some_and(|id| id < self.ids);
        if let Some(bare) = oldest.filter(|&id| !again && self.flight(id).is_some_and(|flight| flight.bare)) {
            self.in_turn &= id == Id::Missing;
            return Some(Addressee::Command(bare));
        }
        if failed && id == Id::Missing {
            return oldest.map(Addressee::Unparsed);
        }
        self.in_turn = false;
        None
    }

    /// The in-band command that was sent before all others: it is answered next.
    pub(super) fn oldest(&self) -> Option<usize> {
        let in_band = |id: usize| self.flight(id).filter(|flight| flight.lane != Lane::OutOfBand);
        (0..self.flights.len())
            .filter_map(|id| in_band(id).map(|flight| (flight.end, id)))
            .min()
            .map(|(_, id)| id)
    }
}
