//! `-cpu` and `-smp`.

use crate::config::{Cpu, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::qemu_target::TargetCpu;
use crate::topology::Family;
use crate::value::{Props, Value};

pub(super) fn cpu(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("cpu");
    let cpu = &config.cpu;
    model(builder, at, config);
    topology(builder, at, cpu);
}

fn model(builder: &mut Builder<'_>, at: At<'_>, config: &VmConfig) {
    let cpu = &config.cpu;
    let target = builder.target;
    let accel = builder.accel;
    // `host` cannot be had without the host's processor; discovery says what stands for it.
    let asked =
        cpu.model.as_deref().filter(|model| *model != "host" || accel.is_hardware() && target.cpu.is_none());
    let by_default = || {
        let on_hardware = accel.is_hardware().then_some("host");
        let model = || on_hardware.or_else(|| target.arch.default_cpu(target.version));
        target.cpu.clone().or_else(|| model().map(TargetCpu::new))
    };
    // The machine `none` has no place for a processor, and starting one there is an error. Other boards have a model of their own.
    let is_left = builder.board.family() == Family::None || builder.board.decides_itself();
    let chosen = asked.map(TargetCpu::new).or_else(|| if is_left { None } else { by_default() });
    let Some(chosen) = chosen else {
        if !cpu.features.is_empty() {
            builder.conflict(at.field("features"), "`features` requires `cpu.model`");
        }
        return;
    };
    let model_at = at.field("model");
    let model = &*chosen.model;
    check_word(builder, model_at, model);
    if model.contains('=') {
        builder.invalid(model_at, model, "is not a valid CPU model; set features in `cpu.features`");
    }
    let chosen = chosen.with(&cpu.features);
    check_features(builder, at.field("features"), &chosen.features);
    builder.plain(at, "-cpu", chosen.to_string());
}

fn check_features(builder: &mut Builder<'_>, at: At<'_>, features: &Props) {
    builder.check_keys(at, features);
    for (key, value) in features.iter() {
        match value {
            Value::Bool(_) | Value::Int(_) | Value::Uint(_) => {}
            Value::Str(word) => check_word(builder, at.field(key), word),
            _ => builder.conflict(at.field(key), "a feature must be true, false, a number or a word"),
        }
    }
}

/// QEMU takes `-cpu` apart at commas, and knows no way to write one.
fn check_word(builder: &mut Builder<'_>, at: At<'_>, word: &str) {
    if word.is_empty()
        || word.contains(',')
        || word.chars().any(char::is_control)
        || matches!(word, "help" | "?")
    {
        builder.invalid(at, word, "cannot be written into `-cpu`");
    }
}

fn topology(builder: &mut Builder<'_>, at: At<'_>, cpu: &Cpu) {
    let Cpu { max, sockets, dies, clusters, cores, threads, .. } = *cpu;
    let Some(count) = cpu.count_on(builder.board.machine) else {
        if max.is_some() || [sockets, dies, clusters, cores, threads].iter().any(Option::is_some) {
            builder.conflict(at.field("count"), "`max` and a topology require `cpu.count` on this board");
        }
        return;
    };
    let most = max.unwrap_or(count);
    if count == 0 {
        builder.invalid(at.field("count"), "0", "is not a valid number of CPUs");
    }
    if most < count {
        builder.conflict(at.field("max"), format!("{most} is less than the {count} at boot"));
    }
    let levels = [sockets, dies, clusters, cores, threads];
    if levels.contains(&Some(0)) {
        builder.conflict(at, "sockets, dies, clusters, cores and threads must be at least 1");
    } else if levels.iter().any(Option::is_some) {
        let product =
            levels.iter().flatten().fold(1_u64, |product, level| product.saturating_mul((*level).into()));
        let whole = sockets.is_some() && cores.is_some() && threads.is_some();
        if whole && product != u64::from(most) || u64::from(most) % product != 0 {
            let why = format!("the topology has {product} CPUs, but the maximum is {most}");
            builder.conflict(at, why);
        }
    }
    if clusters.is_some_and(|clusters| clusters > 1) && builder.board.is_x86() {
        builder.not_here(at.field("clusters"), "a cluster of cores", "");
    }
    if dies.is_some_and(|dies| dies > 1) && !builder.board.is_x86() {
        builder.not_here(at.field("dies"), "a die of cores", "");
    }
    let props = Props::new()
        .with("cpus", count)
        .with_some("maxcpus", max)
        .with_some("sockets", sockets)
        .with_some("dies", dies)
        .with_some("clusters", clusters)
        .with_some("cores", cores)
        .with_some("threads", threads);
    builder.option(at, "-smp", props);
}
