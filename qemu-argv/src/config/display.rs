//! Windows on the host that show the guest's screen. VNC and SPICE are apart from them.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// QEMU's own window or channel for the screen. In files also just its kind: `display = "gtk"`.
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
    Gtk {
        /// Whether OpenGL draws it.
        #[serde(default)]
        gl: Option<GlMode>,
        /// Whether it fills the screen.
        #[serde(default)]
        full_screen: bool,
    },
    /// An SDL window.
    Sdl {
        /// Whether OpenGL draws it.
        #[serde(default)]
        gl: Option<GlMode>,
        /// Whether it fills the screen.
        #[serde(default)]
        full_screen: bool,
    },
    /// The terminal, for text screens.
    Curses {
        /// The character set of the guest's text. Left out: CP437.
        #[serde(default)]
        charset: Option<String>,
    },
    /// No window, but OpenGL for the guest; VNC or SPICE shows the result.
    EglHeadless {
        /// The device that draws, such as `/dev/dri/renderD128`.
        #[serde(default)]
        render_node: Option<PathBuf>,
    },
    /// A SPICE viewer that QEMU starts.
    SpiceApp {
        /// Whether OpenGL draws it.
        #[serde(default)]
        gl: Option<GlMode>,
    },
    /// A D-Bus interface for other programs.
    Dbus {
        /// Whether programs connect directly instead of over a bus.
        #[serde(default)]
        p2p: bool,
        /// The address of the bus. Left out: the session's.
        #[serde(default)]
        address: Option<String>,
        /// Whether OpenGL draws it.
        #[serde(default)]
        gl: Option<GlMode>,
        /// The device that draws.
        #[serde(default)]
        render_node: Option<PathBuf>,
        /// The id of the audio whose sound goes over the same bus.
        #[serde(default)]
        audio: Option<String>,
    },
    /// A macOS window.
    Cocoa {
        /// Whether it fills the screen.
        #[serde(default)]
        full_screen: bool,
    },
}

impl Display {
    /// What a word alone says.
    const SHORT: [(&str, Self); 7] = [
        ("none", Self::None),
        ("gtk", Self::Gtk { gl: None, full_screen: false }),
        ("sdl", Self::Sdl { gl: None, full_screen: false }),
        ("curses", Self::Curses { charset: None }),
        ("egl-headless", Self::EglHeadless { render_node: None }),
        ("spice-app", Self::SpiceApp { gl: None }),
        ("cocoa", Self::Cocoa { full_screen: false }),
    ];
}

impl FromStr for Display {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        flexible::word("a display (VNC and SPICE have tables of their own)", &Self::SHORT, text)
    }
}

impl flexible::Short for Display {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema::words(Self::SHORT.iter().map(|(word, _)| *word))
    }
}

/// Which OpenGL draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GlMode {
    /// None.
    Off,
    /// Whatever there is.
    On,
    /// Desktop OpenGL.
    Core,
    /// OpenGL ES.
    Es,
}
