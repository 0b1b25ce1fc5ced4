//! Names, how the machine starts and ends, what the launcher does itself.

use super::bag::{Bag, Why, same_word};
use super::chardev;
use super::line::Line;
use crate::config::{
    BootModule, Monitor, MonitorMode, RebootAction, Rtc, ShutdownAction, VmConfig, Watchdog, WatchdogModel,
};
use crate::qemu_target::Arch;
use crate::value::Value;

/// What the launcher does itself, and how.
const LAUNCHERS: &[(&str, &str)] = &[
    ("daemonize", "`qemuctl start` runs a VM in the background"),
    ("pidfile", "`qemuctl list` and `qemuctl status` know the process"),
    ("curses", "`qemuctl console` shows the serial console"),
    ("preconfig", "the launcher starts the machine at once"),
    ("add-fd", "QEMU inherits only the descriptors that the launcher plans"),
    ("h", "QEMU prints its help and ends"),
    ("help", "QEMU prints its help and ends"),
    ("version", "QEMU prints its version and ends"),
    ("audio-help", "QEMU prints its help and ends"),
    ("dump-vmstate", "QEMU writes this file and ends"),
    ("no-kvm", "the accelerator is `machine.accel`"),
    ("enable-fips", "QEMU ignores it"),
    ("no-quit", "the windows of QEMU have no such switch any more"),
    ("no-frame", "the windows of QEMU have no such switch any more"),
    ("no-fd-bootchk", "the boot signature of floppy disks is checked, as by default"),
];

pub(super) fn names(line: &mut Line, config: &mut VmConfig) {
    if let Some((at, mut bag)) = line.merged("name") {
        match bag.text("guest") {
            Ok(Some(name)) => {
                let usable: String =
                    name.chars().filter(|letter| *letter != '/' && !letter.is_control()).collect();
                let usable = usable.trim_start_matches(['.', '-']);
                if usable != name {
                    line.remark(at, format!("a name becomes part of file names: it is {usable:?} now"));
                }
                line.name.clone_from(&name);
                config.name = (!usable.is_empty()).then(|| usable.to_owned());
            }
            Ok(None) => {}
            Err(why) => line.remark(at, why),
        }
        match (bag.text("process"), bag.flag("debug-threads")) {
            (Ok(process), Ok(threads)) => {
                (config.debug.process_name, config.debug.thread_names) = (process, threads);
            }
            (Err(why), _) | (_, Err(why)) => line.remark(at, why),
        }
        if let Err(why) = bag.done() {
            line.remark(at, why);
        }
    }
    for at in line.open("L") {
        // QEMU prints its own directories.
        if line.options[at].text() != "help" {
            config.data_dirs.push(line.options[at].text().into());
            line.typed(at);
        }
    }
    if let Some((_, name)) = line.last("loadvm") {
        config.load_snapshot = Some(name);
    }
    for (name, word) in [("runas", ""), ("run-with", "user=")] {
        for at in line.open(name) {
            let Some(user) = line.options[at].text().strip_prefix(word).map(str::to_owned) else { continue };
            if !user.contains([',', '=']) {
                config.run_as = Some(user);
                config.sandbox.allow_elevate = true;
                line.typed(at);
            }
        }
    }
    if let Some((at, uuid)) = line.last("uuid") {
        let parts: Vec<_> = uuid.split('-').map(str::len).collect();
        if parts == [8, 4, 4, 4, 12] && uuid.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
            config.uuid = Some(uuid);
        } else {
            line.extra(at, "it is not written as a config has it: 8-4-4-4-12 hexadecimal digits");
        }
    }
}

/// Monitors: the launcher's own, those on a terminal, and those of other programs.
pub(super) fn monitors(line: &mut Line, config: &mut VmConfig) {
    let own = |id: &str| id == "qmp0" || id == "qmp1" || id.starts_with("qmp1.");
    for at in line.open("qmp") {
        let id = line.options[at].text().strip_prefix("chardev:").map(str::to_owned);
        if let Some(id) = id.filter(|id| line.planned && own(id)) {
            line.typed(at);
            if let Some(chardev) = line.definition("chardev", &id) {
                line.typed(chardev);
            }
        }
    }
    for name in ["monitor", "qmp", "qmp-pretty"] {
        for at in line.open(name) {
            if is_here(line.options[at].text()) {
                line.drop(at, "use `qemuctl hmp` and `qemuctl qmp`");
            }
        }
    }
    for at in line.open("mon") {
        let id = line.bag(at).peek("chardev").unwrap_or_default().to_owned();
        let chardev = line.definition("chardev", &id);
        let here = !line.planned
            && chardev.is_some_and(|chardev| {
                matches!(line.bag(chardev).peek("backend"), Some("stdio" | "vc" | "null" | "pty"))
            });
        if here {
            line.drop(at, "use `qemuctl hmp` and `qemuctl qmp`");
            if let Some(chardev) = chardev.filter(|_| line.references("chardev", &id) == 0) {
                line.drop(chardev, "only a monitor used it");
            }
        }
    }
    // A machine of a config has only what the config says.
    for name in ["nodefaults", "no-user-config", "nodefconfig", "nouserconfig"] {
        line.switch(name);
    }
    for name in ["parallel", "audio"] {
        for at in line.open(name) {
            if line.options[at].text() == "none" {
                line.typed(at);
            }
        }
    }
    for (name, why) in LAUNCHERS {
        line.open(name).into_iter().for_each(|at| line.drop(at, *why));
    }
    if line.switch("S") {
        // The launcher that is connected lets it run.
        config.paused = !line.planned || line.anywhere("chardev", "qmp0").is_none();
    }
    for at in line.open("incoming") {
        match line.options[at].text().to_owned() {
            word if word == "defer" => config.incoming = true,
            address if address.contains(':') && !address.starts_with('{') => {
                config.incoming_from = Some(address);
            }
            _ => continue,
        }
        line.typed(at);
    }
}

