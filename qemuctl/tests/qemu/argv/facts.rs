//! What QEMU tells of a machine as a whole, against what was configured.

use qemu_argv::{OptionValue, Plan, SpiceInet, SpiceListen, VmConfig, VncInet, VncListen, VncUnix};
use serde_json::{Value, json};

use super::world::Running;

/// Properties of the machine that are not given back as they were set, and why.
const ONE_WAY: [(&str, &str); 5] = [
    ("type", "looked at by the machine's own type"),
    ("memory-backend", "a path in the tree"),
    ("pflash0", "a path in the tree"),
    ("pflash1", "a path in the tree"),
    ("pcspk-audiodev", "a reference, whose name QEMU keeps to itself in some versions"),
];

/// Everything that differs.
pub fn differences(vm: &mut Running, config: &VmConfig, plan: &Plan) -> Vec<String> {
    let mut found = Found(Vec::new());
    let name = vm.query("query-name", &json!({}));
    found.check("name", &json!(plan.name()), &name["name"]);
    if let Some(uuid) = &config.uuid {
        let there = vm.query("query-uuid", &json!({}));
        found.check("UUID", &json!(uuid.to_lowercase()), &there["UUID"]);
    }
    let status = vm.query("query-status", &json!({}));
    found.check(
        "status",
        &json!(if config.incoming || config.incoming_from.is_some() { "inmigrate" } else { "prelaunch" }),
        &status["status"],
    );
    if let Some(size) = config.memory_size() {
        let memory = vm.query("query-memory-size-summary", &json!({}));
        found.check("memory", &json!(size.to_bytes()), &memory["base-memory"]);
    }
    if let Some(count) = config.cpu_count() {
        let processors = vm.query("query-cpus-fast", &json!({}));
        found.check("processors", &json!(count), &json!(list(&processors).len()));
    }
    machine(vm, plan, &mut found);
    iothreads(vm, plan, &mut found);
    block(vm, plan, &mut found);
    chardevs(vm, plan, &mut found);
    network(vm, plan, &mut found);
    pci(vm, plan, &mut found);
    screens(vm, config, plan, &mut found);
    found.0
}

struct Found(Vec<String>);

