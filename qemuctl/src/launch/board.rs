//! Whether the QEMU that was chosen starts the board of a plan.

use qemu_argv::{Fault, Plan, PlanError, Problem, VmConfig};
use qemu_discovery::{Probe, probe};

use super::Qemu;
use crate::config::nearest;
use crate::error::{Cause, Error};

/// Has QEMU start the board of `plan` for a moment, without devices and without running its guest, and tells what it refuses: a
/// machine type, a processor or a property that it does not know, or a board that needs a kernel or firmware. The answer is
/// remembered for as long as QEMU and the files stay the same.
///
/// `config` is what the plan was made from.
///
/// # Errors
///
/// - [`Error::Plan`] if QEMU refuses it.
/// - [`Error::Discovery`] if QEMU cannot be asked.
///
/// # Cancel safety
///
/// A QEMU that is being asked is ended.
pub async fn check_board(qemu: &Qemu, config: &VmConfig, plan: &Plan) -> Result<(), Error> {
    let probe = probe(&qemu.program).await?;
    let machine = plan.machine();
    let fault = if probe.machine(machine).is_none() {
        let names = probe.machines.iter().flat_map(|known| known.alias.iter().chain([&known.name]));
        unknown("machine.type", "machine type", machine, nearest(machine, names.map(String::as_str)))
    } else {
        let bare = plan.bare_board().command_line();
        let Some(words) = probe.refuses_board(bare.args()).await? else { return Ok(()) };
        refused(config, &probe, machine, &words)
    };
    Err(Error::Plan(PlanError::new(vec![fault])))
}

/// Words of QEMU about another part of the config than the machine type.
const PLACES: [(&str, &str); 4] = [
    ("Invalid SMP CPUs", "cpu.count"),
    ("Invalid RAM size", "memory.size"),
    ("-cpu.", "cpu.features"),
    ("could not load kernel", "boot.kernel"),
];

fn unknown(path: &str, what: &str, value: &str, meant: Option<&str>) -> Problem {
    let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    Problem::new(path, Fault::Conflict { why: format!("this QEMU has no {what} {value:?}{meant}") })
}

/// What QEMU's words are about.
fn refused(config: &VmConfig, probe: &Probe, machine: &str, words: &str) -> Problem {
    let path = match (Cause::from_words(words.lines()), config.cpu.model.as_deref()) {
        (Some(Cause::UnknownCpu), Some(model)) => {
            let names = probe.cpu_models.iter().map(|known| known.name.as_str());
            return unknown("cpu.model", "CPU model", model, nearest(model, names));
        }
        (Some(Cause::OutOfMemory), _) => "memory",
        _ => PLACES.iter().find(|(said, _)| words.contains(said)).map_or("machine", |(_, path)| path),
    };
    Problem::new(path, Fault::Conflict { why: format!("QEMU does not start {machine} like this: {words}") })
}
