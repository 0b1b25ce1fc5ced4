//! Callers who wait no longer.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

#[test]
fn callers_are_late_each_at_its_time() {
    let mut play = Play::monitor();
    let begin = Instant::now();
    let second = |count| begin + Duration::from_secs(count);
    let [answered, first, large, patient, queued] =
        ["é-answered", "é-first", "é-large", "é-patient", "é-queued"].map(|name| play.submit(name));
    for (ticket, until) in [(answered, 1), (first, 1), (queued, 3)] {
        play.pipeline.wait_until(ticket, second(until), None);
    }
    play.pipeline.wait_until(large, second(2), Some(Duration::from_secs(10)));
    assert_eq!(play.pipeline.expire(begin).1, Some(second(1)));
    play.written();
    play.reply(0, "1");
    let (wakers, next) = play.pipeline.expire(second(1));
    assert_eq!((wakers.len(), next), (1, Some(second(2))));
    assert_eq!(play.poll(answered).unwrap(), "1");
    assert_eq!(play.poll(first).unwrap(), "late");
    play.pipeline.abandon(first);
    let (wakers, next) = play.pipeline.expire(second(2));
    assert_eq!((wakers.len(), next), (0, Some(second(3))), "QEMU has taken more of it");
    let (wakers, next) = play.pipeline.expire(second(11));
    assert_eq!((wakers.len(), next), (1, Some(second(12))));
    play.reply(4, "5");
    assert_eq!(
        play.poll(queued).unwrap(),
        "5",
        "a reply that comes before the caller has looked is not too late"
    );
    let (wakers, next) = play.pipeline.expire(second(12));
    assert_eq!((wakers.len(), next), (1, None));
    assert_eq!(play.poll(large).unwrap(), "late");
    assert_eq!(play.poll(patient), None);
}
