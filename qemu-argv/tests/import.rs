//! From a command line to a config: what this crate renders comes back byte for byte, what people write by hand is the same
//! machine, and no text makes the import panic.

mod support;

#[path = "import/by_hand.rs"]
mod by_hand;
#[path = "import/hostile.rs"]
mod hostile;

use qemu_argv::import::{Outcome, import};
use qemu_argv::{Arch, Plan, Version};
use support::{VERSIONS, machines, planned};

/// Machines that do not come back yet, and why. Those that do have no place here.
const NOT_YET: [(&str, &str); 0] = [];

/// The words of a plan as QEMU gets them.
fn words(arch: Arch, plan: &Plan) -> Vec<String> {
    let line = plan.command_line();
    let args = line.args().map(|arg| arg.to_str().expect("is UTF-8").to_owned());
    std::iter::once(format!("qemu-system-{arch}")).chain(args).collect()
}

/// What is different after a command line has been imported and rendered again; nothing when it is the same.
fn difference(arch: Arch, version: Version, before: &[String], kept: usize) -> Vec<String> {
    let imported = match import(before) {
        Ok(imported) => imported,
        Err(error) => return vec![error.to_string()],
    };
    let again = match planned(&imported.config, version) {
        Ok(plan) => words(arch, &plan),
        Err(error) => return vec![error.to_string()],
    };
    let mut different = Vec::new();
    for note in &imported.notes {
        // What the machine itself passes on is passed on again.
        if !matches!(note.outcome, Outcome::Kept(_)) || imported.config.extra_args.len() != kept {
            different.push(format!("argument {} {}: {}", note.index, note.argument, note.reason));
        }
    }
    different.extend(before.iter().filter(|word| !again.contains(word)).map(|word| format!("- {word}")));
    different.extend(again.iter().filter(|word| !before.contains(word)).map(|word| format!("+ {word}")));
    if different.is_empty() && before != again {
        different.push("the order".into());
        different.extend(
            before
                .iter()
                .zip(&again)
                .find(|(one, other)| one != other)
                .map(|(one, other)| format!("{one} / {other}")),
        );
    }
    different
}

#[test]
fn every_rendered_machine_comes_back_byte_for_byte() {
    let mut faults = Vec::new();
    for machine in machines() {
        let reason = NOT_YET.iter().find(|(name, _)| *name == machine.name).map(|(_, why)| *why);
        let mut differs = false;
        for version in VERSIONS {
            let Ok(plan) = planned(&machine.config, version) else { continue };
            let arch = machine.config.arch.unwrap_or(Arch::X86_64);
            let different = difference(arch, version, &words(arch, &plan), machine.config.extra_args.len());
            if !different.is_empty() {
                differs = true;
                if reason.is_none() {
                    faults.push(format!("{} on {version}:\n  {}", machine.name, different.join("\n  ")));
                }
            }
        }
        if reason.is_some() && !differs {
            faults.push(format!("{} comes back; take it off the list", machine.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
