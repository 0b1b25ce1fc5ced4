//! Commands that are undone because nobody has waited for them.

use super::*;

#[test]
fn orphans_are_undone() {
    let mut play = Play::monitor();
    let undo = || Some(Orphan::Always(Box::new(Play::command("undo"))));
    let sent = play.pipeline.submit(Outgoing { orphan: undo(), ..Play::command("do") }).unwrap();
    assert_eq!(play.written(), "do");
    play.pipeline.abandon(sent);
    assert_eq!(play.written(), "undo");
    let unsent = play.pipeline.submit(Outgoing { orphan: undo(), ..Play::command("do") }).unwrap();
    play.pipeline.abandon(unsent);
    assert_eq!(play.written(), "", "what was not sent needs no undoing");
    play.answer("1");
    play.answer("1");
    assert!(play.pipeline.is_idle());
}

#[test]
fn what_was_answered_and_not_looked_at_is_undone() {
    let mut play = Play::monitor();
    let undo = |reply: &[u8]| Some(Play::command(&format!("undo-{}-", String::from_utf8_lossy(reply))));
    let orphans = [Orphan::Always(Box::new(Play::command("undo"))), Orphan::OnReply(Box::new(undo))];
    for (orphan, expected) in orphans.into_iter().zip(["undo", "undo-1-"]) {
        let ticket = play.pipeline.submit(Outgoing { orphan: Some(orphan), ..Play::command("do") }).unwrap();
        assert_eq!(play.written(), "do");
        play.reply(0, "1");
        play.pipeline.abandon(ticket);
        assert_eq!(play.written(), expected);
        play.reply(0, "1");
    }
    assert!(play.pipeline.is_idle());
}

#[test]
fn orphans_are_undone_by_their_late_reply() {
    let mut play = Play::monitor();
    let with_undo = || {
        let undo = |reply: &[u8]| Some(Play::command(&format!("undo-{}-", String::from_utf8_lossy(reply))));
        Outgoing { orphan: Some(Orphan::OnReply(Box::new(undo))), ..Play::command("do") }
    };
    let answered = play.pipeline.submit(with_undo()).unwrap();
    let late = play.pipeline.submit(with_undo()).unwrap();
    let refused = play.pipeline.submit(with_undo()).unwrap();
    assert_eq!(play.written(), "do do do");
    play.pipeline.abandon(late);
    play.pipeline.abandon(refused);
    play.answer("5");
    play.answer("6");
    play.refuse(Id::Missing);
    assert_eq!(play.written(), "undo-6-");
    assert_eq!(play.poll(answered).unwrap(), "5");
}
