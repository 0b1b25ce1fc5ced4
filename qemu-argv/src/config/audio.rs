//! Sound devices and their backends.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flexible;
use crate::topology::Address;
use crate::value::Props;

/// A sound device and its backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Audio {
    /// The id that displays refer to. Defaults to `audio0`, `audio1`, ….
    pub id: Option<String>,
    /// The device that the guest sees.
    pub device: SoundDevice,
    /// The codecs of an HDA controller. Defaults to one that plays, and records if the backend supports it.
    pub codecs: Vec<HdaCodec>,
    /// The backend on the host.
    pub backend: AudioBackend,
    /// The address (PCI or channel I/O). Defaults to one chosen by the plan.
    pub address: Option<Address>,
    /// Additional properties of the device, passed on unchanged.
    pub properties: Props,
    /// Additional options of the backend, passed on unchanged, such as `timer-period = 2000` or `out = { frequency = 48000 }`.
    pub options: Props,
}

/// The sound device that the guest sees.
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
    /// No device, only a backend for displays.
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

/// The sound backend on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AudioBackend {
    /// No sound.
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
    /// SPICE clients; requires `spice`.
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
    /// Makes one from the required fields.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// `PulseAudio`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PulseAudio {
    /// The server. Defaults to the user's.
    pub server: Option<String>,
}

/// ALSA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AlsaAudio {
    /// The playback device. Defaults to `default`.
    pub playback: Option<String>,
    /// The recording device. Defaults to `default`.
    pub capture: Option<String>,
}

/// JACK.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct JackAudio {
    /// The server. Defaults to the user's.
    pub server: Option<String>,
}
