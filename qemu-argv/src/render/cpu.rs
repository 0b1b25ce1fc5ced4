//! `-cpu` and `-smp`.

use std::fmt::Write as _;

use crate::config::Cpu;
use crate::draft::Draft;
use crate::error::At;
use crate::value::{Props, Value};

pub(super) fn cpu(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let at = root.field("cpu");
    let cpu = &draft.config.cpu;
    model(draft, at, cpu);
    topology(draft, at, cpu);
}

fn model(draft: &mut Draft<'_>, at: At<'_>, cpu: &Cpu) {
    let target = draft.target;
    let accel = draft.accel();
    // `host` cannot be had without the host's processor; discovery says what stands for it.
    let asked =
        cpu.model.as_deref().filter(|model| *model != "host" || accel.is_hardware() && target.cpu.is_none());
    let by_default = || {
        let on_hardware = accel.is_hardware().then_some("host");
        target.cpu.as_deref().or(on_hardware).or_else(|| target.arch.default_cpu(target.version))
    };
    // The machine `none` has no place for a processor, and starting one there is an error.
    let is_bare = draft.config.machine.kind.as_deref() == Some("none");
    let model = asked.or_else(|| if is_bare { None } else { by_default() });
    let Some(model) = model else {
        if !cpu.features.is_empty() {
            draft.conflict(at.field("features"), "features need a model: give `cpu.model`");
        }
        return;
    };
    let model_at = at.field("model");
    check_word(draft, model_at, model);
    if model.contains('=') {
        draft.invalid(model_at, model, "is no model: features have a table of their own");
    }
    let mut text = model.to_owned();
    let features_at = at.field("features");
    draft.check_keys(features_at, &cpu.features);
    for (key, value) in cpu.features.iter() {
        text.push(',');
        text.push_str(key);
        // Writing to a String cannot fail.
        let _ = match value {
            Value::Bool(on) => write!(text, "={}", if *on { "on" } else { "off" }),
            Value::Int(number) => write!(text, "={number}"),
            Value::Uint(number) => write!(text, "={number}"),
            Value::Str(word) => {
                check_word(draft, features_at.field(key), word);
                write!(text, "={word}")
            }
            _ => {
                draft.conflict(features_at.field(key), "a feature is true, false, a number or a word");
                Ok(())
            }
        };
    }
    draft.plain(at, "-cpu", text);
}

/// QEMU takes `-cpu` apart at commas, and knows no way to write one.
fn check_word(draft: &mut Draft<'_>, at: At<'_>, word: &str) {
    if word.is_empty()
        || word.contains(',')
        || word.chars().any(char::is_control)
        || matches!(word, "help" | "?")
    {
        draft.invalid(at, word, "cannot be written into `-cpu`");
    }
}

fn topology(draft: &mut Draft<'_>, at: At<'_>, cpu: &Cpu) {
    let Cpu { count, max, sockets, dies, clusters, cores, threads, .. } = *cpu;
    let most = max.unwrap_or(count);
    if count == 0 {
        draft.invalid(at.field("count"), "0", "is no number of processors");
    }
    if most < count {
        draft.conflict(at.field("max"), format!("{most} is less than the {count} at boot"));
    }
    let levels = [sockets, dies, clusters, cores, threads];
    if levels.contains(&Some(0)) {
        draft.conflict(at, "sockets, dies, clusters, cores and threads are at least 1");
    } else if levels.iter().any(Option::is_some) {
        let product =
            levels.iter().flatten().fold(1_u64, |product, level| product.saturating_mul((*level).into()));
        let whole = sockets.is_some() && cores.is_some() && threads.is_some();
        if whole && product != u64::from(most) || u64::from(most) % product != 0 {
            let why = format!("the topology makes {product} processors, but there are {most} at most");
            draft.conflict(at, why);
        }
    }
    if clusters.is_some_and(|clusters| clusters > 1) && draft.board.is_x86() {
        draft.not_here(at.field("clusters"), "a cluster of cores", "");
    }
    if dies.is_some_and(|dies| dies > 1) && !draft.board.is_x86() {
        draft.not_here(at.field("dies"), "a die of cores", "");
    }
    let props = Props::new()
        .with("cpus", count)
        .with_some("maxcpus", max)
        .with_some("sockets", sockets)
        .with_some("dies", dies)
        .with_some("clusters", clusters)
        .with_some("cores", cores)
        .with_some("threads", threads);
    draft.option(at, "-smp", props);
}
