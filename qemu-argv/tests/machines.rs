//! Whole machines: every file of `tests/machines` is planned for each QEMU, and the command line is a snapshot.

mod support;

use std::fmt::Write as _;

use qemu_argv::Arch;
use support::{VERSIONS, machines, planned};

/// The newest version in full; of the others what differs, or why they refuse.
#[test]
fn every_machine_renders_as_before() {
    for machine in machines() {
        let mut shown = String::new();
        let mut newest: Vec<String> = Vec::new();
        for version in VERSIONS.iter().rev() {
            writeln!(shown, "QEMU {version}, qemu-system-{}", machine.config.arch.unwrap_or(Arch::X86_64))
                .expect("a String takes it");
            match planned(&machine.config, *version) {
                Err(error) => writeln!(shown, "{error}\n").expect("a String takes it"),
                Ok(plan) => {
                    let lines: Vec<_> = plan.command_line().to_string().lines().map(str::to_owned).collect();
                    if newest.is_empty() {
                        for slot in plan.fds() {
                            writeln!(shown, "fd {}: {:?}", slot.fd, slot.role).expect("a String takes it");
                        }
                        for line in &lines {
                            writeln!(shown, "  {line}").expect("a String takes it");
                        }
                        newest = lines;
                    } else {
                        newest.iter().filter(|line| !lines.contains(line)).for_each(|line| {
                            writeln!(shown, "- {line}").expect("a String takes it");
                        });
                        lines.iter().filter(|line| !newest.contains(line)).for_each(|line| {
                            writeln!(shown, "+ {line}").expect("a String takes it");
                        });
                    }
                    shown.push('\n');
                }
            }
        }
        insta::with_settings!({ snapshot_path => "machines", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(machine.name.as_str(), shown);
        });
    }
}

/// A plan is data: saved and read back it is the same, and says the same command line.
#[test]
fn every_plan_survives_saving() {
    for machine in machines() {
        for version in VERSIONS {
            let Ok(plan) = planned(&machine.config, version) else { continue };
            let saved = serde_json::to_string(&plan).expect("a plan serializes");
            let read: qemu_argv::Plan = serde_json::from_str(&saved).expect("a plan reads back");
            assert_eq!(read, plan, "{}", machine.name);
            assert_eq!(read.command_line(), plan.command_line(), "{}", machine.name);
        }
    }
}

/// The same machine as JSON and as TOML is the same machine.
#[test]
fn every_configuration_survives_json_and_toml() {
    for machine in machines() {
        // Inline secrets are not written out, so they cannot come back.
        let mut config = machine.config;
        config.secrets.iter_mut().for_each(|secret| secret.value = None);
        let json = serde_json::to_string(&config).expect("serializes to JSON");
        assert_eq!(
            serde_json::from_str::<qemu_argv::VmConfig>(&json).expect("reads JSON"),
            config,
            "{}",
            machine.name
        );
        let text = toml::to_string(&config).expect("serializes to TOML");
        assert_eq!(
            toml::from_str::<qemu_argv::VmConfig>(&text).expect("reads TOML"),
            config,
            "{}",
            machine.name
        );
    }
}
