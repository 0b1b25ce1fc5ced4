//! `extra_args`: passed on as they are, unless the launcher would make them void or they would break it.

use super::provider::usual_bus;
use crate::config::{NicModel, OtherBus, VmConfig};
use crate::error::Fault;
use crate::flag_options::FLAG_OPTIONS;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

/// Options that a launcher takes over or that end QEMU at once: why, and what to use instead.
const REFUSED: &[(&[&str], &str)] = &[
    (&["S"], "it conflicts with the launcher, which starts the guest; use `paused = true`"),
    (
        &["daemonize"],
        "the launcher has to supervise the process; use `qemuctl start` to run a VM in the background",
    ),
    (
        &["nographic"],
        "QEMU's standard input is used for the monitor; without `display` there is no window, and `qemuctl console` shows the serial console",
    ),
    (&["curses"], "QEMU has no terminal here; use `qemuctl console`, or `vnc = {}` for the screen"),
    (&["preconfig"], "the launcher would wait forever for the machine to be created; remove it"),
    (
        &["add-fd"],
        "QEMU inherits only the file descriptors of the plan; pass others with `LaunchOptions::descriptors`, or later over QMP",
    ),
    (&["enable-kvm", "accel"], "set the accelerator with `machine = { accel = … }`"),
    (&["h", "help", "version", "audio-help"], "QEMU prints this and exits; run it without the launcher"),
    (&["dump-vmstate"], "QEMU writes this file and exits; run it without the launcher"),
];

/// Options whose argument is a character device.
const STREAMS: &[&str] =
    &["serial", "parallel", "monitor", "qmp", "qmp-pretty", "debugcon", "gdb", "virtioconsole", "chardev"];

pub(super) fn check(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, argument) in config.extra_args.iter().enumerate() {
        let at = At::entry("extra_args", index);
        if argument.contains('\0') {
            builder.fault(at, Fault::Conflict { why: "must not contain a NUL character".into() });
        }
        builder.check_length(at, argument.len());
    }
    let mut arguments = config.extra_args.iter().enumerate();
    while let Some((index, argument)) = arguments.next() {
        let at = At::entry("extra_args", index);
        let Some(name) = option(argument) else { continue };
        let value = if FLAG_OPTIONS.contains(&name) {
            None
        } else {
            arguments.next().map(|(_, value)| value.as_str())
        };
        if name == "snapshot" && !config.disks.is_empty() {
            builder.conflict(
                at,
                "QEMU ignores it for the disks of the config; set `snapshot = true` on each of them",
            );
        }
        if name == "device"
            && builder.board.machine.pci().is_some()
            && !builder.requests.is_empty()
            && value.is_some_and(takes_a_slot)
        {
            builder.conflict(
                at,
                "QEMU creates it before the devices of the config, whose slots it takes; use `devices`, or give it a free `addr`",
            );
        }
        let elevates = match name {
            "runas" | "chroot" => true,
            "run-with" => value.is_some_and(|value| value.contains("user=") || value.contains("chroot=")),
            _ => false,
        };
        if elevates && config.sandbox.enabled && !config.sandbox.allow_elevate {
            builder.conflict(
                at,
                format!("{argument}: QEMU's sandbox denies this; set `sandbox = {{ allow_elevate = true }}`, or start QEMU as that user"),
            );
        }
        // Alone, QEMU has its standard input for itself.
        if builder.endpoints.qmp_fd.is_some()
            && let Some(why) = refusal(name, value.unwrap_or_default())
        {
            builder.conflict(at, format!("{argument}: {why}"));
        }
    }
}

/// Whether a device that is not written as JSON is a PCI device which QEMU finds a place for.
fn takes_a_slot(value: &str) -> bool {
    let mut words = value.split(',');
    let driver = words.next().unwrap_or_default();
    let driver = driver.strip_prefix("driver=").unwrap_or(driver);
    let is_placed = words.any(|word| word.starts_with("addr=") || word.starts_with("bus="));
    let is_pci = driver.ends_with("-pci")
        || NicModel::of_driver(driver)
            .is_some_and(|model| !matches!(model, NicModel::UsbNet | NicModel::SpaprVlan))
        || matches!(
            driver,
            "VGA" | "cirrus-vga" | "vmware-svga" | "qxl" | "qxl-vga" | "bochs-display" | "ati-vga"
        )
        || matches!(
            driver,
            "virtio-vga" | "nvme" | "AC97" | "ES1370" | "intel-hda" | "ich9-intel-hda" | "edu"
        )
        || matches!(usual_bus(driver, &Props::new()), OtherBus::Pci);
    is_pci && !is_placed && !value.starts_with('{')
}

/// The name of an option, which QEMU takes with one dash or two.
fn option(argument: &str) -> Option<&str> {
    let name = argument.strip_prefix('-')?;
    Some(name.strip_prefix('-').unwrap_or(name)).filter(|name| !name.is_empty())
}

fn refusal(name: &str, value: &str) -> Option<&'static str> {
    if let Some((_, why)) = REFUSED.iter().find(|(names, _)| names.contains(&name)) {
        return Some(why);
    }
    if STREAMS.contains(&name) && is_stdio(value) {
        return Some(match name {
            "monitor" | "qmp" | "qmp-pretty" => {
                "QEMU's standard input is used for the monitor; use `qemuctl hmp`, `qemuctl qmp`, or a monitor on a socket, such as `unix:/path,server=on,wait=off`"
            }
            "gdb" => {
                "QEMU's standard input is used for the monitor; use a port, such as `tcp:127.0.0.1:1234`"
            }
            _ => {
                "QEMU's standard input is used for the monitor; use `serials`, whose first port is on `run`'s terminal and `qemuctl console`"
            }
        });
    }
    if name == "display" && value.split(',').next() == Some("curses") {
        return refusal("curses", "");
    }
    let asks_for_help = value.split([',', ';']).any(|word| matches!(word, "help" | "?"));
    if asks_for_help && !matches!(name, "append" | "name" | "fw_cfg" | "smbios" | "prom-env") {
        return Some("QEMU prints this and exits; run it without the launcher");
    }
    if matches!(name, "machine" | "M") && value.contains("dumpdtb=") {
        return Some("QEMU writes the device tree and exits; run it without the launcher");
    }
    None
}

/// Whether a character device is QEMU's standard input and output, alone or shared with a monitor.
fn is_stdio(value: &str) -> bool {
    let value = value.strip_prefix("mon:").unwrap_or(value);
    value.split(',').any(|word| matches!(word, "stdio" | "backend=stdio")) && !value.starts_with("unix:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_input_is_found_in_every_form() {
        for value in ["stdio", "mon:stdio", "stdio,id=a", "id=a,backend=stdio", "stdio,mux=on,id=x"] {
            assert!(is_stdio(value), "{value}");
        }
        for value in ["pty", "unix:/a,stdio", "file:stdio.log", "null,id=stdio2", "socket,path=/stdio"] {
            assert!(!is_stdio(value), "{value}");
        }
    }
}
