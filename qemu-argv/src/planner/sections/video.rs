//! Video devices.

use crate::config::{Video, VideoModel, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, Family, PciRequest};
use crate::value::Props;

pub(super) fn video(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("video", "video", &config.video, |video| video.id.as_deref());
    for (index, (video, id)) in config.video.iter().zip(ids).enumerate() {
        one(builder, At::entry("video", index), &id, video);
    }
}

fn one(builder: &mut Builder<'_>, at: At<'_>, id: &str, video: &Video) {
    use VideoModel as Model;
    let model = video.model;
    let is_qxl = matches!(model, Model::Qxl | Model::QxlVga);
    let is_virtio =
        matches!(model, Model::VirtioGpu | Model::VirtioGpuGl | Model::VirtioVga | Model::VirtioVgaGl);
    let mut props = Props::new();

    if let Some(size) = video.vga_memory {
        let key = match model {
            Model::Vga | Model::Cirrus | Model::QxlVga | Model::Qxl | Model::Vmware | Model::Ati => {
                Some("vgamem_mb")
            }
            Model::Bochs => Some("vgamem"),
            _ => None,
        };
        let at = at.field("vga_memory");
        match key {
            None => builder.conflict(at, format!("`memory` is not supported by {}", model.driver())),
            Some("vgamem") => props.set("vgamem", size.to_bytes()),
            Some(key) => {
                let mib = size.to_bytes() >> 20;
                if !size.to_bytes().is_power_of_two() || !(1..=256).contains(&mib) {
                    builder.invalid(
                        at,
                        &size.to_string(),
                        "is not a valid size of video memory; expected a power of two from 1 to 256 MiB",
                    );
                }
                props.set(key, mib);
            }
        }
    }
    for (field, key, size) in [("ram", "ram_size", video.ram), ("vram", "vram_size", video.vram)] {
        let Some(size) = size else { continue };
        if !is_qxl {
            builder.conflict(at.field(field), "it is only supported by qxl");
        }
        if u32::try_from(size.to_bytes()).is_err() {
            builder.invalid(at.field(field), &size.to_string(), "must be less than 4 GiB");
        }
        props.set(key, size.to_bytes());
    }
    if let Some(size) = video.host_memory {
        if !is_virtio {
            builder.conflict(at.field("host_memory"), "it is only supported by virtio devices");
        }
        props.set("max_hostmem", size.to_bytes());
    }
    if let Some(outputs) = video.outputs {
        if !(1..=16).contains(&outputs) {
            builder.invalid(
                at.field("outputs"),
                &outputs.to_string(),
                "is not a valid number of screens; expected 1 to 16",
            );
        }
        if is_virtio || is_qxl {
            props.set("max_outputs", outputs);
        } else {
            builder.conflict(
                at.field("outputs"),
                "multiple screens are only supported by virtio and qxl devices",
            );
        }
    }
    if video.width.is_some() || video.height.is_some() {
        if !is_virtio && !matches!(model, Model::Vga | Model::Bochs) {
            builder.conflict(
                at.field("width"),
                format!("`width` and `height` are not supported by {}", model.driver()),
            );
        }
        props = props.with_some("xres", video.width).with_some("yres", video.height);
    }
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &video.properties);
    props.extend(video.properties.clone());
    add(builder, at, id, video, props);
}

fn add(builder: &mut Builder<'_>, at: At<'_>, id: &str, video: &Video, props: Props) {
    use VideoModel as Model;
    let model = video.model;
    let model_at = at.field("model");
    if matches!(model, Model::VirtioVga | Model::VirtioVgaGl | Model::QxlVga | Model::Cirrus)
        && !builder.board.is_pc()
    {
        // Other boards have the PCI bus, but firmware without VGA.
        if !matches!(builder.board.family(), Family::Pseries | Family::Malta | Family::Unknown) {
            builder.not_here(model_at, "VGA", "; use virtio-gpu");
        }
    }
    if builder.board.family() == Family::S390Ccw && !matches!(model, Model::VirtioGpu | Model::VirtioGpuGl) {
        builder.not_here(model_at, model.driver(), "; use virtio-gpu");
    }
    if model == Model::Ramfb {
        if video.address.is_some() {
            builder.conflict(at.field("address"), "`address` is not supported by ramfb");
        }
        builder.fixed_device(at, model.driver(), id, props);
        return;
    }
    let mut pci = PciRequest::conventional();
    pci.address.clone_from(&video.address);
    match model {
        Model::VirtioGpu | Model::VirtioGpuGl => {
            let driver = builder.board.virtio(model.driver(), &pci);
            builder.device(at, driver, id, props, Connector::Virtio(pci));
        }
        _ => builder.device(at, model.driver(), id, props, Connector::Pci(pci)),
    }
}
