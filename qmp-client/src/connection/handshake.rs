//! The handshake, from the greeting to the reply that means that the machine has been set up.
//!
//! No I/O: it gets messages and returns the next step. A greeting does not mean that QEMU is ready: with an invalid
//! `-device`, QEMU sends a greeting and exits. Only the reply to `qmp_capabilities` means that the startup succeeded.
//!
//! Replies that the previous client did not wait for are sent to us, before or after the greeting, because QEMU
//! finishes the current command when a client disconnects. So `qmp_capabilities` gets an id that no other client uses.
//! QEMU executes commands in order, so everything before the reply with that id belongs to other clients, and nothing
//! after it does.

use std::hash::{BuildHasher, Hasher, RandomState};

use qmp_proto::ErrorClass;

use crate::options::OutOfBand;
use crate::wire::message::{Greeting, Id, Message, Refusal};

/// An id for `qmp_capabilities`: large, because clients count from 0 or 1; random, because the clients of one monitor may
/// run in different containers or on different hosts; and below 2^53, which every JSON implementation keeps exact.
pub(crate) fn unique_id() -> u64 {
    let random = RandomState::new().build_hasher().finish();
    1 << 52 | random & ((1 << 52) - 1)
}

/// One handshake, whose `qmp_capabilities` has the id `id`.
#[derive(Debug)]
pub(crate) struct Handshake {
    id: u64,
    wanted: OutOfBand,
    state: State,
}

/// Where a handshake stands.
#[derive(Debug)]
enum State {
    AwaitGreeting,
    AwaitReply { greeting: Greeting, oob: bool },
    Over,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for the next message.
    Wait,
    /// Send this and wait.
    Send(String),
    /// The session may begin; `oob` tells whether out-of-band commands were negotiated.
    Ready {
        greeting: Greeting,
        oob: bool,
    },
    Failed(Failure),
}

/// Why a handshake failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Out-of-band commands were required and are not on offer.
    NoOutOfBand,
    Refused(Refusal),
}

impl Handshake {
    pub(crate) fn new(oob: OutOfBand, id: u64) -> Self {
        Self { id, wanted: oob, state: State::AwaitGreeting }
    }

    /// Whether the greeting has come.
    pub(crate) fn greeted(&self) -> bool {
        !matches!(self.state, State::AwaitGreeting)
    }

