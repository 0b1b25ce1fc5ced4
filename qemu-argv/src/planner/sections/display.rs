//! `-display`.

use std::path::Path;

use crate::config::{
    CocoaDisplay, CursesDisplay, DbusDisplay, Display, EglHeadlessDisplay, GlMode, GtkDisplay, SdlDisplay,
    SpiceAppDisplay, VmConfig,
};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

pub(super) fn display(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("display");
    let kind = |name: &'static str| Props::new().with("type", name);
    let full = |full_screen: bool| full_screen.then_some(true);
    let props = match &config.display {
        // Without this, QEMU would open a window, or a VNC port if it was built without windows.
        Display::None => return builder.plain(at, "-display", "none"),
        Display::Gtk(GtkDisplay { gl, full_screen, show_cursor }) => kind("gtk")
            .with_some("gl", gl_word(*gl))
            .with_some("full-screen", full(*full_screen))
            .with_some("show-cursor", full(*show_cursor)),
        Display::Sdl(SdlDisplay { gl, full_screen, show_cursor }) => kind("sdl")
            .with_some("gl", gl_word(*gl))
            .with_some("full-screen", full(*full_screen))
            .with_some("show-cursor", full(*show_cursor)),
        Display::Curses(CursesDisplay { charset }) => kind("curses").with_some("charset", charset.as_ref()),
        Display::EglHeadless(EglHeadlessDisplay { render_node }) => {
            let node = path(builder, at, render_node.as_deref());
            kind("egl-headless").with_some("rendernode", node)
        }
        Display::SpiceApp(SpiceAppDisplay { gl }) => {
            builder.sandbox.spawn = true;
            kind("spice-app").with_some("gl", gl_word(*gl))
        }
        Display::Dbus(DbusDisplay { p2p, address, gl, render_node, audio }) => {
            if let Some(audio) = audio {
                builder.audio(at.field("audio"), config, audio);
            }
            let node = path(builder, at, render_node.as_deref());
            kind("dbus")
                .with("p2p", *p2p)
                .with_some("addr", address.as_ref())
                .with_some("gl", gl_word(*gl))
                .with_some("rendernode", node)
                .with_some("audiodev", audio.as_ref())
        }
        Display::Cocoa(CocoaDisplay { full_screen }) => {
            kind("cocoa").with_some("full-screen", full(*full_screen))
        }
    };
    builder.json_option(at, "-display", props);
}

fn path(builder: &mut Builder<'_>, at: At<'_>, path: Option<&Path>) -> Option<Value> {
    path.map(|path| builder.path(at.field("render_node"), path))
}

fn gl_word(gl: Option<GlMode>) -> Option<&'static str> {
    gl.map(|gl| match gl {
        GlMode::Off => "off",
        GlMode::On => "on",
        GlMode::Core => "core",
        GlMode::Es => "es",
    })
}
