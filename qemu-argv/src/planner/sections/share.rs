//! virtiofs and 9p.

use std::path::Path;

use super::chardev;
use crate::config::{CharBackend, NinePSecurity, NinePShare, Share, VirtiofsShare, VmConfig};
use crate::name::join;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, PciRequest};
use crate::value::Props;

pub(super) fn shares(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("shares", "share", &config.shares, Share::id);
    let mut tags: Vec<&str> = Vec::new();
    for (index, (share, id)) in config.shares.iter().zip(ids).enumerate() {
        let at = At::entry("shares", index);
        let (tag, longest, address) = match share {
            Share::Virtiofs(VirtiofsShare { tag, address, .. }) => (tag, 36, address),
            Share::NineP(NinePShare { tag, address, .. }) => (tag, 31, address),
        };
        if tag.is_empty() || tag.len() > longest {
            builder.invalid(
                at.field("tag"),
                tag,
                format!("is not a valid tag; it must have 1 to {longest} bytes"),
            );
        }
        if tags.contains(&tag.as_str()) {
            builder.conflict(at.field("tag"), format!("another share has the tag {tag:?}"));
        }
        tags.push(tag);
        let mut pci = PciRequest::express();
        pci.address.clone_from(address);
        let (driver, props) = match share {
            Share::Virtiofs(VirtiofsShare { socket, queue_size, .. }) => {
                builder.shared_memory = true;
                let name = join([&id, "-chardev"]);
                let backend = CharBackend::unix_client(socket);
                chardev::add(builder, at.field("socket"), &name, &backend, None);
                let props =
                    Props::new().with("chardev", name).with("tag", tag).with_some("queue-size", *queue_size);
                ("vhost-user-fs", props)
            }
            Share::NineP(NinePShare { path, security, read_only, remap_devices, .. }) => {
                fsdev(builder, at, &id, path, *security, *read_only, *remap_devices);
                ("virtio-9p", Props::new().with("fsdev", id.clone()).with("mount_tag", tag))
            }
        };
        let driver = builder.board.virtio(driver, &pci);
        builder.device(at, driver, &id, props, Connector::Virtio(pci));
    }
}

fn fsdev(
    builder: &mut Builder<'_>,
    at: At<'_>,
    id: &str,
    path: &Path,
    security: NinePSecurity,
    read_only: bool,
    remap: bool,
) {
    let security = match security {
        NinePSecurity::MappedXattr => "mapped-xattr",
        NinePSecurity::MappedFile => "mapped-file",
        NinePSecurity::Passthrough => "passthrough",
        NinePSecurity::None => "none",
    };
    let path = builder.raw_path(at.field("path"), path);
    let props = Props::new()
        .with("fsdriver", "local")
        .with("id", id.to_owned())
        .with("path", path)
        .with("security_model", security)
        .with_some("readonly", read_only.then_some(true))
        .with_some("multidevs", remap.then_some("remap"));
    builder.option(at, "-fsdev", props);
}