    /// Takes a message. Events may come at any time. A greeting may be repeated: QEMU sends it each time it
    /// believes that its end was opened.
    pub(crate) fn on_message(&mut self, message: Message<'_>) -> Step {
        match (&mut self.state, message) {
            (State::AwaitGreeting, Message::Greeting(greeting)) => {
                let offered = greeting.capabilities.iter().any(|capability| capability == "oob");
                if self.wanted == OutOfBand::Required && !offered {
                    self.state = State::Over;
                    return Step::Failed(Failure::NoOutOfBand);
                }
                let oob = offered && self.wanted != OutOfBand::Off;
                self.state = State::AwaitReply { greeting, oob };
                let enable = if oob { r#","arguments":{"enable":["oob"]}"# } else { "" };
                Step::Send(format!("{{\"execute\":\"qmp_capabilities\"{enable},\"id\":{}}}", self.id))
            }
            (State::AwaitReply { greeting, .. }, Message::Greeting(repeated)) => {
                *greeting = repeated;
                Step::Wait
            }
            (State::AwaitReply { .. }, Message::Reply { id: Id::Number(id), outcome }) if id == self.id => {
                let State::AwaitReply { greeting, oob } = std::mem::replace(&mut self.state, State::Over)
                else {
                    return Step::Wait;
                };
                match outcome {
                    Ok(_) => Step::Ready { greeting, oob },
                    // QEMU was still carrying out `qmp_capabilities` for the client before us when it greeted us, and
                    // takes that for ours. Whether that client wanted out-of-band commands is not known.
                    Err(refusal) if refusal.class == ErrorClass::CommandNotFound => match self.wanted {
                        OutOfBand::Required => Step::Failed(Failure::NoOutOfBand),
                        OutOfBand::Auto | OutOfBand::Off => Step::Ready { greeting, oob: false },
                    },
                    Err(refusal) => Step::Failed(Failure::Refused(refusal)),
                }
            }
            // Replies to other clients, events, and what a newer QEMU may send.
            _ => Step::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH_OOB: &str = r#"{"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}}"#;
    const WITHOUT: &str = r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}"#;
    const EVENT: &str = r#"{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}"#;
    const DONE: &str = r#"{"return": {}, "id": 77}"#;
    const REFUSED: &str = r#"{"id": 77, "error": {"class": "GenericError", "desc": "no"}}"#;

    /// Plays a whole handshake and shows its steps.
    fn play(oob: OutOfBand, lines: &[&str]) -> Vec<String> {
        let mut handshake = Handshake::new(oob, 77);
        lines
            .iter()
            .map(|line| match handshake.on_message(Message::parse(line.as_bytes()).unwrap()) {
                Step::Wait => "wait".into(),
                Step::Send(bytes) => format!("send {bytes}"),
                Step::Ready { greeting, oob } => {
                    format!("ready {} oob {oob}", greeting.version.qemu.major)
                }
                Step::Failed(failure) => format!("{failure:?}"),
            })
            .collect()
    }

    const PLAIN: &str = r#"send {"execute":"qmp_capabilities","id":77}"#;
    const ENABLE: &str = r#"send {"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":77}"#;

    #[test]
    fn capabilities_follow_offer_and_wish() {
        use OutOfBand::{Auto, Off, Required};
        assert_eq!(play(Auto, &[WITH_OOB, DONE]), [ENABLE, "ready 10 oob true"]);
        assert_eq!(play(Auto, &[WITHOUT, DONE]), [PLAIN, "ready 7 oob false"]);
        assert_eq!(play(Off, &[WITH_OOB, DONE]), [PLAIN, "ready 10 oob false"]);
        assert_eq!(play(Required, &[WITH_OOB, DONE]), [ENABLE, "ready 10 oob true"]);
        assert_eq!(play(Required, &[WITHOUT, DONE]), ["NoOutOfBand", "wait"]);
    }

    #[test]
    fn stray_messages_do_not_harm() {
        assert_eq!(
            play(OutOfBand::Off, &[EVENT, DONE, REFUSED, "{}", WITH_OOB, EVENT, WITHOUT, "{}", DONE, DONE]),
            ["wait", "wait", "wait", "wait", PLAIN, "wait", "wait", "wait", "ready 7 oob false", "wait"]
        );
    }

    #[test]
    fn replies_to_other_clients_are_discarded() {
        let others = [
            r#"{"return": {}}"#,
            r#"{"return": {}, "id": 0}"#,
            r#"{"return": {}, "id": "77"}"#,
            r#"{"return": {}, "id": null}"#,
            r#"{"return": {"id": 77}}"#,
            r#"{"error": {"class": "GenericError", "desc": "JSON parse error"}}"#,
            r#"{"id": 1, "error": {"class": "CommandNotFound", "desc": "not yet"}}"#,
        ];
        let lines = [&others[..], &[WITHOUT], &others[..], &[DONE], &others[..]].concat();
        let steps = play(OutOfBand::Auto, &lines);
        let told: Vec<_> = steps.iter().filter(|step| *step != "wait").collect();
        assert_eq!(told, [PLAIN, "ready 7 oob false"]);
        assert_eq!(steps.iter().position(|step| step == PLAIN), Some(others.len()));
    }

    #[test]
    fn ids_are_large_and_differ() {
        let ids: std::collections::BTreeSet<_> = (0..1000).map(|_| unique_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| (1 << 52..1 << 53).contains(id)));
    }

    #[test]
    fn a_refusal_is_kept() {
        assert_eq!(
            play(OutOfBand::Auto, &[WITHOUT, REFUSED]),
            [PLAIN, r#"Refused(Refusal { class: GenericError, desc: "no" })"#]
        );
    }

    #[test]
    fn a_monitor_that_another_client_has_negotiated_is_taken_as_it_is() {
        let already = r#"{"id": 77, "error": {"class": "CommandNotFound", "desc": "already complete"}}"#;
        assert_eq!(
            play(OutOfBand::Auto, &[WITH_OOB, DONE.replace("77", "1").as_str(), already]),
            [ENABLE, "wait", "ready 10 oob false"]
        );
        assert_eq!(play(OutOfBand::Required, &[WITH_OOB, already]), [ENABLE, "NoOutOfBand"]);
    }

    #[test]
    fn greeted_means_the_greeting_has_come() {
        let mut handshake = Handshake::new(OutOfBand::Auto, 77);
        assert!(!handshake.greeted());
        handshake.on_message(Message::parse(WITHOUT.as_bytes()).unwrap());
        assert!(handshake.greeted());
    }
}
