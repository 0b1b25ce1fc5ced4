//! Commands without an id.

use super::*;

#[test]
fn an_id_is_left_out_where_nothing_can_be_mistaken() {
    let mut play = Play::monitor();
    let odd = ["\u{ffff}", "\\\\u0000", &"x".repeat(1024)].map(|name| {
        let ticket = play.submit(name);
        assert!(play.written().ends_with('0'), "an error without an id may be about its text");
        play.reply(0, "1");
        play.poll(ticket).unwrap()
    });
    assert_eq!(odd, ["1"; 3]);
    play.submit_as("u", Lane::OutOfBand);
    assert_eq!(play.written(), "u0", "may be answered ahead of others");
    play.submit("a");
    assert_eq!(play.written(), "a1", "an error without an id might be the other's");
}

#[test]
fn replies_without_ids_are_known_by_their_turn() {
    let mut play = Play::monitor();
    let tickets = ["a", "b", "c"].map(|name| play.submit(name));
    assert_eq!(play.written(), "a b c");
    let (odd, next) = (play.submit("é"), play.submit("d"));
    assert_eq!(play.written(), "é3 d4");
    play.answer("1");
    play.refuse(Id::Missing);
    play.answer("3");
    assert_eq!(tickets.map(|ticket| play.poll(ticket).unwrap()), ["1", "refused: no", "3"]);
    play.refuse(Id::Missing);
    assert_eq!((play.poll(odd).unwrap().as_str(), play.poll(next)), ("not understood: no", None));
}

#[test]
fn a_late_reply_without_an_id_reaches_nobody() {
    let mut play = Play::monitor();
    let late = play.submit("late");
    assert_eq!(play.written(), "late");
    play.pipeline.abandon(late);
    let (next, urgent) = (play.submit("next"), play.submit_as("u", Lane::OutOfBand));
    assert_eq!(play.written(), "u1 next2");
    play.reply(1, "1");
    play.refuse(Id::Missing);
    assert_eq!(play.poll(urgent).unwrap(), "1");
    assert_eq!(play.poll(next), None, "the error was the late one's");
    play.refuse(Id::Missing);
    assert_eq!(play.poll(next).unwrap(), "not understood: no", "and this one is not");

    let mut play = Play::monitor();
    let (late, next) = (play.submit("late"), play.submit("next"));
    assert_eq!(play.written(), "late next");
    play.pipeline.abandon(late);
    play.answer("1");
    assert_eq!(play.poll(next), None);
    play.answer("2");
    assert_eq!(play.poll(next).unwrap(), "2");
}

#[test]
fn a_refusal_without_an_id_is_no_parse_error() {
    let mut play = Play::monitor();
    let (first, second) = (play.submit("a"), play.submit("b"));
    assert_eq!(play.written(), "a b");
    play.refuse(Id::Missing);
    assert_eq!((play.poll(first).unwrap().as_str(), play.poll(second)), ("refused: no", None));
    play.answer("1");
    assert_eq!(play.poll(second).unwrap(), "1");
    play.submit("c");
    assert_eq!(play.written(), "c", "QEMU has not lost its place");
}

#[test]
fn an_id_where_none_was_sent_is_understood_and_makes_this_peer_get_ids() {
    for id in [Id::Number(0), Id::Number(7), Id::Foreign] {
        let mut play = Play::monitor();
        let ticket = play.submit("a");
        assert_eq!(play.written(), "a");
        play.pipeline.on_reply(id, Ok(kept("1"))).into_iter().for_each(Waker::wake);
        assert_eq!(play.poll(ticket).unwrap(), "1");
        play.submit("b");
        assert_eq!(play.written(), "b0");
        assert!(play.pipeline.on_reply(id, Ok(kept("2"))).is_some() == (id == Id::Number(0)));
    }
}

#[test]
fn a_peer_that_answers_twice_gets_ids() {
    let mut play = Play::monitor();
    let ticket = play.submit("a");
    assert_eq!(play.written(), "a");
    play.answer("1");
    play.answer("1");
    assert_eq!(play.poll(ticket).unwrap(), "1");
    let next = play.submit("b");
    assert_eq!(play.written(), "b0");
    play.answer("1");
    assert_eq!(play.poll(next), None);
    play.reply(0, "2");
    assert_eq!(play.poll(next).unwrap(), "2");

    let mut play = Play::monitor();
    let odd = play.submit("é");
    assert_eq!(play.written(), "é0");
    play.reply(0, "1");
    assert_eq!(play.poll(odd).unwrap(), "1");
    let next = play.submit("b");
    assert_eq!(play.written(), "b");
    assert!(play.pipeline.on_reply(Id::Number(0), Ok(kept("1"))).is_none(), "answered again");
    assert_eq!(play.poll(next), None);
    play.answer("2");
    assert_eq!(play.poll(next).unwrap(), "2");
}
