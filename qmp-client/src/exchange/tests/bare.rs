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
    assert_eq!(play.written(), "a1", "not alone");
}

#[test]
fn a_late_reply_without_an_id_reaches_nobody() {
    let mut play = Play::monitor();
    let late = play.submit("late");
    assert_eq!(play.written(), "late");
    play.exchange.abandon(late);
    let (next, urgent) = (play.submit("next"), play.submit_as("u", Lane::OutOfBand));
    assert_eq!(play.written(), "u1 next2");
    play.reply(1, "1");
    play.refuse(Id::Missing);
    assert_eq!(play.poll(urgent).unwrap(), "1");
    assert_eq!(play.poll(next), None, "the error was the late one's");
    play.refuse(Id::Missing);
    assert_eq!(play.poll(next).unwrap(), "not understood: no", "and this one is not");
}

#[test]
fn a_refusal_without_an_id_is_no_parse_error() {
    let mut play = Play::monitor();
    let (first, second) = (play.submit("a"), play.submit("b"));
    assert_eq!(play.written(), "a b1");
    play.refuse(Id::Missing);
    assert_eq!((play.poll(first).unwrap().as_str(), play.poll(second)), ("refused: no", None));
    play.reply(1, "1");
    play.submit("c");
    assert_eq!(play.written(), "c", "QEMU has not lost its place");
}
