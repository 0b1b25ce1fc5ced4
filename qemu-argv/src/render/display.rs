//! `-display`.

use std::path::Path;

use crate::config::{Display, GlMode};
use crate::draft::Draft;
use crate::error::At;
use crate::value::{Props, Value};

pub(super) fn display(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let at = root.field("display");
    let kind = |name: &'static str| Props::new().with("type", name);
    let full = |full_screen: bool| full_screen.then_some(true);
    let props = match &draft.config.display {
        // Left out, QEMU would open a window, or a VNC port where it has no windows.
        Display::None => return draft.plain(at, "-display", "none"),
        Display::Gtk { gl, full_screen } => {
            kind("gtk").with_some("gl", gl_word(*gl)).with_some("full-screen", full(*full_screen))
        }
        Display::Sdl { gl, full_screen } => {
            kind("sdl").with_some("gl", gl_word(*gl)).with_some("full-screen", full(*full_screen))
        }
        Display::Curses { charset } => kind("curses").with_some("charset", charset.as_ref()),
        Display::EglHeadless { render_node } => {
            let node = path(draft, at, render_node.as_deref());
            kind("egl-headless").with_some("rendernode", node)
        }
        Display::SpiceApp { gl } => {
            draft.sandbox.spawn = true;
            kind("spice-app").with_some("gl", gl_word(*gl))
        }
        Display::Dbus { p2p, address, gl, render_node, audio } => {
            if let Some(audio) = audio {
                draft.audio(at.field("audio"), audio);
            }
            let node = path(draft, at, render_node.as_deref());
            kind("dbus")
                .with("p2p", *p2p)
                .with_some("addr", address.as_ref())
                .with_some("gl", gl_word(*gl))
                .with_some("rendernode", node)
                .with_some("audiodev", audio.as_ref())
        }
        Display::Cocoa { full_screen } => kind("cocoa").with_some("full-screen", full(*full_screen)),
    };
    draft.json_option(at, "-display", props);
}

fn path(draft: &mut Draft<'_>, at: At<'_>, path: Option<&Path>) -> Option<Value> {
    path.map(|path| draft.path(at.field("render_node"), path))
}

fn gl_word(gl: Option<GlMode>) -> Option<&'static str> {
    gl.map(|gl| match gl {
        GlMode::Off => "off",
        GlMode::On => "on",
        GlMode::Core => "core",
        GlMode::Es => "es",
    })
}
