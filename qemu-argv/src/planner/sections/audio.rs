//! `-audiodev` and sound devices.

use crate::config::{
    AlsaAudio, Audio, AudioBackend, HdaCodec, JackAudio, PulseAudio, SoundDevice, VmConfig, WavAudio,
};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, PciRequest, UsbRequest};
use crate::value::Props;

pub(super) fn audio(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("audio", "audio", &config.audio, |audio| audio.id.as_deref());
    for (index, (audio, id)) in config.audio.iter().zip(ids).enumerate() {
        let at = At::entry("audio", index);
        backend(builder, at, &id, audio);
        device(builder, at, &id, audio);
    }
}

fn backend(builder: &mut Builder<'_>, at: At<'_>, id: &str, audio: &Audio) {
    let options_at = at.field("options");
    builder.check_keys(options_at, &audio.options);
    let at = at.field("backend");
    let pcm = |device: &Option<String>| device.as_ref().map(|device| Props::new().with("dev", device));
    let (driver, props) = match &audio.backend {
        AudioBackend::None => ("none", Props::new()),
        AudioBackend::Wav(WavAudio { path }) => {
            ("wav", Props::new().with("path", builder.path(at.field("path"), path)))
        }
        AudioBackend::Pa(PulseAudio { server }) => ("pa", Props::new().with_some("server", server.as_ref())),
        AudioBackend::Pipewire => {
            builder.needs(at, "audio backend pipewire", 8, 1);
            ("pipewire", Props::new())
        }
        AudioBackend::Alsa(AlsaAudio { playback, capture }) => {
            ("alsa", Props::new().with_some("out", pcm(playback)).with_some("in", pcm(capture)))
        }
        AudioBackend::Jack(JackAudio { server }) => {
            let side = server.as_ref().map(|server| Props::new().with("server-name", server));
            ("jack", Props::new().with_some("out", side.clone()).with_some("in", side))
        }
        AudioBackend::Oss => ("oss", Props::new()),
        AudioBackend::Sndio => ("sndio", Props::new()),
        AudioBackend::Sdl => ("sdl", Props::new()),
        AudioBackend::Spice => {
            if !builder.has_spice {
                builder.conflict(at, "sound for SPICE clients requires `spice`");
            }
            ("spice", Props::new())
        }
        AudioBackend::Dbus => ("dbus", Props::new()),
        AudioBackend::Coreaudio => ("coreaudio", Props::new()),
        AudioBackend::Dsound => ("dsound", Props::new()),
    };
    let mut all = Props::new().with("driver", driver).with("id", id.to_owned());
    all.extend(props);
    all.merge(audio.options.clone());
    builder.json_option(at, "-audiodev", all);
}

fn device(builder: &mut Builder<'_>, at: At<'_>, id: &str, audio: &Audio) {
    let hda = matches!(audio.device, SoundDevice::IntelHda | SoundDevice::Ich9IntelHda);
    if !hda && !audio.codecs.is_empty() {
        builder.conflict(at.field("codecs"), "`codecs` is only supported by HDA controllers");
    }
    let mut pci = PciRequest::conventional();
    pci.address.clone_from(&audio.address);
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &audio.properties);
    if matches!(audio.device, SoundDevice::PcSpeaker | SoundDevice::None) && !audio.properties.is_empty() {
        builder.conflict(properties_at, "there is no device that they could belong to");
    }
    let mut props = Props::new().with("audiodev", id.to_owned());
    props.extend(audio.properties.clone());
    let device_at = at.field("device");
    let isa = match audio.device {
        SoundDevice::Ich9IntelHda => return controller(builder, at, id, "ich9-intel-hda", audio, pci),
        SoundDevice::IntelHda => return controller(builder, at, id, "intel-hda", audio, pci),
        SoundDevice::Ac97 => return builder.device(at, "AC97", id, props, Connector::Pci(pci)),
        SoundDevice::Es1370 => return builder.device(at, "ES1370", id, props, Connector::Pci(pci)),
        SoundDevice::Virtio => {
            builder.needs(device_at, "virtio-sound", 8, 2);
            if builder.board.machine.virtio_transport() != crate::topology::VirtioTransport::Pci {
                builder.not_here(device_at, "virtio-sound", "; it requires a machine with PCI");
            }
            return builder.device(at, "virtio-sound-pci", id, props, Connector::Pci(pci));
        }
        SoundDevice::Usb => {
            return builder.device(at, "usb-audio", id, props, Connector::Usb(UsbRequest::default()));
        }
        SoundDevice::PcSpeaker => {
            if !builder.board.is_pc() {
                builder.not_here(device_at, "the PC speaker", "");
            }
            return builder.machine.set("pcspk-audiodev", id.to_owned());
        }
        SoundDevice::None => return,
        SoundDevice::Sb16 => "sb16",
        SoundDevice::Adlib => "adlib",
        SoundDevice::Gus => "gus",
        SoundDevice::Cs4231a => "cs4231a",
    };
    if !builder.board.has_isa() {
        builder.not_here(device_at, isa, ", which has no ISA bus");
    }
    builder.fixed_device(at, isa, id, props);
}

fn controller(
    builder: &mut Builder<'_>,
    at: At<'_>,
    id: &str,
    driver: &'static str,
    audio: &Audio,
    pci: PciRequest,
) {
    builder.device(at, driver, id, audio.properties.clone(), Connector::Pci(pci));
    let records = !matches!(audio.backend, AudioBackend::Wav(WavAudio { .. }));
    let usual = if records { HdaCodec::Duplex } else { HdaCodec::Output };
    let codecs: &[HdaCodec] = if audio.codecs.is_empty() { &[usual] } else { &audio.codecs };
    if !records && codecs.iter().any(|codec| *codec != HdaCodec::Output) {
        builder.conflict(
            at.field("codecs"),
            "the file backend cannot record; only the codec `output` is supported",
        );
    }
    if codecs.len() > 15 {
        builder.conflict(at.field("codecs"), "an HDA controller supports at most 15 codecs");
    }
    for (index, codec) in codecs.iter().enumerate() {
        let driver = match codec {
            HdaCodec::Duplex => "hda-duplex",
            HdaCodec::Output => "hda-output",
            HdaCodec::Micro => "hda-micro",
        };
        let props = Props::new()
            .with("bus", format!("{id}.0"))
            .with("cad", index as u64)
            .with("audiodev", id.to_owned());
        builder.fixed_device(at.item("codecs", index), driver, &format!("{id}-codec{index}"), props);
    }
}
