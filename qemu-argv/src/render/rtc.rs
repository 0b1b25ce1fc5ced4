//! `-rtc`.

use crate::config::RtcClock;
use crate::draft::Draft;
use crate::error::At;
use crate::value::Props;

pub(super) fn rtc(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let at = root.field("rtc");
    let rtc = &draft.config.rtc;
    if let Some(base) = &rtc.base {
        let is_date = (10..=19).contains(&base.len())
            && base.bytes().all(|byte| byte.is_ascii_digit() || b"-:T".contains(&byte));
        if !matches!(base.as_str(), "utc" | "localtime") && !is_date {
            draft.invalid(
                at.field("base"),
                base,
                "is no start of a clock: utc, localtime or 2026-01-31T12:00:00",
            );
        }
    }
    let clock = rtc.clock.map(|clock| match clock {
        RtcClock::Host => "host",
        RtcClock::Rt => "rt",
        RtcClock::Vm => "vm",
    });
    let mut props = Props::new().with_some("base", rtc.base.as_ref()).with_some("clock", clock);
    if rtc.catch_up {
        if !draft.board.is_pc() {
            draft.not_here(at.field("catch_up"), "delivery of lost ticks", "; it is for q35 and pc");
        }
        props.set("driftfix", "slew");
    }
    if !props.is_empty() {
        draft.option(at, "-rtc", props);
    }
}
