//! The rendered JSON in QEMU's own types: nothing unknown in it, nothing lost.

mod support;

use qmp_proto::{Audiodev, BlockdevOptions, ChardevAdd, DisplayOptions, NetdevAdd, ObjectAdd};
use serde::Serialize;
use serde::de::DeserializeOwned;
use support::{VERSIONS, machines, planned};

/// Decodes into QEMU's type and back; a member that the type does not know would be missing then.
fn same<T: Serialize + DeserializeOwned>(what: &str, json: &str) {
    let typed: T = serde_json::from_str(json).unwrap_or_else(|error| panic!("{what}: {error}: {json}"));
    let before: serde_json::Value = serde_json::from_str(json).expect("is JSON");
    let after = serde_json::to_value(&typed).expect("serializes");
    assert_eq!(after, before, "{what}");
}

#[test]
fn every_rendered_json_is_of_qemus_own_types() {
    let mut seen = [0; 6];
    for machine in machines() {
        for version in VERSIONS {
            let Ok(plan) = planned(&machine.config, version) else { continue };
            let name = &machine.name;
            for node in plan.block_nodes() {
                same::<BlockdevOptions>(name, &node.arguments().to_json());
                seen[0] += 1;
            }
            for object in plan.objects() {
                same::<ObjectAdd>(name, &object.arguments().to_json());
                seen[1] += 1;
            }
            for netdev in plan.netdevs() {
                same::<NetdevAdd>(name, &netdev.arguments().to_json());
                seen[2] += 1;
            }
            for chardev in plan.chardevs() {
                same::<ChardevAdd>(name, &chardev.arguments().to_json());
                seen[3] += 1;
            }
            let line = plan.command_line();
            let args: Vec<_> = line.args().map(|arg| arg.to_string_lossy()).collect();
            for pair in args.windows(2).filter(|pair| pair[1].starts_with('{')) {
                match pair[0].as_ref() {
                    "-audiodev" => {
                        same::<Audiodev>(name, &pair[1]);
                        seen[4] += 1;
                    }
                    "-display" => {
                        same::<DisplayOptions>(name, &pair[1]);
                        seen[5] += 1;
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "something was never rendered: {seen:?}");
}
