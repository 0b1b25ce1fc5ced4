//! Debugging, and objects that no section of a config has.

use super::bag::{Bag, Why};
use super::chardev;
use super::line::Line;
use crate::config::{
    CharBackend, Icount, OtherObject, Plugin, Replay, Semihosting, SocketAddress, SocketChardev, VmConfig,
};
use crate::value::Value;

/// The port that QEMU's `-s` stands for.
const GDB_PORT: u16 = 1234;

/// Comes before the character devices, one of which may be the debugger's.
pub(super) fn debug(line: &mut Line, config: &mut VmConfig) {
    let debug = &mut config.debug;
    for at in line.open("gdb") {
        match debugger(line, line.options[at].text()) {
            Ok((address, chardev)) if debug.gdb.is_none() => {
                debug.gdb = Some(address);
                line.typed(at);
                line.typed_all(&chardev);
            }
            Ok(_) => line.extra(at, "a config has one debugger"),
            Err(why) => line.extra(at, why),
        }
    }
    if debug.gdb.is_none() && line.switch("s") {
        debug.gdb = Some(SocketAddress::inet("0.0.0.0", GDB_PORT));
        line.general.push("the debugger's port listens on all addresses, as in QEMU; set `debug.gdb = \"127.0.0.1:1234\"` to restrict it to this host".into());
    }
    if let Some((_, words)) = line.last("d") {
        debug.log = words.split(',').map(str::to_owned).collect();
    }
    if !debug.log.is_empty()
        && let Some((_, path)) = line.last("D")
    {
        debug.log_file = Some(path.into());
    }
    if line.switch("semihosting") {
        debug.semihosting = Some(Semihosting::default());
    }
    for at in line.open("semihosting-config") {
        match semihosting(line.bag(at)) {
            Ok(found) => {
                debug.semihosting = Some(found);
                line.typed(at);
            }
            Err(why) => line.extra(at, why),
        }
    }
}

/// `-icount`, `-plugin` and `-msg`.
pub(super) fn counting(line: &mut Line, config: &mut VmConfig) {
    let debug = &mut config.debug;
    for at in line.open("icount") {
        match icount(line.bag(at)) {
            Ok(found) => {
                debug.icount = Some(found);
                line.typed(at);
            }
            Err(why) => line.extra(at, why),
        }
    }
    line.each("plugin", |_, _, mut bag| {
        let path = bag.needed("file")?;
        debug.plugins.push(Plugin { args: bag.options(), ..Plugin::new(path) });
        Ok(())
    });
    line.each("msg", |_, _, mut bag| {
        let on = bag.flag("timestamp")?.unwrap_or_default();
        bag.done()?;
        debug.message_timestamps = on;
        Ok(())
    });
}

fn icount(mut bag: Bag) -> Result<Icount, Why> {
    let shift = match bag.text("shift")?.as_deref() {
        None | Some("auto") => None,
        Some(number) => Some(number.parse().map_err(|_| "`shift` is neither auto nor a number")?),
    };
    let (align, sleep) = (bag.flag("align")?, bag.flag("sleep")?);
    let mode = bag.same_word("rr")?;
    let (file, snapshot) = (bag.text("rrfile")?, bag.text("rrsnapshot")?);
    bag.done()?;
    let replay = match (mode, file) {
        (Some(mode), Some(file)) => Some(Replay { snapshot, ..Replay::new(mode, file) }),
        (None, None) if snapshot.is_none() => None,
        _ => return Err("a recording has both `rr` and `rrfile`".into()),
    };
    Ok(Icount { shift, align, sleep, replay })
}

/// The address at which QEMU waits for a debugger, and the character device that has it.
fn debugger(line: &Line, text: &str) -> Result<(SocketAddress, Vec<usize>), Why> {
    if let Some(id) = text.strip_prefix("chardev:") {
        let at = line.definition("chardev", id).ok_or("there is no such character device")?;
        return match chardev::chardev(line.bag(at))? {
            found if found.log.is_none() && !found.mux => match found.backend {
                CharBackend::Socket(socket)
                    if socket
                        == (SocketChardev { server: true, ..SocketChardev::new(socket.address.clone()) }) =>
                {
                    Ok((socket.address, vec![at]))
                }
                _ => Err("a config's debugger has a plain socket".into()),
            },
            _ => Err("a config's debugger has a plain socket".into()),
        };
    }
    let port = text.strip_prefix("tcp:").and_then(|rest| rest.rsplit_once(':'));
    let (host, port) = port.ok_or("a config has no such port of a debugger")?;
    let port = port.parse().map_err(|_| "a config has no such port of a debugger")?;
    let host = host.trim_matches(['[', ']']);
    Ok((SocketAddress::inet(if host.is_empty() { "0.0.0.0" } else { host }, port), Vec::new()))
}

fn semihosting(mut bag: Bag) -> Result<Semihosting, Why> {
    if bag.flag("enable")? == Some(false) {
        return Err("it is off".into());
    }
    let target = bag.same_word("target")?.unwrap_or_default();
    let chardev = bag.text("chardev")?;
    let userspace = bag.flag("userspace")?.unwrap_or_default();
    let args = bag.all("arg").into_iter().map(|value| match value {
        Value::Str(text) => Ok(text.to_string()),
        _ => Err(Why::from("`arg` is not a text")),
    });
    let args = args.collect::<Result<_, _>>()?;
    bag.done()?;
    Ok(Semihosting { target, chardev, args, userspace })
}

/// What is left of objects.
pub(super) fn objects(line: &mut Line, config: &mut VmConfig) {
    for at in line.open("object") {
        let mut bag = line.bag(at);
        let mut read = || -> Result<OtherObject, Why> {
            let (kind, id) = (bag.needed("qom-type")?, bag.needed("id")?);
            Ok(OtherObject { properties: bag.clone().properties()?, ..OtherObject::new(kind, id) })
        };
        match read() {
            Ok(object) => {
                config.objects.push(object);
                line.typed(at);
            }
            Err(why) => line.extra(at, why),
        }
    }
}