/// Monitors of other programs, when the character devices of all else are known.
pub(super) fn other_monitors(line: &mut Line, config: &mut VmConfig) {
    let mut all = ["monitor", "qmp", "qmp-pretty"].map(|name| line.open(name)).concat();
    all.sort_unstable();
    for at in all {
        let (mode, pretty) = match line.options[at].name {
            "monitor" => (MonitorMode::Hmp, false),
            name => (MonitorMode::Qmp, name == "qmp-pretty"),
        };
        let text = line.options[at].text().to_owned();
        let found = match chardev::id_of(&text) {
            Some(id) => monitor(line, config, id),
            None => match chardev::legacy(&text) {
                Ok(Some(backend)) => Ok(Monitor::new(backend)),
                Ok(None) => {
                    line.typed(at);
                    continue;
                }
                Err(why) => Err(why),
            },
        };
        match found {
            Ok(monitor) => {
                config.monitors.push(Monitor { mode, pretty, ..monitor });
                line.typed(at);
            }
            Err(why) => line.extra(at, why),
        }
    }
    for at in line.open("mon") {
        let mut bag = line.bag(at);
        let mut read = || -> Result<Monitor, Why> {
            let id = bag.needed("chardev")?;
            let mode = bag.word("mode", &[("readline", MonitorMode::Hmp), ("control", MonitorMode::Qmp)])?;
            let pretty = bag.flag("pretty")?.unwrap_or_default();
            bag.done()?;
            Ok(Monitor { mode: mode.unwrap_or_default(), pretty, ..monitor(line, config, &id)? })
        };
        match read() {
            Ok(monitor) => {
                config.monitors.push(monitor);
                line.typed(at);
            }
            Err(why) => line.extra(at, why),
        }
    }
}

/// A monitor on this character device.
fn monitor(line: &mut Line, config: &VmConfig, id: &str) -> Result<Monitor, Why> {
    match chardev::used(line, config, id)? {
        chardev::Used::Own { at, backend, log: None } => {
            line.typed(at);
            Ok(Monitor::new(backend))
        }
        chardev::Used::Own { .. } => Err("a monitor has no log of its own".into()),
        chardev::Used::Listed(id) => Ok(Monitor { chardev: Some(id), ..Monitor::default() }),
    }
}

/// Whether a monitor is on QEMU's terminal or in its window, or nowhere.
fn is_here(value: &str) -> bool {
    let value = value.strip_prefix("mon:").unwrap_or(value);
    matches!(value, "stdio" | "none" | "null" | "pty" | "vc") || value.starts_with("vc:")
}

pub(super) fn sandbox(line: &mut Line, config: &mut VmConfig) {
    let Some((at, mut bag)) = line.merged("sandbox") else {
        config.sandbox.enabled = !line.planned;
        return;
    };
    let sandbox = &mut config.sandbox;
    let words = [("allow", true), ("deny", false)];
    let mut read = || -> Result<(), Why> {
        sandbox.enabled = bag.flag("enable")?.unwrap_or_default();
        // QEMU denies what is obsolete and allows the rest, unless it is told otherwise.
        sandbox.allow_obsolete = bag.word("obsolete", &words)?.unwrap_or_default();
        sandbox.allow_elevate = bag.word("elevateprivileges", &words)?.unwrap_or(true);
        sandbox.allow_spawn = bag.word("spawn", &words)?.unwrap_or(true);
        sandbox.allow_resource_control = bag.word("resourcecontrol", &words)?.unwrap_or(true);
        bag.done()
    };
    if let Err(why) = read() {
        line.remark(at, why);
    }
}

