//! From the greeting to the reply that says the machine is built.
//!
//! Pure: messages in, the next step out. The greeting is not readiness: a QEMU with a bad `-device` greets
//! in full and dies; only the reply to `qmp_capabilities` means that start-up worked.

use crate::message::{Greeting, Message, Refusal};
use crate::options::OutOfBand;

/// Where a handshake stands.
#[derive(Debug)]
pub(crate) enum Handshake {
    AwaitGreeting(OutOfBand),
    AwaitReply { greeting: Greeting, oob: bool },
    Over,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for the next message.
    Wait,
    /// Send this and wait.
    Send(&'static str),
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
    pub(crate) fn new(oob: OutOfBand) -> Self {
        Self::AwaitGreeting(oob)
    }

    /// Whether the greeting has come.
    pub(crate) fn greeted(&self) -> bool {
        !matches!(self, Self::AwaitGreeting(_))
    }

    /// Takes a message. Events may come at any time. A greeting may be repeated: QEMU sends it each time it
    /// believes that its end was opened.
    pub(crate) fn on_message(&mut self, message: Message<'_>) -> Step {
        match (&mut *self, message) {
            (Self::AwaitGreeting(wanted), Message::Greeting(greeting)) => {
                let offered = greeting.capabilities.iter().any(|capability| capability == "oob");
                if *wanted == OutOfBand::Required && !offered {
                    *self = Self::Over;
                    return Step::Failed(Failure::NoOutOfBand);
                }
                let oob = offered && *wanted != OutOfBand::Off;
                *self = Self::AwaitReply { greeting, oob };
                Step::Send(if oob {
                    r#"{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}"#
                } else {
                    r#"{"execute":"qmp_capabilities"}"#
                })
            }
            (Self::AwaitReply { greeting, .. }, Message::Greeting(repeated)) => {
                *greeting = repeated;
                Step::Wait
            }
            (Self::AwaitReply { .. }, Message::Reply { outcome, .. }) => {
                let Self::AwaitReply { greeting, oob } = std::mem::replace(self, Self::Over) else {
                    return Step::Wait;
                };
                match outcome {
                    Ok(_) => Step::Ready { greeting, oob },
                    Err(refusal) => Step::Failed(Failure::Refused(refusal)),
                }
            }
            // Replies to nobody, events, and what a newer QEMU may say.
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
    const DONE: &str = r#"{"return": {}}"#;
    const REFUSED: &str = r#"{"error": {"class": "GenericError", "desc": "no"}}"#;

    /// Plays a whole handshake and shows its steps.
    fn play(oob: OutOfBand, lines: &[&str]) -> Vec<String> {
        let mut handshake = Handshake::new(oob);
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

    const PLAIN: &str = r#"send {"execute":"qmp_capabilities"}"#;
    const ENABLE: &str = r#"send {"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}"#;

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
    fn a_refusal_is_kept() {
        assert_eq!(
            play(OutOfBand::Auto, &[WITHOUT, REFUSED]),
            [PLAIN, r#"Refused(Refusal { class: GenericError, desc: "no" })"#]
        );
    }

    #[test]
    fn greeted_means_the_greeting_has_come() {
        let mut handshake = Handshake::new(OutOfBand::Auto);
        assert!(!handshake.greeted());
        handshake.on_message(Message::parse(WITHOUT.as_bytes()).unwrap());
        assert!(handshake.greeted());
    }
}
