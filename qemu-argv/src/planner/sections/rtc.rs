//! `-rtc`.

use crate::config::{RtcClock, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

pub(super) fn rtc(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("rtc");
    let rtc = &config.rtc;
    if let Some(base) = &rtc.base {
        let is_date = (10..=19).contains(&base.len())
            && base.bytes().all(|byte| byte.is_ascii_digit() || b"-:T".contains(&byte));
        if !matches!(base.as_str(), "utc" | "localtime") && !is_date {
            builder.invalid(
                at.field("base"),
                base,
                "is not a valid start time; expected utc, localtime or for example 2026-01-31T12:00:00",
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
        if !builder.board.is_pc() {
            builder.not_here(at.field("catch_up"), "delivery of lost ticks", "; it requires q35 or pc");
        }
        props.set("driftfix", "slew");
    }
    if !props.is_empty() {
        builder.option(at, "-rtc", props);
    }
}
