//! `-icount` and `-plugin`: what only TCG can do.

use crate::config::{Icount, Plugin, Replay, ReplayMode, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

/// Counting of instructions, recordings and plugins.
pub(super) fn replay(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("debug");
    if let Some(icount) = &config.debug.icount {
        count(builder, at.field("icount"), icount);
    }
    for (index, Plugin { path, args }) in config.debug.plugins.iter().enumerate() {
        let at = at.item("plugins", index);
        only_tcg(builder, at, "a plugin");
        builder.check_keys(at.field("args"), args);
        let mut props = Props::new().with("file", builder.raw_path(at.field("path"), path));
        for (key, value) in args.iter() {
            if key == "file" || matches!(value, Value::Null | Value::List(_) | Value::Map(_)) {
                builder.conflict(at.field("args"), "an argument must be a boolean, a number or a text");
            }
            props.set(key.to_owned(), value.clone());
        }
        builder.option(at, "-plugin", props);
    }
}

fn only_tcg(builder: &mut Builder<'_>, at: At<'_>, what: &str) {
    if builder.accel.is_hardware() {
        builder.conflict(at, format!("{what} requires TCG; set machine.accel = \"tcg\""));
    }
}

fn count(builder: &mut Builder<'_>, at: At<'_>, icount: &Icount) {
    only_tcg(builder, at, "`icount`");
    let Icount { shift, align, sleep, replay } = icount;
    if let Some(shift) = shift.filter(|shift| *shift > 10) {
        builder.invalid(at.field("shift"), &shift.to_string(), "is not a valid shift; expected 0 to 10");
    }
    if *align == Some(true) && (shift.is_none() || *sleep == Some(false)) {
        builder.conflict(at.field("align"), "`align` requires `shift`, and `sleep` not to be false");
    }
    if *sleep == Some(false) && shift.is_none() {
        builder.conflict(at.field("sleep"), "`sleep = false` requires `shift`");
    }
    let mut props = Props::new();
    match shift {
        Some(shift) => props.set("shift", *shift),
        None => props.set("shift", "auto"),
    }
    props = props.with_some("align", *align).with_some("sleep", *sleep);
    if let Some(Replay { mode, file, snapshot }) = replay {
        let at = at.field("replay");
        let word = match mode {
            ReplayMode::Record => "record",
            ReplayMode::Replay => "replay",
        };
        let file = builder.raw_path(at.field("file"), file);
        props = props.with("rr", word).with("rrfile", file).with_some("rrsnapshot", snapshot.as_ref());
        builder.has_replay = true;
    }
    builder.option(at, "-icount", props);
}
