//! Serial ports, and the channels of virtio-serial.

use super::bag::{Bag, Why};
use super::chardev::{self, Used};
use super::line::Line;
use crate::config::{Channel, CharBackend, Serial, SerialDevice, SocketChardev, StdioChardev, VmConfig};

/// The name under which the QEMU guest agent looks for its channel.
const GUEST_AGENT: &str = "org.qemu.guest_agent.0";
/// The name under which the SPICE agent looks for its channel.
const SPICE_AGENT: &str = "com.redhat.spice.0";

/// A serial port, with what says its place among the others.
pub(super) type Ports = Vec<(usize, Serial)>;

/// The ports of the board.
pub(super) fn board(line: &mut Line, config: &VmConfig, ports: &mut Ports) {
    let mut serials = 0;
    for at in line.open("serial") {
        serials += 1;
        let text = line.options[at].text().to_owned();
        let port = match chardev::id_of(&text) {
            Some(id) => port(line, config, id, SerialDevice::Board, None),
            None => match chardev::legacy(&text) {
                Ok(None) => {
                    line.typed(at);
                    continue;
                }
                Ok(Some(backend)) => Ok((at, Serial::new(backend))),
                Err(why) => Err(why),
            },
        };
        match port {
            Ok(port) => {
                line.typed(at);
                if text.starts_with("mon:") {
                    line.remark(at, "its monitor is dropped; use `qemuctl hmp`");
                }
                ports.push(port);
            }
            Err(why) => line.extra(at, why),
        }
    }
    let nographic = line.switch("nographic");
    let by_default = !line.planned && !line.has("nodefaults");
    if serials == 0 && by_default {
        let stdio = CharBackend::Stdio(StdioChardev::default());
        ports.push((usize::MAX, Serial::new(if nographic { stdio } else { CharBackend::Launcher })));
    }
}

/// A port that uses this character device. Nothing is taken unless it succeeds.
pub(super) fn port(
    line: &mut Line,
    config: &VmConfig,
    chardev: &str,
    device: SerialDevice,
    id: Option<String>,
) -> Result<(usize, Serial), Why> {
    match chardev::used(line, config, chardev)? {
        Used::Own { at, backend, log } => {
            line.typed(at);
            // What this crate calls a port's character device says the port's own name.
            let name = ["-chardev", "_chardev"].iter().find_map(|ending| chardev.strip_suffix(ending));
            let id = id.or_else(|| name.filter(|_| line.planned).map(str::to_owned));
            Ok((at, Serial { id, device, backend, chardev: None, log }))
        }
        Used::Listed(chardev) => {
            let at = line.anywhere("chardev", &chardev).unwrap_or_default();
            Ok((at, Serial { id, device, chardev: Some(chardev), ..Serial::default() }))
        }
    }
}

/// A `virtserialport`, whose bag has no driver, id or place any more.
pub(super) fn channel(
    line: &mut Line,
    config: &mut VmConfig,
    at: usize,
    id: Option<&str>,
    mut bag: Bag,
) -> Result<(), Why> {
    let name = bag.needed("name")?;
    let used = chardev::used(line, config, &bag.needed("chardev")?)?;
    bag.done()?;
    let mut channel = Channel { id: id.map(str::to_owned), ..Channel::new(name) };
    match used {
        Used::Listed(chardev) => channel.chardev = Some(chardev),
        Used::Own { log: Some(_), .. } => return Err("a channel has no log of its own".into()),
        Used::Own { at: chardev_at, backend, log: None } => {
            let usual = |usual: &str| !line.planned || id == Some(usual);
            let socket = matches!(&backend, CharBackend::Socket(SocketChardev { server: true, .. }));
            let served =
                matches!(backend, CharBackend::Launcher | CharBackend::Null) || socket && !line.planned;
            if channel.name == GUEST_AGENT && usual("agent0") && served && !config.guest_agent {
                if socket {
                    let what =
                        "the guest agent is reached by `qemuctl exec` and others, no longer by this socket";
                    line.remark(at, what);
                }
                line.typed(chardev_at);
                config.guest_agent = true;
                return Ok(());
            }
            let vdagent = matches!(&backend, CharBackend::Spicevmc(spice) if spice.name == "vdagent");
            if channel.name == SPICE_AGENT
                && usual("vdagent0")
                && vdagent
                && config.spice.is_some()
                && !config.spice_agent
            {
                line.typed(chardev_at);
                config.spice_agent = true;
                return Ok(());
            }
            line.typed(chardev_at);
            channel.backend = backend;
        }
    }
    config.channels.push(channel);
    Ok(())
}
