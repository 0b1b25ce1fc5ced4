//! `vhost-vsock`.

use crate::config::VmConfig;
use crate::plan::FdRole;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, PciRequest};
use crate::value::Props;

pub(super) fn vsock(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(vsock) = &config.vsock else { return };
    let at = At::section("vsock");
    if vsock.cid < 3 || vsock.cid == u32::MAX {
        builder.invalid(
            at.field("cid"),
            &vsock.cid.to_string(),
            "is not a valid context id; expected 3 to 4294967294",
        );
    }
    let mut props = Props::new().with("guest-cid", vsock.cid);
    if vsock.pass_fd {
        props.set("vhostfd", builder.fd_text(at, FdRole::VhostVsock));
    }
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &vsock.properties);
    props.extend(vsock.properties.clone());
    let mut pci = PciRequest::express();
    pci.address.clone_from(&vsock.address);
    let driver = builder.board.virtio("vhost-vsock", &pci);
    builder.device(at, driver, "vsock0", props, Connector::Virtio(pci));
}