impl Found {
    fn check(&mut self, what: &str, planned: &Value, there: &Value) {
        if planned != there {
            self.0.push(format!("  {what}: planned {planned}, there is {there}"));
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn option<'p>(plan: &'p Plan, name: &str) -> Option<&'p qemu_argv::Props> {
    plan.options().iter().find_map(|option| match &option.value {
        OptionValue::KeyValue(props) if option.name == name => Some(props),
        _ => None,
    })
}

fn machine(vm: &mut Running, plan: &Plan, found: &mut Found) {
    let Some(props) = option(plan, "-machine") else { return };
    for (key, value) in props.iter().filter(|(key, _)| !ONE_WAY.iter().any(|(name, _)| name == key)) {
        let planned = serde_json::to_value(value).expect("a value is JSON");
        let reply =
            vm.execute("qom-get", &json!({ "path": "/machine", "property": key })).expect("QEMU is there");
        let there = reply.get("return").unwrap_or(&reply);
        // Switches with a third word are told as words.
        let word = planned.as_bool().map(|on| json!(if on { "on" } else { "off" }));
        if Some(there) != word.as_ref() {
            found.check(&format!("machine {key}"), &planned, there);
        }
    }
}

fn iothreads(vm: &mut Running, plan: &Plan, found: &mut Found) {
    let there = vm.query("query-iothreads", &json!({}));
    let mut names: Vec<_> = list(&there).iter().map(|thread| thread["id"].clone()).collect();
    names.sort_by_key(Value::to_string);
    let planned = plan.objects().filter(|object| object.qom_type == "iothread");
    let mut planned: Vec<_> = planned.map(|object| json!(object.id)).collect();
    planned.sort_by_key(Value::to_string);
    found.check("iothreads", &json!(planned), &json!(names));
}

/// Each device has the node it was given.
fn block(vm: &mut Running, plan: &Plan, found: &mut Found) {
    let reply = vm.query("query-block", &json!({}));
    for device in plan.devices() {
        let Some(drive) = device.props.get_str("drive") else { continue };
        let whole = format!("/machine/peripheral/{}", device.id);
        let its = |entry: &&Value| {
            let qdev = entry["qdev"].as_str().unwrap_or_default();
            qdev == device.id || qdev == whole || qdev.starts_with(&format!("{whole}/"))
        };
        match list(&reply).iter().find(its) {
            Some(entry) => {
                found.check(
                    &format!("node of {}", device.id),
                    &json!(drive),
                    &entry["inserted"]["node-name"],
                );
            }
            None => found.0.push(format!("  query-block knows no {}: {reply}", device.id)),
        }
    }
}

/// Files and sockets byte for byte.
fn chardevs(vm: &mut Running, plan: &Plan, found: &mut Found) {
    let reply = vm.query("query-chardev", &json!({}));
    // Malta has a display of its own, and fills the ports that nobody asked for.
    let is_own = |label: &Value| {
        label.as_str().is_some_and(|label| label == "fpga" || label.starts_with("discarding-"))
    };
    // The debugger's port has one without a name, for the monitor's commands of a debugger.
    let named = list(&reply).iter().filter(|chardev| chardev["filename"] != "gdb");
    let labels = named.map(|chardev| chardev["label"].clone());
    let mut there: Vec<_> = labels.filter(|label| !is_own(label)).collect();
    there.sort_by_key(Value::to_string);
    let mut planned: Vec<_> = plan.chardevs().map(|chardev| json!(chardev.id)).collect();
    // One that is shared is told apart from what shares it.
    let shared = plan.chardevs().filter(|chardev| chardev.props.get("mux").is_some());
    planned.extend(shared.map(|chardev| json!(format!("{}-base", chardev.id))));
    planned.sort_by_key(Value::to_string);
    found.check("character devices", &json!(planned), &json!(there));
    for chardev in plan.chardevs() {
        let entry = list(&reply).iter().find(|entry| entry["label"] == *chardev.id);
        let name = entry.and_then(|entry| entry["filename"].as_str()).unwrap_or_default();
        let expected = match (&*chardev.kind, chardev.props.get_str("path")) {
            ("socket", Some(path)) => format!("disconnected:unix:{path},server=on"),
            // A file is told by its kind alone.
            ("null" | "ringbuf" | "file", _) => chardev.kind.to_string(),
            _ => continue,
        };
        if chardev.props.get("mux").is_none() {
            found.check(&format!("character device {}", chardev.id), &json!(expected), &json!(name));
        }
    }
}

fn network(vm: &mut Running, plan: &Plan, found: &mut Found) {
    if plan.netdevs().next().is_none() {
        return;
    }
    let text = vm.monitor("info network");
    for netdev in plan.netdevs() {
        // A port of a hub is told by what is plugged into it.
        let entry = match netdev.kind.as_ref() {
            "hubport" => format!(" \\ {}: ", netdev.id),
            kind => format!("{}: index=0,type={kind}", netdev.id),
        };
        if !text.contains(&entry) {
            found.0.push(format!("  {entry} is not in\n{text}"));
        }
    }
    for device in plan.devices() {
        let Some(mac) = device.props.get_str("mac") else { continue };
        let line = text.lines().find(|line| line.contains(&format!("macaddr={mac}")));
        if line.is_none() {
            found.0.push(format!("  {} with {mac} is not in\n{text}", device.id));
        }
    }
}

/// What sits on the root bus sits in its slot. (Buses behind bridges have no numbers before firmware ran.)
fn pci(vm: &mut Running, plan: &Plan, found: &mut Found) {
    let reply = vm.execute("query-pci", &json!({})).expect("QEMU is there");
    let Some(buses) = reply["return"].as_array() else { return };
    let devices: Vec<&Value> = buses.iter().flat_map(|bus| list(&bus["devices"])).collect();
    for device in plan.devices() {
        let Some(entry) = devices.iter().find(|entry| entry["qdev_id"] == *device.id) else { continue };
        let place = device.place.properties();
        let Some(addr) = place.get_str("addr") else { continue };
        let (slot, function) =
            (entry["slot"].as_u64().unwrap_or(99), entry["function"].as_u64().unwrap_or(99));
        let there = if function == 0 { format!("{slot:#x}") } else { format!("{slot:#x}.{function:#x}") };
        found.check(&format!("place of {}", device.id), &json!(addr), &json!(there));
    }
}

fn screens(vm: &mut Running, config: &VmConfig, plan: &Plan, found: &mut Found) {
    let servers = vm.execute("query-vnc-servers", &json!({})).expect("QEMU is there");
    let servers = list(&servers["return"]);
    found.check("VNC servers", &json!(usize::from(config.vnc.is_some())), &json!(servers.len()));
    if let (Some(vnc), Some(server)) = (&config.vnc, servers.first()) {
        let is_web = |socket: &&Value| socket["websocket"] == true;
        let (web, others): (Vec<_>, Vec<_>) = list(&server["server"]).iter().partition(is_web);
        let socket = others.first().copied().unwrap_or(&Value::Null);
        let planned: Vec<_> = vnc.websocket_port.iter().map(|port| json!(port.to_string())).collect();
        let there: Vec<_> = web.iter().map(|socket| socket["service"].clone()).collect();
        found.check("VNC for WebSocket", &json!(planned), &json!(there));
        match &vnc.listen {
            VncListen::None => found.check("VNC listener", &json!([]), &server["server"]),
            VncListen::Unix(VncUnix { path }) => found.check("VNC socket", &json!(path), &socket["service"]),
            VncListen::Inet(VncInet { host, port, last_port }) => {
                found.check("VNC address", &json!(host.as_deref().unwrap_or("127.0.0.1")), &socket["host"]);
                let there: u16 = socket["service"].as_str().and_then(|port| port.parse().ok()).unwrap_or(0);
                if !(*port..=last_port.unwrap_or(*port)).contains(&there) {
                    found.0.push(format!("  VNC port: planned {port}, there is {there}"));
                }
            }
            other => found.0.push(format!("  nobody looks at {other:?}")),
        }
        let password = vnc.password || vnc.password_secret.is_some();
        let expected = match (vnc.tls.is_some(), vnc.sasl, password) {
            (true, ..) => "vencrypt",
            (false, true, _) => "sasl",
            (false, false, true) => "vnc",
            (false, false, false) => "none",
        };
        found.check("VNC authentication", &json!(expected), &server["auth"]);
    }
    if let Some(spice) = &config.spice {
        let there = vm.query("query-spice", &json!({}));
        found.check("SPICE", &json!(true), &there["enabled"]);
        if let SpiceListen::Inet(SpiceInet { host, port, tls_port }) = &spice.listen {
            found.check("SPICE address", &json!(host.as_deref().unwrap_or("127.0.0.1")), &there["host"]);
            for (what, port, there) in
                [("SPICE port", port, &there["port"]), ("SPICE TLS port", tls_port, &there["tls-port"])]
            {
                if let Some(port) = port {
                    found.check(what, &json!(port), there);
                }
            }
        }
        let expected = if spice.disable_ticketing { "none" } else { "spice" };
        found.check("SPICE authentication", &json!(expected), &there["auth"]);
    }
    for socket in plan.sockets() {
        if let Err(error) = std::fs::symlink_metadata(&socket.path) {
            found.0.push(format!("  the socket {} of {:?}: {error}", socket.path.display(), socket.role));
        }
    }
}
