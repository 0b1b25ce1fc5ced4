//! `memory` and `cpus`: how much of both a running VM has.

use qemu_argv::Size;
use qemuctl::{Error, Instance};
use qmp_proto::{QueryHotpluggableCpus, QueryMemorySizeSummary};
use serde_json::json;

use super::super::context::Context;
use super::super::duration::Span;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::progress::Progress;
use super::super::table::size;
use super::super::vm::Vm;

/// Show or change the memory of a running VM
///
/// Less than it has is a request to the guest's balloon driver (`balloon = {}` in the config), more is added as a
/// memory module (`max` and `slots` in the section `memory`). The change is not written to the config.
#[derive(clap::Args, Debug)]
pub(crate) struct Memory {
    #[command(flatten)]
    vm: Vm,

    /// New size, such as 4GiB
    size: Option<Size>,
}

/// Show or change the number of CPUs of a running VM
///
/// The config sets the highest number (`max` in the section `cpu`). CPUs that were added can be removed again, if the
/// guest releases them. The change is not written to the config.
#[derive(clap::Args, Debug)]
pub(crate) struct Cpus {
    #[command(flatten)]
    vm: Vm,

    /// New number
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,

    /// How long to wait for the guest to release a CPU
    #[arg(short, long, value_name = "DURATION", default_value = "30s")]
    timeout: Span,
}

pub(crate) async fn memory(args: Memory, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let has = vm.execute(QueryMemorySizeSummary {}).await?;
    let total = has.base_memory.saturating_add(has.plugged_memory.unwrap_or_default());
    let Some(wanted) = args.size else {
        // Without a balloon the guest has all of it.
        let guest = vm.balloon().await.unwrap_or(total);
        if context.json {
            context.print_json(&json!({ "size_bytes": total, "guest_bytes": guest }))?;
        } else if guest == total {
            context.print(size(total))?;
        } else {
            context.print(format!("{} of {}", size(guest), size(total)))?;
        }
        return Ok(Exit::Done);
    };
    if wanted.to_bytes() > total {
        let more = Size::bytes(wanted.to_bytes() - total);
        vm.plug_memory(more).await.map_err(|error| {
            Failure::from(error).with_help(
                "set `memory = { size = …, max = …, slots = … }` in the config; Linux on x86 takes multiples of 128 MiB",
            )
        })?;
        context.note(format_args!("added {more} of memory to {}", vm.name()));
    } else {
        vm.set_balloon(wanted.to_bytes()).await.map_err(|error| {
            Failure::from(error)
                .with_help("a VM gives memory back by a balloon; add `balloon = {}` to the config")
        })?;
        context.note(format_args!("asked the guest of {} to use {wanted}", vm.name()));
    }
    Ok(Exit::Done)
}

pub(crate) async fn cpus(args: Cpus, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let all = vm.execute(QueryHotpluggableCpus {}).await?;
    // An entry may be a core with several threads.
    let each = all.first().map_or(1, |cpu| u32::try_from(cpu.vcpus_count).unwrap_or(1).max(1));
    let used: Vec<_> = all.iter().filter_map(|cpu| cpu.qom_path.clone()).collect();
    let count = |entries: usize| u32::try_from(entries).unwrap_or(u32::MAX).saturating_mul(each);
    let (now, most) = (count(used.len()), count(all.len()));
    let Some(wanted) = args.count else {
        if context.json {
            context.print_json(&json!({ "count": now, "max": most }))?;
        } else {
            context.print(format!("{now} of at most {most}"))?;
        }
        return Ok(Exit::Done);
    };
    if wanted % each != 0 {
        let text = format!("{} has CPUs in groups of {each}, so {wanted} is not possible", vm.name());
        return Err(Failure::new(Exit::Failed, text));
    }
    if wanted > now {
        vm.plug_cpus(((wanted - now) / each) as usize).await?;
    } else {
        remove(&vm, &used, ((now - wanted) / each) as usize, args.timeout, context).await?;
    }
    context.note(format_args!("{} has {wanted} CPUs", vm.name()));
    Ok(Exit::Done)
}

/// Removes CPUs that were added, the last ones first.
async fn remove(
    vm: &Instance,
    used: &[String],
    count: usize,
    timeout: Span,
    context: &Context,
) -> Result<(), Failure> {
    let mut ids: Vec<_> = used.iter().filter_map(|path| path.strip_prefix("/machine/peripheral/")).collect();
    ids.sort_unstable_by_key(|id| (id.len(), *id));
    if ids.len() < count {
        let text = format!(
            "only {} CPUs of {} can be removed: the others were there at its start",
            ids.len(),
            vm.name()
        );
        return Err(Failure::new(Exit::Failed, text));
    }
    let progress = Progress::start(context, format!("waiting for the guest to release {count} CPUs"));
    for id in ids.into_iter().rev().take(count) {
        match vm.unplug(id, timeout.0).await {
            Ok(()) => {}
            Err(error @ Error::StillPlugged { .. }) => {
                drop(progress);
                return Err(
                    Failure::from(error).with_help("a guest without a running operating system never does")
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