pub(super) fn ends(line: &mut Line, config: &mut VmConfig) {
    let actions = &mut config.actions;
    if let Some((at, mut bag)) = line.merged("action") {
        let mut read = || -> Result<(), Why> {
            actions.panic = bag.same_word("panic")?;
            actions.reboot = bag.same_word("reboot")?;
            actions.shutdown = bag.same_word("shutdown")?;
            actions.watchdog = bag.same_word("watchdog")?;
            bag.done()
        };
        if let Err(why) = read() {
            line.extra(at, why);
        }
    }
    if let Some((at, word)) = line.last("watchdog-action") {
        match same_word(&word) {
            Some(action) => actions.watchdog = Some(action),
            None => line.extra(at, "a config has no such action"),
        }
    }
    if line.switch("no-reboot") {
        actions.reboot = Some(RebootAction::Shutdown);
    }
    if line.switch("no-shutdown") {
        actions.shutdown = Some(ShutdownAction::Pause);
    }
}

pub(super) fn boot(line: &mut Line, config: &mut VmConfig) {
    let boot = &mut config.boot;
    boot.kernel = line.last("kernel").map(|(_, path)| path.into());
    if let Some((_, text)) = line.last("initrd") {
        let x86 = matches!(line.arch, Arch::X86_64 | Arch::I386);
        if x86 && text.contains([',', ' ']) {
            boot.modules = modules(&text);
        } else {
            boot.initrd = Some(text.into());
        }
    }
    for at in line.open("prom-env") {
        if let Some((name, value)) = line.options[at].text().split_once('=') {
            boot.prom_env.insert(name.to_owned(), value.to_owned());
            line.typed(at);
        }
    }
    boot.resolution = line.last("g").map(|(_, text)| text);
    boot.append = line.last("append").map(|(_, text)| text);
    boot.dtb = line.last("dtb").map(|(_, path)| path.into());
    if let Some((at, mut bag)) = line.merged("boot") {
        let mut read = || -> Result<(), Why> {
            boot.order = bag.text("order")?;
            boot.once = bag.text("once")?;
            boot.menu = bag.flag("menu")?;
            boot.splash_time_ms = bag.number("splash-time")?;
            boot.splash = bag.text("splash")?.map(Into::into);
            boot.reboot_timeout_ms = bag.number("reboot-timeout")?;
            boot.strict = bag.flag("strict")?;
            bag.done()
        };
        if let Err(why) = read() {
            line.remark(at, why);
        }
    }
    if let Some((at, mut bag)) = line.merged("rtc") {
        let mut read = || -> Result<Rtc, Why> {
            let base = bag.text("base")?;
            let clock = bag.same_word("clock")?;
            let catch_up = bag.word("driftfix", &[("slew", true), ("none", false)])?.unwrap_or_default();
            bag.done()?;
            Ok(Rtc { base, clock, catch_up })
        };
        match read() {
            Ok(rtc) => config.rtc = rtc,
            Err(why) => line.extra(at, why),
        }
    }
}

/// Modules of a multiboot kernel: commas that are no ends are doubled.
fn modules(text: &str) -> Vec<BootModule> {
    let mut modules = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let doubled = letter == ',' && letters.next_if_eq(&',').is_some();
        match modules.last_mut() {
            Some(module) if letter != ',' || doubled => module.push(letter),
            _ => modules.push(String::new()),
        }
    }
    let module = |text: String| match text.split_once(' ') {
        Some((path, args)) => BootModule { args: Some(args.to_owned()), ..BootModule::new(path) },
        None => BootModule::new(text),
    };
    modules.into_iter().map(module).collect()
}

/// `-global`: the watchdog of q35 is one, others are defaults of drivers' properties.
pub(super) fn globals(line: &mut Line, config: &mut VmConfig) {
    for at in line.open("global") {
        let Some((driver, property, value)) = global(line.options[at].text()) else { continue };
        if (driver.as_str(), property.as_str()) == ("ICH9-LPC", "noreboot")
            && matches!(value.as_str(), "off" | "false")
        {
            config.watchdog = Some(Watchdog { model: WatchdogModel::Itco });
        } else {
            let value = match value.as_str() {
                "on" => Value::Bool(true),
                "off" => Value::Bool(false),
                text => Value::number_or_text(text),
            };
            config.globals.entry(driver).or_default().set(property, value);
        }
        line.typed(at);
    }
}

/// The driver, property and value of `-global`, in either form.
pub(super) fn global(text: &str) -> Option<(String, String, String)> {
    let key_end = text.find(['.', '=', ','])?;
    if text[key_end..].starts_with('.') {
        let (property, value) = text[key_end + 1..].split_once('=')?;
        return Some((text[..key_end].to_owned(), property.to_owned(), value.to_owned()));
    }
    let mut bag = Bag::read(text, None, false).ok()?;
    let mut take = |key: &str| match bag.take(key) {
        Some(Value::Str(text)) => Some(text.to_string()),
        _ => None,
    };
    Some((take("driver")?, take("property")?, take("value")?))
}
