//! The bookkeeping, played through without a socket.

mod agent;
mod bare;
mod late;
mod orphans;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use qmp_proto::ErrorClass;

use super::sending::WINDOW;
use super::*;
use crate::wire::framing::{Framer, Kept};
use crate::wire::message::{Id, Refusal};

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn kept(text: &str) -> Kept {
    let mut framer = Framer::new(text.len());
    framer.space()[..text.len()].copy_from_slice(text.as_bytes());
    framer.keep(0..text.len())
}

/// A pipeline, the bytes it wanted written, and one waker for all callers.
struct Play {
    pipeline: Pipeline,
    count: Arc<Count>,
}

impl Play {
    fn monitor() -> Self {
        Self { pipeline: Pipeline::monitor(false), count: Arc::default() }
    }

    fn agent() -> Self {
        Self { pipeline: Pipeline::agent(AgentSync::new(1)), count: Arc::default() }
    }

    fn command(name: &str) -> Outgoing {
        Outgoing::in_band(format!("{{\"execute\":\"{name}\"").into_bytes())
    }

    fn submit(&mut self, name: &str) -> Ticket {
        self.submit_as(name, Lane::InBand)
    }

    fn submit_as(&mut self, name: &str, lane: Lane) -> Ticket {
        let ticket = self.pipeline.submit(Outgoing { lane, ..Self::command(name) }).unwrap();
        assert!(self.poll(ticket).is_none(), "nothing is answered at once");
        ticket
    }

    /// Everything that may be written now, as text with the names and ids only: `a0 b1`.
    fn written(&mut self) -> String {
        self.pipeline.fill();
        let mut text = String::new();
        while let Some((bytes, fd)) = self.pipeline.pending() {
            if fd.is_some() {
                text.push('*');
            }
            text.push_str(&String::from_utf8_lossy(bytes));
            let count = bytes.len();
            self.pipeline.wrote(count);
            self.pipeline.fill();
        }
        let short = [("{\"execute\":\"", " "), ("\",\"id\":", ""), ("\"}", ""), ("}", "")];
        let text = short.into_iter().fold(text, |text, (long, short)| text.replace(long, short));
        text.trim().to_owned()
    }

    /// The id that QEMU repeats in the reply to the command with this place.
    fn id(&self, place: u64) -> Id {
        let place_of = usize::try_from(place).ok();
        let flight = place_of.and_then(|place| self.pipeline.flights.get(place)?.as_ref());
        if flight.is_some_and(|flight| flight.bare) { Id::Missing } else { Id::Number(place) }
    }

    fn reply(&mut self, place: u64, value: &str) {
        let waker = self.pipeline.on_reply(self.id(place), Ok(kept(value)));
        waker.into_iter().for_each(Waker::wake);
    }

    /// The reply to the oldest command, without an id.
    fn answer(&mut self, value: &str) {
        let waker = self.pipeline.on_reply(Id::Missing, Ok(kept(value)));
        waker.into_iter().for_each(Waker::wake);
    }

    fn refuse(&mut self, id: Id) {
        let refusal = Refusal { class: ErrorClass::GenericError, desc: "no".into() };
        let waker = self.pipeline.on_reply(id, Err(refusal));
        waker.into_iter().for_each(Waker::wake);
    }

    /// The outcome as text, if there is one.
    fn poll(&mut self, ticket: Ticket) -> Option<String> {
        let waker = Waker::from(Arc::clone(&self.count));
        match self.pipeline.poll(ticket, &waker) {
            Poll::Pending => None,
            Poll::Ready(Outcome::Success(value)) => Some(String::from_utf8(value.to_vec()).unwrap()),
            Poll::Ready(Outcome::Refused(refusal)) => Some(format!("refused: {}", refusal.desc)),
            Poll::Ready(Outcome::NotUnderstood(desc)) => Some(format!("not understood: {desc}")),
            Poll::Ready(Outcome::Late) => Some("late".into()),
            Poll::Ready(Outcome::Closed(reason)) => Some(format!("closed: {reason}")),
        }
    }

