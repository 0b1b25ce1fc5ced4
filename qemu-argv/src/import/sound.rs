//! Sound: a backend and the device that plays on it.

use super::bag::{Bag, Why};
use super::line::Line;
use crate::config::{
    AlsaAudio, Audio, AudioBackend, HdaCodec, JackAudio, PulseAudio, SoundDevice, VmConfig, WavAudio,
};
use crate::value::Props;

/// Devices that play by themselves, and QEMU's drivers.
const DEVICES: [(&str, SoundDevice); 8] = [
    ("AC97", SoundDevice::Ac97),
    ("ES1370", SoundDevice::Es1370),
    ("sb16", SoundDevice::Sb16),
    ("adlib", SoundDevice::Adlib),
    ("gus", SoundDevice::Gus),
    ("cs4231a", SoundDevice::Cs4231a),
    ("virtio-sound-pci", SoundDevice::Virtio),
    ("usb-audio", SoundDevice::Usb),
];

/// Every backend, and what of it is on the command line.
pub(super) fn sounds(line: &mut Line, config: &mut VmConfig) {
    for at in line.open("audiodev") {
        let mut bag = line.bag(at);
        let read = bag.needed("id").and_then(|id| Ok((id, backend(bag)?)));
        let (id, (backend, options)) = match read {
            Ok(read) => read,
            Err(why) => {
                line.extra(at, why);
                continue;
            }
        };
        let mut audio =
            Audio { id: Some(id.clone()), device: SoundDevice::None, backend, options, ..Audio::default() };
        let users: Vec<usize> = line
            .open("device")
            .into_iter()
            .filter(|device| line.bag(*device).peek("audiodev") == Some(id.as_str()))
            .collect();
        let mut taken = Vec::new();
        let speaker = config.machine.options.get_str("pcspk-audiodev") == Some(id.as_str());
        let device = match users.as_slice() {
            [] if speaker => Ok(SoundDevice::PcSpeaker),
            [] => Ok(SoundDevice::None),
            users => device(line, users, &mut audio, &mut taken),
        };
        match device {
            Ok(device) => {
                audio.device = device;
                if speaker {
                    let kept = config.machine.options.iter().filter(|(key, _)| *key != "pcspk-audiodev");
                    config.machine.options = kept
                        .fold(Props::new(), |props, (key, value)| props.with(key.to_owned(), value.clone()));
                }
                line.typed(at);
                line.typed_all(&taken);
            }
            // The backend is there for devices that are passed on as they are.
            Err(_) => line.typed(at),
        }
        config.audio.push(audio);
    }
}

/// The device of a backend: one that plays by itself, or a controller and its codecs.
fn device(
    line: &mut Line,
    users: &[usize],
    audio: &mut Audio,
    taken: &mut Vec<usize>,
) -> Result<SoundDevice, Why> {
    let mut controller: Option<String> = None;
    for at in users {
        let mut bag = line.bag(*at);
        let driver = bag.needed("driver")?;
        bag.take("audiodev");
        let id = bag.text("id")?;
        if let Some((_, device)) = DEVICES.iter().find(|(known, _)| *known == driver) {
            if users.len() > 1 {
                return Err("a config has a backend for each sound device".into());
            }
            let place = super::place::take(line, &mut bag)?;
            bag.take("port");
            audio.properties = bag.properties()?;
            taken.push(*at);
            audio.address = line.placed(id.as_deref(), place);
            return Ok(*device);
        }
        let codec = match driver.as_str() {
            "hda-duplex" => HdaCodec::Duplex,
            "hda-output" => HdaCodec::Output,
            "hda-micro" => HdaCodec::Micro,
            other => return Err(format!("a config has no sound device {other}")),
        };
        bag.take("cad");
        let bus = bag.text("bus")?;
        bag.done()?;
        if controller.is_some() && controller != bus {
            return Err("a config has a backend for each sound device".into());
        }
        controller = bus;
        audio.codecs.push(codec);
        taken.push(*at);
    }
    // Codecs sit on the only controller, or on the one that they name.
    let found = line.open("device").into_iter().find(|at| {
        let bag = line.bag(*at);
        let is_hda = matches!(bag.peek("driver"), Some("intel-hda" | "ich9-intel-hda"));
        let wanted = controller.as_deref().and_then(|bus| bus.strip_suffix(".0"));
        is_hda && !taken.contains(at) && (wanted.is_none() || bag.peek("id") == wanted)
    });
    let at = found.ok_or("its controller is not on the command line")?;
    let mut bag = line.bag(at);
    let driver = bag.needed("driver")?;
    let id = bag.text("id")?;
    let place = super::place::take(line, &mut bag)?;
    audio.properties = bag.properties()?;
    taken.push(at);
    audio.address = line.placed(id.as_deref(), place);
    let usual =
        if matches!(audio.backend, AudioBackend::Wav(_)) { HdaCodec::Output } else { HdaCodec::Duplex };
    if audio.codecs == [usual] {
        audio.codecs.clear();
    }
    Ok(if driver == "intel-hda" { SoundDevice::IntelHda } else { SoundDevice::Ich9IntelHda })
}

fn backend(mut bag: Bag) -> Result<(AudioBackend, Props), Why> {
    bag.take("id");
    let driver = bag.needed("driver")?;
    let backend = match driver.as_str() {
        "none" => AudioBackend::None,
        "wav" => AudioBackend::Wav(WavAudio::new(bag.needed("path")?)),
        "pa" => AudioBackend::Pa(PulseAudio { server: bag.text("server")? }),
        "pipewire" => AudioBackend::Pipewire,
        "alsa" => AudioBackend::Alsa(AlsaAudio {
            playback: side(&mut bag, "out", "dev")?,
            capture: side(&mut bag, "in", "dev")?,
        }),
        "jack" => {
            let (out, capture) =
                (side(&mut bag, "out", "server-name")?, side(&mut bag, "in", "server-name")?);
            if out != capture {
                return Err("a config has one JACK server".into());
            }
            AudioBackend::Jack(JackAudio { server: out })
        }
        "oss" => AudioBackend::Oss,
        "sndio" => AudioBackend::Sndio,
        "sdl" => AudioBackend::Sdl,
        "spice" => AudioBackend::Spice,
        "dbus" => AudioBackend::Dbus,
        "coreaudio" => AudioBackend::Coreaudio,
        "dsound" => AudioBackend::Dsound,
        other => return Err(format!("a config has no sound backend {other}")),
    };
    Ok((backend, bag.typed_options()?))
}

fn side(bag: &mut Bag, side: &str, key: &str) -> Result<Option<String>, Why> {
    let Some(mut table) = bag.table(side)? else { return Ok(None) };
    let text = table.text(key)?;
    if !table.is_empty() {
        bag.put(side, table.typed_options()?.into());
    }
    Ok(text)
}
