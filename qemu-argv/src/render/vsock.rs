//! `vhost-vsock`.

use crate::draft::Draft;
use crate::error::At;
use crate::parts::FdRole;
use crate::plan::topology::{Connector, PciRequest};
use crate::value::Props;

pub(super) fn vsock(draft: &mut Draft<'_>) {
    let Some(vsock) = &draft.config.vsock else { return };
    let root = At::ROOT;
    let at = root.field("vsock");
    if vsock.cid < 3 || vsock.cid == u32::MAX {
        draft.invalid(at.field("cid"), &vsock.cid.to_string(), "is no guest's context id: 3 to 4294967294");
    }
    let mut props = Props::new().with("guest-cid", vsock.cid);
    if vsock.pass_fd {
        props.set("vhostfd", draft.fd_text(FdRole::VhostVsock));
    }
    let mut pci = PciRequest::express();
    pci.address.clone_from(&vsock.address);
    draft.device(at, draft.board.virtio("vhost-vsock"), "vsock0", props, Connector::Virtio(pci));
}