    fn woken(&self) -> usize {
        self.count.0.load(Ordering::Relaxed)
    }
}

#[test]
fn replies_find_their_callers_in_any_order() {
    let mut play = Play::monitor();
    let tickets = ["éa", "éb", "éc"].map(|name| play.submit(name));
    assert_eq!(play.written(), "éa0 éb1 éc2");
    play.reply(2, "20");
    play.reply(0, "0");
    play.refuse(Id::Number(1));
    assert_eq!(play.woken(), 3);
    assert_eq!(tickets.map(|ticket| play.poll(ticket).unwrap()), ["0", "refused: no", "20"]);
    assert!(play.pipeline.is_idle());
}

#[test]
fn ids_are_small_and_used_again() {
    let mut play = Play::monitor();
    for _ in 0..100 {
        let (first, second) = (play.submit("éa"), play.submit("éb"));
        assert_eq!(play.written(), "éa0 éb1");
        play.reply(0, "1");
        let third = play.submit("éc");
        assert_eq!(play.written(), "éc0");
        play.reply(1, "2");
        play.reply(0, "3");
        assert_eq!([first, second, third].map(|ticket| play.poll(ticket).unwrap()), ["1", "2", "3"]);
    }
    assert_eq!(play.pipeline.callers.len(), 3);
}

#[test]
fn the_window_is_fair_and_never_exceeded() {
    let mut play = Play::monitor();
    let tickets: Vec<_> = (0..10).map(|number| play.submit(&format!("c{number}-"))).collect();
    assert_eq!(play.written(), "c0- c1- c2- c3- c4- c5- c6-");
    assert_eq!(play.written(), "");
    play.answer("1");
    assert_eq!(play.written(), "c7-");
    play.answer("1");
    play.answer("1");
    assert_eq!(play.written(), "c8- c9-");
    assert_eq!(play.poll(tickets[8]), None);
}

#[test]
fn out_of_band_commands_go_ahead() {
    let mut play = Play::monitor();
    for number in 0..9 {
        play.submit(&format!("c{number}-"));
    }
    play.written();
    let urgent: Vec<_> = (0..6).map(|_| play.submit_as("u", Lane::OutOfBand)).collect();
    assert_eq!(play.written(), "u7 u8 u9 u10", "a stuck QEMU gets no endless stream of them");
    play.reply(9, "1");
    assert_eq!(play.poll(urgent[2]).unwrap(), "1");
    assert_eq!(play.written(), "u9");
    play.pipeline.abandon(urgent[5]);
    play.reply(9, "1");
    assert_eq!(play.written(), "", "what was not sent is taken back");
}

#[test]
fn a_late_reply_reaches_nobody() {
    let mut play = Play::monitor();
    let late = play.submit("élate");
    assert_eq!(play.written(), "élate0");
    assert!(play.pipeline.was_sent(late));
    play.pipeline.abandon(late);
    let next = play.submit("énext");
    assert_eq!(play.written(), "énext1", "the late reply's id is not given to another");
    play.reply(0, "\"late\"");
    assert_eq!(play.poll(next), None);
    play.reply(1, "\"next\"");
    assert_eq!(play.poll(next).unwrap(), "\"next\"");
    assert!(play.pipeline.is_idle());
}

#[test]
fn what_was_not_sent_is_taken_back() {
    let mut play = Play::monitor();
    let tickets: Vec<_> = (0..9).map(|number| play.submit(&format!("c{number}-"))).collect();
    play.written();
    assert!(!play.pipeline.was_sent(tickets[7]));
    play.pipeline.abandon(tickets[7]);
    play.answer("1");
    assert_eq!(play.written(), "c8-");
}

