//! A guest agent: no ids, one command at a time, in step or not.

use super::*;

const SYNC: &str = "\u{fffd} guest-sync-delimited\",\"arguments\":{\"id\":";

#[test]
fn an_agent_is_brought_in_step_first() {
    let mut play = Play::agent();
    assert_eq!(play.written(), "", "an idle agent is left alone");
    let (first, second) = (play.submit("a"), play.submit("b"));
    assert_eq!(play.written(), format!("{SYNC}1"));
    assert!(play.pipeline.is_agent() && play.pipeline.is_out_of_step());
    play.answer("77");
    play.refuse(Id::Missing);
    assert_eq!(play.written(), "");
    play.answer("1");
    assert_eq!(play.written(), "a");
    play.answer("10");
    assert_eq!(play.written(), "b", "one at a time");
    play.refuse(Id::Missing);
    assert_eq!(play.poll(first).unwrap(), "10");
    assert_eq!(play.poll(second).unwrap(), "refused: no");
}

/// An agent in step.
fn in_step() -> Play {
    let mut play = Play::agent();
    let ticket = play.submit("a");
    play.written();
    play.answer("1");
    assert_eq!(play.written(), "a");
    play.answer("0");
    assert_eq!(play.poll(ticket).unwrap(), "0");
    play
}

#[test]
fn an_agent_that_did_not_answer_is_brought_in_step_again() {
    let mut play = in_step();
    let late = play.submit("late");
    assert_eq!(play.written(), "late");
    play.pipeline.abandon(late);
    let next = play.submit("next");
    assert_eq!(play.written(), format!("{SYNC}2"));
    assert_eq!(play.pipeline.filter(b"{\"return\": \"late\"}"), None);
    assert_eq!(play.pipeline.filter(b"\xff{\"return\": 2}"), Some(&b"{\"return\": 2}"[..]));
    play.answer("2");
    assert_eq!(play.written(), "next");
    play.answer("5");
    assert_eq!(play.poll(next).unwrap(), "5");
}

#[test]
fn an_absent_agent_is_asked_again_by_each_caller() {
    let mut play = Play::agent();
    for number in 1..5 {
        let ticket = play.submit("a");
        assert_eq!(play.written(), format!("{SYNC}{number}"));
        assert!(!play.pipeline.was_sent(ticket));
        play.pipeline.abandon(ticket);
    }
    assert!(play.pipeline.is_idle());
}

#[test]
fn a_busy_agent_is_not_disturbed_by_one_who_cannot_wait() {
    let mut play = in_step();
    let slow = play.submit("slow");
    assert_eq!(play.written(), "slow");
    let hasty = play.submit("hasty");
    play.pipeline.abandon(hasty);
    play.answer("9");
    assert_eq!(play.poll(slow).unwrap(), "9");
    assert!(!play.pipeline.is_out_of_step());
}

#[test]
fn what_must_not_get_lost_is_said_again() {
    let mut play = in_step();
    play.pipeline.submit_detached(Play::command("thaw"));
    assert_eq!(play.written(), "thaw");
    // The agent was restarted: the thaw is lost, and the next caller waits in vain.
    let next = play.submit("next");
    assert_eq!(play.written(), "");
    play.pipeline.abandon(next);
    assert_eq!(play.written(), format!("{SYNC}2"));
    play.answer("2");
    assert_eq!(play.written(), "thaw");
    play.answer("1");
    assert!(play.pipeline.is_idle());
}

#[test]
fn an_abandoned_freeze_is_followed_by_its_thaw() {
    let mut play = in_step();
    let orphan = Some(Orphan::Always(Box::new(Play::command("thaw"))));
    let freeze = play.pipeline.submit(Outgoing { orphan, ..Play::command("freeze") }).unwrap();
    assert_eq!(play.written(), "freeze");
    play.pipeline.abandon(freeze);
    assert_eq!(play.written(), format!("{SYNC}2"));
    play.answer("2");
    assert_eq!(play.written(), "thaw");
}
