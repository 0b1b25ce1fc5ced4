//! Sound: a device for the guest and where the host plays it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flexible;
use crate::topology::Address;

/// A sound device and its backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Audio {
    /// The name that displays refer to. Left out: `audio0`, `audio1`, ….
    pub id: Option<String>,
    /// The device the guest sees.
    pub device: SoundDevice,
    /// The codecs of an HDA controller. Left out: one that plays, and records where the backend can.
    pub codecs: Vec<HdaCodec>,
    /// Where the host plays it.
    pub backend: AudioBackend,
    /// The address (PCI or channel I/O). Left out: planned.
    pub address: Option<Address>,
}

/// The sound device the guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SoundDevice {
    /// Intel HD Audio of the ICH9.
    #[default]
    Ich9IntelHda,
    /// Intel HD Audio of the ICH6.
    IntelHda,
    /// Intel AC97.
    Ac97,
    /// ENSONIQ `AudioPCI` ES1370.
    Es1370,
    /// Sound Blaster 16 (ISA).
    Sb16,
    /// `AdLib` (ISA).
    Adlib,
    /// Gravis Ultrasound (ISA).
    Gus,
    /// CS4231A (ISA).
    Cs4231a,
    /// virtio sound (QEMU ≥ 8.2).
    Virtio,
    /// USB audio.
    Usb,
    /// The PC speaker of the board.
    PcSpeaker,
    /// None: only a backend, for displays.
    None,
}

/// A codec on an HDA controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HdaCodec {
    /// Line in and line out.
    Duplex,
    /// Line out.
    Output,
    /// Microphone and speaker.
    Micro,
}

/// Where the host plays sound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AudioBackend {
    /// Nowhere.
    #[default]
    #[serde(deserialize_with = "flexible::nothing_more")]
    None,
    /// A file.
    Wav(WavAudio),
    /// `PulseAudio`.
    Pa(PulseAudio),
    /// `PipeWire` (QEMU ≥ 8.1).
    #[serde(deserialize_with = "flexible::nothing_more")]
    Pipewire,
    /// ALSA.
    Alsa(AlsaAudio),
    /// JACK.
    Jack(JackAudio),
    /// OSS.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Oss,
    /// sndio.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Sndio,
    /// SDL.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Sdl,
    /// SPICE clients; needs `spice`.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Spice,
    /// The D-Bus display.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Dbus,
    /// macOS.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Coreaudio,
    /// Windows.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Dsound,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WavAudio {
    /// The file.
    pub path: PathBuf,
}

impl WavAudio {
    /// With what it cannot do without.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// `PulseAudio`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PulseAudio {
    /// The server. Left out: the user's.
    pub server: Option<String>,
}

/// ALSA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AlsaAudio {
    /// The device that plays. Left out: `default`.
    pub playback: Option<String>,
    /// The device that records. Left out: `default`.
    pub capture: Option<String>,
}

/// JACK.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct JackAudio {
    /// The server. Left out: the user's.
    pub server: Option<String>,
}
