//! Windows on the host that show the guest's screen. VNC and SPICE are configured separately.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// QEMU's own display. In config files, may be given as just its kind: `display = "gtk"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Display {
    /// No window.
    #[default]
    #[serde(deserialize_with = "flexible::nothing_more")]
    None,
    /// A GTK window.
    Gtk(GtkDisplay),
    /// An SDL window.
    Sdl(SdlDisplay),
    /// The terminal, for text modes.
    Curses(CursesDisplay),
    /// No window, but OpenGL for the guest, shown by VNC or SPICE.
    EglHeadless(EglHeadlessDisplay),
    /// A SPICE viewer that QEMU starts.
    SpiceApp(SpiceAppDisplay),
    /// A D-Bus interface for other programs.
    Dbus(DbusDisplay),
    /// A macOS window.
    Cocoa(CocoaDisplay),
}

/// A GTK window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GtkDisplay {
    /// Whether to draw with OpenGL.
    pub gl: Option<GlMode>,
    /// Whether to start in full-screen mode.
    pub full_screen: bool,
    /// Whether the host's pointer stays visible over the window (`show-cursor`). Defaults to false.
    pub show_cursor: bool,
}

/// An SDL window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SdlDisplay {
    /// Whether to draw with OpenGL.
    pub gl: Option<GlMode>,
    /// Whether to start in full-screen mode.
    pub full_screen: bool,
    /// Whether the host's pointer stays visible over the window (`show-cursor`). Defaults to false.
    pub show_cursor: bool,
}

/// The terminal, for text modes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CursesDisplay {
    /// The character set of the guest's text. Defaults to CP437.
    pub charset: Option<String>,
}

/// No window, but OpenGL for the guest, shown by VNC or SPICE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EglHeadlessDisplay {
    /// The GPU to render with, such as `/dev/dri/renderD128`.
    pub render_node: Option<PathBuf>,
}

/// A SPICE viewer that QEMU starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SpiceAppDisplay {
    /// Whether to draw with OpenGL.
    pub gl: Option<GlMode>,
}

/// A D-Bus interface for other programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DbusDisplay {
    /// Whether programs connect directly instead of over a bus.
    pub p2p: bool,
    /// The address of the bus. Defaults to the session bus.
    pub address: Option<String>,
    /// Whether to draw with OpenGL.
    pub gl: Option<GlMode>,
    /// The GPU to render with.
    pub render_node: Option<PathBuf>,
    /// The id of the audio backend whose sound uses the same bus.
    pub audio: Option<String>,
}

/// A macOS window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CocoaDisplay {
    /// Whether to start in full-screen mode.
    pub full_screen: bool,
}

impl Display {
    /// Parses the short form, a single word.
    const SHORT: [(&str, Self); 7] = [
        ("none", Self::None),
        ("gtk", Self::Gtk(GtkDisplay { gl: None, full_screen: false, show_cursor: false })),
        ("sdl", Self::Sdl(SdlDisplay { gl: None, full_screen: false, show_cursor: false })),
        ("curses", Self::Curses(CursesDisplay { charset: None })),
        ("egl-headless", Self::EglHeadless(EglHeadlessDisplay { render_node: None })),
        ("spice-app", Self::SpiceApp(SpiceAppDisplay { gl: None })),
        ("cocoa", Self::Cocoa(CocoaDisplay { full_screen: false })),
    ];
}

impl FromStr for Display {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        flexible::word("a display (VNC and SPICE are configured in `vnc` and `spice`)", &Self::SHORT, text)
    }
}

impl flexible::Short for Display {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::words(Self::SHORT.iter().map(|(word, _)| *word))
    }
}

/// Which OpenGL variant to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GlMode {
    /// None.
    Off,
    /// Whichever is available.
    On,
    /// Desktop OpenGL.
    Core,
    /// OpenGL ES.
    Es,
}
