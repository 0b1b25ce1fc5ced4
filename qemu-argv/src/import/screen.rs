//! Windows, VNC and SPICE.

use super::bag::{Bag, Why};
use super::line::Line;
use crate::config::{
    CocoaDisplay, CursesDisplay, DbusDisplay, Display, EglHeadlessDisplay, GlMode, GtkDisplay, SdlDisplay,
    Spice, SpiceAppDisplay, SpiceInet, SpiceListen, VmConfig, Vnc, VncInet, VncListen, VncUnix,
};
use crate::value::Value;

pub(super) fn display(line: &mut Line, config: &mut VmConfig) {
    let full_screen = line.switch("full-screen");
    let all = line.open("display");
    for at in all {
        let mut bag = line.bag(at);
        if bag.peek("vnc").is_some() && bag.peek("type").is_none() {
            vnc_of(line, config, at, bag);
            continue;
        }
        let kind = bag.text("type").ok().flatten().unwrap_or_default();
        match of(&kind, bag, full_screen) {
            Ok(display) => {
                config.display = display;
                line.typed(at);
            }
            Err(why) if kind == "curses" => line.drop(at, why),
            Err(why) => line.extra(at, why),
        }
    }
    let shown =
        line.planned || ["display", "nographic", "vnc", "spice", "curses"].iter().any(|name| line.has(name));
    if !shown {
        line.general.push(
            "QEMU would open a window; use `display = \"gtk\"` for one, or `vnc = {}` for a VNC server"
                .into(),
        );
    }
}

fn of(kind: &str, mut bag: Bag, full_screen: bool) -> Result<Display, Why> {
    let gl = |bag: &mut Bag| match bag.take("gl") {
        Some(Value::Bool(on)) => Ok(Some(if on { GlMode::On } else { GlMode::Off })),
        Some(value) => {
            bag.put("gl", value);
            bag.same_word("gl")
        }
        None => Ok(None),
    };
    let full = |bag: &mut Bag| Ok::<_, Why>(bag.flag("full-screen")?.unwrap_or(full_screen));
    let display = match kind {
        "none" => Display::None,
        "gtk" => Display::Gtk(GtkDisplay {
            gl: gl(&mut bag)?,
            full_screen: full(&mut bag)?,
            show_cursor: bag.flag("show-cursor")?.unwrap_or_default(),
        }),
        "sdl" => Display::Sdl(SdlDisplay {
            gl: gl(&mut bag)?,
            full_screen: full(&mut bag)?,
            show_cursor: bag.flag("show-cursor")?.unwrap_or_default(),
        }),
        "curses" => Display::Curses(CursesDisplay { charset: bag.text("charset")? }),
        "egl-headless" => {
            Display::EglHeadless(EglHeadlessDisplay { render_node: bag.text("rendernode")?.map(Into::into) })
        }
        "spice-app" => Display::SpiceApp(SpiceAppDisplay { gl: gl(&mut bag)? }),
        "dbus" => Display::Dbus(DbusDisplay {
            p2p: bag.flag("p2p")?.unwrap_or_default(),
            address: bag.text("addr")?,
            gl: gl(&mut bag)?,
            render_node: bag.text("rendernode")?.map(Into::into),
            audio: bag.text("audiodev")?,
        }),
        "cocoa" => Display::Cocoa(CocoaDisplay { full_screen: full(&mut bag)? }),
        other => return Err(format!("a config has no display of the kind {other}")),
    };
    bag.done()?;
    Ok(display)
}

pub(super) fn vnc(line: &mut Line, config: &mut VmConfig) {
    for at in line.open("vnc") {
        let bag = line.bag(at);
        vnc_of(line, config, at, bag);
    }
    let keyboard = line.last("k");
    if let Some((_, layout)) = keyboard {
        match &mut config.vnc {
            Some(vnc) => vnc.keyboard = Some(layout),
            None => config.keyboard_layout = Some(layout),
        }
    }
}

fn vnc_of(line: &mut Line, config: &mut VmConfig, at: usize, bag: Bag) {
    if config.vnc.is_some() {
        return line.extra(at, "a config has one VNC server");
    }
    match server(bag) {
        Ok((vnc, everywhere)) => {
            config.vnc = Some(vnc);
            line.typed(at);
            if everywhere {
                let what = "listens on all addresses, as in QEMU; set `host = \"127.0.0.1\"` to restrict it to this host";
                line.remark(at, what);
            }
        }
        Err(why) => line.extra(at, why),
    }
}

