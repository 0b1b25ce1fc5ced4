//! Requirements of networks other than user mode.

use std::os::unix::fs::MetadataExt;

use nix::unistd::Uid;

use super::check::{Check, open_device, plain, shown};
use crate::Places;

/// Where distributions put the helper that joins a tap device to a bridge.
const HELPERS: [&str; 5] = [
    "/usr/lib/qemu/qemu-bridge-helper",
    "/usr/libexec/qemu-bridge-helper",
    "/usr/lib64/qemu/qemu-bridge-helper",
    "/usr/local/libexec/qemu-bridge-helper",
    "/usr/lib/qemu-bridge-helper",
];

/// The list of bridges that the helper may use.
const ACL: &str = "/etc/qemu/bridge.conf";

pub(super) fn bridge_helper(places: &Places) -> Check {
    const NAME: &str = "bridge helper";
    let Some(helper) = HELPERS.iter().map(|path| places.at(path)).find(|path| path.is_file()) else {
        return Check::warning(NAME, "not found, so guests cannot join a bridge without root")
            .remedy("install the QEMU package that provides qemu-bridge-helper");
    };
    let name = shown(places, &helper);
    let setuid = helper.metadata().is_ok_and(|metadata| metadata.uid() == 0 && metadata.mode() & 0o4000 != 0);
    if !setuid && !Uid::effective().is_root() {
        return Check::warning(NAME, format!("{name} is not set-user-ID root, so it has no effect"))
            .remedy(format!("`sudo chmod u+s {name}`, if you trust its users"));
    }
    match std::fs::read_to_string(places.at(ACL)) {
        Err(error) => Check::warning(NAME, format!("{name}; {ACL}: {}", plain(&error)))
            .remedy(format!("`sudo mkdir -p /etc/qemu; echo 'allow BRIDGE' | sudo tee {ACL}`")),
        Ok(text) => {
            let allowed: Vec<&str> =
                text.lines().filter_map(|line| line.trim().strip_prefix("allow")).map(str::trim).collect();
            if allowed.is_empty() && !text.contains("include") {
                return Check::warning(NAME, format!("{name}; {ACL} allows no bridges"))
                    .remedy(format!("`echo 'allow BRIDGE' | sudo tee -a {ACL}`"));
            }
            Check::ok(NAME, format!("{name}; allowed: {}", allowed.join(", ")))
        }
    }
}

pub(super) fn tun(places: &Places) -> Check {
    const NODE: &str = "/dev/net/tun";
    match open_device(places, NODE) {
        // Making a device needs CAP_NET_ADMIN all the same.
        Ok(()) => Check::ok("tun", format!("{NODE} opens")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::warning("tun", format!("{NODE} is missing, so tap networks do not work"))
                .remedy("`sudo modprobe tun`; in a container: `--device /dev/net/tun`")
        }
        Err(error) => {
            Check::warning("tun", format!("{NODE}: {}, so tap networks do not work", plain(&error)))
                .remedy(format!("`sudo chmod 0666 {NODE}`, which grants no additional privileges"))
        }
    }
}

pub(super) fn vhost_net(places: &Places) -> Check {
    const NODE: &str = "/dev/vhost-net";
    match open_device(places, NODE) {
        Ok(()) => Check::ok("vhost-net", format!("{NODE} opens")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::warning("vhost-net", format!("{NODE} is missing, so tap networks are slower"))
                .remedy("`sudo modprobe vhost_net`")
        }
        Err(error) => Check::warning(
            "vhost-net",
            format!("{NODE}: {}, so tap networks are slower", plain(&error)),
        )
        .remedy("give the group kvm access: `sudo chgrp kvm /dev/vhost-net; sudo chmod 0660 /dev/vhost-net`"),
    }
}
