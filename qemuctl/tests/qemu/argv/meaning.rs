//! What QEMU says it has is what the plan says: property by property, node by node.

use std::collections::BTreeMap;

use qemu_argv::{Plan, Props};
use serde_json::{Value, json};

use super::world::{Running, World};
use crate::support::VERSIONS;

/// Properties that QEMU does not give back as they were set, and why.
const ONE_WAY: [(&str, &str); 7] = [
    ("acpi-index", "a number of the board"),
    ("audiodev", "a reference, whose name QEMU keeps to itself in some versions"),
    ("guest-stats-polling-interval", "set before the guest is there"),
    ("guid", "`auto` became a random one"),
    ("fsdev", "a reference that is not given back"),
    ("mem-path", "only on some versions"),
    ("limits", "given back with every limit; looked at below"),
];

/// Every property of a device, an object or a block node that is not what was planned.
pub fn differences(vm: &mut Running, plan: &Plan) -> Vec<String> {
    [devices(vm, plan), objects(vm, plan), nodes(vm, plan)].concat()
}

fn compare(vm: &mut Running, path: &str, props: &Props) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, value) in props.iter() {
        if ONE_WAY.iter().any(|(name, _)| *name == key) {
            continue;
        }
        let planned = serde_json::to_value(value).expect("a value is JSON");
        let property = if key == "bus" { "parent_bus" } else { key };
        let arguments = json!({ "path": path, "property": property });
        let reply = vm.execute("qom-get", &arguments).expect("QEMU is there");
        let there = reply.get("return").unwrap_or(&reply);
        if !same(key, &planned, there) {
            wrong.push(format!("  {path} {key}: planned {planned}, there is {there}"));
        }
    }
    wrong
}

/// Whether QEMU gives back what was planned, in whichever way it writes that.
fn same(key: &str, planned: &Value, there: &Value) -> bool {
    if planned == there {
        return true;
    }
    match (key, planned, there) {
        // The place in the tree of what is named.
        ("bus", Value::String(name), Value::String(path)) => path.ends_with(&format!("/{name}")),
        ("iothread" | "rng", Value::String(name), Value::String(path)) => *path == format!("/objects/{name}"),
        // Slot and function in one number.
        ("addr", Value::String(address), there) => {
            let number =
                |text: &str| u8::from_str_radix(text.trim_start_matches("0x"), 16).expect("is hexadecimal");
            let (slot, function) = address.split_once('.').unwrap_or((address, "0"));
            *there == json!(number(slot) << 3 | number(function))
        }
        // With other zeroes.
        ("devno", Value::String(planned), Value::String(there)) => {
            let number =
                |text: &str| u16::from_str_radix(text.rsplit('.').next().unwrap_or_default(), 16).ok();
            number(planned).is_some_and(|planned| number(there) == Some(planned))
        }
        // A number or its text, by version.
        ("wwn", Value::Number(planned), Value::String(there)) => {
            u64::from_str_radix(there.trim_start_matches("0x"), 16).ok() == planned.as_u64()
        }
        // QEMU reads `on` and `off` where a property has more words than these.
        (_, Value::String(word), there) => word == "off" && *there == json!(false),
        _ => false,
    }
}

fn devices(vm: &mut Running, plan: &Plan) -> Vec<String> {
    plan.devices()
        .flat_map(|device| {
            let path = format!("/machine/peripheral/{}", device.id);
            let mut wrong = compare(vm, &path, &device.place.properties());
            // USB storage hands its node on to a SCSI disk of its own; that it is there, the node's user shows.
            let props =
                device.props.iter().filter(|(key, _)| device.driver != "usb-storage" || *key != "drive");
            let props =
                props.fold(Props::new(), |props, (key, value)| props.with(key.to_owned(), value.clone()));
            wrong.extend(compare(vm, &path, &props));
            wrong
        })
        .collect()
}

fn objects(vm: &mut Running, plan: &Plan) -> Vec<String> {
    let mut wrong = Vec::new();
    for object in plan.objects() {
        if object.qom_type == "secret" {
            continue;
        }
        let path = format!("/objects/{}", object.id);
        wrong.extend(compare(vm, &path, &object.props));
        if object.qom_type == "throttle-group" {
            let there = vm.query("qom-get", &json!({ "path": path, "property": "limits" }));
            let planned = serde_json::to_value(object.props.get("limits")).expect("limits are JSON");
            for (key, value) in planned.as_object().expect("limits are a table") {
                if there[key] != *value {
                    wrong.push(format!("  {path} {key}: planned {value}, there is {}", there[key]));
                }
            }
        }
    }
    wrong
}

/// Names, drivers, files byte for byte, caches, and whether they can be written.
fn nodes(vm: &mut Running, plan: &Plan) -> Vec<String> {
    let reply = vm.query("query-named-block-nodes", &json!({ "flat": true }));
    let there: BTreeMap<_, _> = reply
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| (node["node-name"].as_str().expect("a name").to_owned(), node.clone()))
        .collect();
    let mut wrong = Vec::new();
    for node in plan.block_nodes() {
        let Some(found) = there.get(&*node.node_name) else {
            wrong.push(format!("  there is no block node {}", node.node_name));
            continue;
        };
        let mut check = |what: &str, planned: Value, is: &Value| {
            if planned != *is {
                wrong.push(format!(
                    "  block node {} {what}: planned {planned}, there is {is}",
                    node.node_name
                ));
            }
        };
        check("driver", json!(node.driver), &found["drv"]);
        if let Some(file) = node.props.get_str("filename") {
            check("file", json!(file), &found["file"]);
        }
        if let Some(qemu_argv::Value::Bool(read_only)) = node.props.get("read-only") {
            check("read-only", json!(read_only), &found["ro"]);
        }
        if let Some(qemu_argv::Value::Map(cache)) = node.props.get("cache") {
            for (key, value) in cache.iter() {
                check(key, serde_json::to_value(value).expect("a value is JSON"), &found["cache"][key]);
            }
        }
    }
    let own = there.keys().filter(|name| !name.starts_with('#'));
    for name in own.filter(|name| !plan.block_nodes().any(|node| node.node_name == **name)) {
        wrong.push(format!("  there is an unplanned block node {name}"));
    }
    wrong
}

#[test]
fn user_networks_are_as_configured() {
    for version in VERSIONS {
        let world = World::new(version);
        let config = world.machine("full-q35");
        let plan = world.plan(&config).expect("a plan");
        world.furnish(&config, &plan);
        let mut vm = world.start(&config, &plan);
        vm.ready().expect(version);
        let network = vm.monitor("info network");
        let line = network.lines().find(|line| line.contains("net0: index=0,type=user")).unwrap_or_default();
        assert_eq!(
            line.trim(),
            r"\ net0: index=0,type=user,net=10.1.2.0,restrict=on",
            "{version}: {network}"
        );
        let mut forwards: Vec<_> = vm
            .monitor("info usernet")
            .lines()
            .filter(|line| line.contains("HOST_FORWARD"))
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .map(|words| format!("{} {} {} {}", words[0], words[2], words[4], words[5]))
            .collect();
        forwards.sort();
        assert_eq!(
            forwards,
            ["TCP[HOST_FORWARD] 127.0.0.1 10.1.2.20 22", "UDP[HOST_FORWARD] 127.0.0.1 10.1.2.15 53"],
            "{version}"
        );
    }
}