fn server(mut bag: Bag) -> Result<(Vnc, bool), Why> {
    let text = bag.needed("vnc")?;
    let to: Option<u16> = bag.number("to")?;
    let mut everywhere = false;
    let listen = if text == "none" {
        VncListen::None
    } else if let Some(path) = text.strip_prefix("unix:") {
        VncListen::Unix(VncUnix::new(path))
    } else {
        let (host, display) = text.rsplit_once(':').ok_or("a config has no such address for VNC")?;
        let display: u16 = display.parse().map_err(|_| "its display is not a number".to_owned())?;
        let port = display.checked_add(5900).ok_or("its display is not a port")?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        everywhere = host.is_empty();
        let host = match host {
            "" => Some("0.0.0.0".to_owned()),
            "127.0.0.1" => None,
            host => Some(host.to_owned()),
        };
        let last_port = to.map(|to| to.saturating_add(5900));
        VncListen::Inet(VncInet { host, last_port, ..VncInet::new(port) })
    };
    let websocket_port = match bag.take("websocket") {
        None => None,
        Some(Value::Str(word)) if word == "on" => match &listen {
            VncListen::Inet(inet) => Some(inet.port - 200),
            _ => return Err("WebSocket clients need a port".into()),
        },
        Some(value) => {
            let port = super::bag::as_number(&value).and_then(|port| port.try_into().ok());
            Some(port.ok_or("a config has a port for WebSocket clients")?)
        }
    };
    let vnc = Vnc {
        listen,
        websocket_port,
        password_secret: bag.text("password-secret")?,
        password: bag.flag("password")?.unwrap_or_default(),
        tls: bag.text("tls-creds")?,
        sasl: bag.flag("sasl")?.unwrap_or_default(),
        lossy: bag.flag("lossy")?.unwrap_or_default(),
        non_adaptive: bag.flag("non-adaptive")?.unwrap_or_default(),
        share: bag.same_word("share")?,
        power_control: bag.flag("power-control")?.unwrap_or_default(),
        audio: bag.text("audiodev")?,
        keyboard: None,
    };
    bag.done()?;
    Ok((vnc, everywhere))
}

pub(super) fn spice(line: &mut Line, config: &mut VmConfig) {
    line.each("spice", |_, _, bag| {
        if config.spice.is_some() {
            return Err("a config has one SPICE server".into());
        }
        config.spice = Some(spice_server(bag)?);
        Ok(())
    });
}

fn spice_server(mut bag: Bag) -> Result<Spice, Why> {
    let address = bag.text("addr")?;
    let (port, tls_port): (Option<u16>, Option<u16>) = (bag.number("port")?, bag.number("tls-port")?);
    let listen = if bag.flag("unix")? == Some(true) {
        SpiceListen::Unix(crate::config::SpiceUnix::new(address.ok_or("`addr` is missing")?))
    } else if port.is_none() && tls_port.is_none() {
        SpiceListen::None
    } else {
        let host = match address.as_deref() {
            None | Some("") => Some("0.0.0.0".to_owned()),
            Some("127.0.0.1") => None,
            Some(host) => Some(host.to_owned()),
        };
        SpiceListen::Inet(SpiceInet { host, port, tls_port })
    };
    let agent_mouse = bag.flag("agent-mouse")?;
    let spice = Spice {
        // Without a listener it is what makes the option say anything.
        agent_mouse: agent_mouse.filter(|on| !(*on && listen == SpiceListen::None)),
        listen,
        password_secret: bag.text("password-secret")?,
        disable_ticketing: bag.flag("disable-ticketing")?.unwrap_or_default(),
        sasl: bag.flag("sasl")?.unwrap_or_default(),
        x509_dir: bag.text("x509-dir")?.map(Into::into),
        tls_ciphers: bag.text("tls-ciphers")?,
        image_compression: bag.same_word("image-compression")?,
        jpeg_wan_compression: bag.same_word("jpeg-wan-compression")?,
        zlib_glz_wan_compression: bag.same_word("zlib-glz-wan-compression")?,
        streaming_video: bag.same_word("streaming-video")?,
        playback_compression: bag.flag("playback-compression")?,
        seamless_migration: bag.flag("seamless-migration")?.unwrap_or_default(),
        copy_paste: bag.flag("disable-copy-paste")?.map(|off| !off),
        file_transfer: bag.flag("disable-agent-file-xfer")?.map(|off| !off),
        gl: bag.flag("gl")?.unwrap_or_default(),
        render_node: bag.text("rendernode")?.map(Into::into),
    };
    bag.done()?;
    Ok(spice)
}