#[test]
fn silence_does_not_fill_the_memory() {
    let mut play = Play::monitor();
    for _ in 0..10_000 {
        let ticket = play.submit("a");
        play.written();
        play.pipeline.abandon(ticket);
    }
    assert_eq!(play.pipeline.flights.len(), WINDOW);
    assert_eq!(play.pipeline.callers.len(), 1);
    assert!(play.pipeline.queue.is_empty());
}

#[test]
fn replies_to_nobody_are_discarded() {
    let mut play = Play::monitor();
    let (first, second) = (play.submit("éa"), play.submit("éb"));
    assert_eq!(play.written(), "éa0 éb1");
    for id in [2, 7, u64::MAX] {
        assert!(play.pipeline.on_reply(Id::Number(id), Ok(kept("1"))).is_none());
    }
    play.refuse(Id::Foreign);
    assert!(play.pipeline.on_reply(Id::Foreign, Ok(kept("1"))).is_none());
    assert_eq!((play.poll(first), play.poll(second)), (None, None));
    play.reply(0, "2");
    play.reply(0, "3");
    assert!(play.pipeline.on_reply(Id::Missing, Ok(kept("4"))).is_none());
    assert_eq!(play.poll(first).unwrap(), "2");
    assert_eq!(play.poll(second), None);
}

#[test]
fn a_descriptor_travels_alone() {
    let mut play = Play::monitor();
    let fd = || Some(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
    let before = play.submit("before");
    let first = play.pipeline.submit(Outgoing { lane: Lane::Exclusive, fd: fd(), ..Play::command("first") });
    let second =
        play.pipeline.submit(Outgoing { lane: Lane::Exclusive, fd: fd(), ..Play::command("second") });
    play.submit("after");
    assert_eq!(play.written(), "before");
    play.reply(0, "1");
    assert_eq!(play.poll(before).unwrap(), "1");
    assert_eq!(play.written(), "* first");
    play.submit_as("urgent", Lane::OutOfBand);
    assert_eq!(play.written(), "urgent1", "an out-of-band command takes no descriptor and may pass");
    play.pipeline.abandon(first.unwrap());
    assert_eq!(play.written(), "", "an abandoned one still has to be answered");
    play.reply(0, "1");
    assert_eq!(play.written(), "* second0", "something else is in flight");
    play.refuse(Id::Number(0));
    assert_eq!(play.poll(second.unwrap()).unwrap(), "refused: no");
    assert_eq!(play.written(), "after0");
}

#[test]
fn a_partly_written_command_is_finished() {
    let mut play = Play::monitor();
    let ticket = play.submit("a");
    play.pipeline.fill();
    assert_eq!(play.pipeline.progress(ticket), 0);
    play.pipeline.wrote(5);
    assert_eq!(play.pipeline.progress(ticket), 5);
    play.pipeline.abandon(ticket);
    assert_eq!(play.pipeline.pending().unwrap().0, b"cute\":\"a\"}");
}

#[test]
fn progress_ends_with_the_command() {
    let mut play = Play::monitor();
    let (first, second) = (play.submit("a"), play.submit("b"));
    play.written();
    assert_eq!((play.pipeline.progress(first), play.pipeline.progress(second)), (15, 30));
    play.reply(0, "1");
    assert_eq!(play.pipeline.progress(first), 30, "an answered one follows the stream");
    assert!(play.pipeline.was_sent(first));
}

#[test]
fn an_error_without_an_id_belongs_to_the_oldest() {
    let mut play = Play::monitor();
    let [first, second, third] = ["a", "b", "c"].map(|name| play.submit(name));
    let urgent = play.submit_as("u", Lane::OutOfBand);
    assert_eq!(play.written(), "u0 a1 b2 c3");
    play.reply(1, "1");
    play.refuse(Id::Missing);
    assert_eq!(play.poll(second).unwrap(), "not understood: no");
    assert_eq!((play.poll(third), play.poll(urgent)), (None, None));
    assert_eq!(play.poll(first).unwrap(), "1");

    // The next command goes behind a byte that makes QEMU's parser start afresh.
    let (next, after) = (play.submit("d"), play.submit("e"));
    assert_eq!(play.written(), "\u{fffd} d1");
    play.refuse(Id::Missing);
    assert_eq!(play.poll(next), None, "the error that the byte causes is nobody's");
    play.reply(1, "2");
    assert_eq!(play.poll(next).unwrap(), "2");
    assert_eq!(
        play.poll(third).unwrap(),
        "not understood: QEMU lost its place in the input",
        "replies come in order, so this one never will"
    );
    assert_eq!(play.poll(urgent), None);
    assert_eq!(play.written(), "e1");
    play.reply(1, "3");
    assert_eq!(play.poll(after).unwrap(), "3");
}

#[test]
fn an_error_without_an_id_to_nobody_is_discarded() {
    let mut play = Play::monitor();
    play.refuse(Id::Missing);
    let ticket = play.submit("a");
    assert_eq!(play.written(), "a");
    assert_eq!(play.poll(ticket), None);
}

#[test]
fn the_end_reaches_everybody() {
    let mut play = Play::monitor();
    let tickets: Vec<_> = (0..9).map(|_| play.submit("a")).collect();
    let urgent = play.submit_as("u", Lane::OutOfBand);
    play.pipeline.submit_detached(Play::command("d"));
    play.written();
    play.reply(1, "1");
    let wakers = play.pipeline.close(&CloseReason::Eof);
    assert_eq!(wakers.len(), 9);
    assert!(play.pipeline.close(&CloseReason::Local).is_empty(), "only the first reason counts");
    assert_eq!(play.pipeline.closed(), Some(&CloseReason::Eof));
    let outcomes: Vec<_> =
        tickets.into_iter().chain([urgent]).map(|ticket| play.poll(ticket).unwrap()).collect();
    let closed = "closed: the peer closed the connection";
    assert_eq!(outcomes[0], "1", "a reply that came is kept");
    assert_eq!(&outcomes[1..], vec![closed; 9]);
    assert!(play.pipeline.submit(Play::command("b")).is_err());
    play.pipeline.submit_detached(Play::command("b"));
    assert!(play.pipeline.is_idle() && play.pipeline.is_quiet());
}

#[test]
fn large_buffers_are_given_back() {
    let mut play = Play::monitor();
    let large = Outgoing::in_band(vec![b'x'; 1 << 20]);
    play.pipeline.submit_detached(large);
    play.written();
    assert_eq!(play.pipeline.out.capacity(), 0);
    let tickets: Vec<_> = (0..100).map(|_| play.submit("a")).collect();
    for ticket in tickets {
        play.pipeline.abandon(ticket);
    }
    play.reply(0, "1");
    assert_eq!(play.pipeline.callers.capacity(), 0);
}

#[test]
fn nothing_is_shown_of_arguments() {
    let orphan = Some(Orphan::Always(Box::new(Play::command("secret"))));
    let shown = format!("{:?}", Outgoing { orphan, ..Play::command("secret") });
    assert_eq!(shown, "Outgoing { 19 bytes, InBand, None, Some(Always) }");
    let undo = Orphan::OnReply(Box::new(|_: &[u8]| None));
    assert_eq!(format!("{undo:?}"), "OnReply");
}

#[test]
fn an_outcome_that_nobody_takes_leaves_nothing_behind() {
    let mut play = Play::monitor();
    let ticket = play.submit("a");
    play.written();
    play.reply(0, "1");
    play.pipeline.abandon(ticket);
    let next = play.submit("b");
    assert_eq!(next, ticket, "the place is free again");
    assert_eq!(play.written(), "b");
    play.reply(0, "2");
    assert_eq!(play.poll(next).unwrap(), "2");
    assert!(play.pipeline.is_idle());
}
