//! Checks of what the guest is to set up. QEMU is not told: the launcher adds disks and files for it.

use crate::config::{Guest, GuestFile, Provision, SecretFormat, Share, VmConfig};
use crate::error::Fault;
use crate::planner::at::At;
use crate::planner::builder::Builder;

pub(super) fn guest(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(guest) = &config.guest else { return };
    let at = At::section("guest");
    names(builder, at, guest);
    let secret = |id: &String| config.secrets.iter().find(|secret| secret.id == *id);
    if let Some(SecretFormat::Base64) =
        guest.password_secret.as_ref().and_then(secret).map(|secret| secret.format)
    {
        builder.conflict(at.field("password_secret"), "the secret must not be in base64");
    }
    if let Some(id) = &guest.password_secret
        && secret(id).is_none()
    {
        let ids: Vec<_> = config.secrets.iter().map(|secret| secret.id.as_str()).collect();
        let known =
            if ids.is_empty() { "there are none".to_owned() } else { format!("known: {}", ids.join(", ")) };
        builder.fault(at.field("password_secret"), Fault::UnknownSecret { known });
    }
    for (index, key) in guest.ssh_keys.iter().flatten().enumerate() {
        // A comment after the key may be missing; options before it are allowed.
        if key.split_whitespace().count() < 2
            || key.contains(['\n', '\r', '\0'])
            || key.contains("PRIVATE KEY")
        {
            builder.conflict(
                at.item("ssh_keys", index),
                "expected the line of a public key, such as \"ssh-ed25519 AAAA…\"",
            );
        }
    }
    for (index, file) in guest.files.iter().enumerate() {
        self::file(builder, at.item("files", index), file);
    }
    for (index, mount) in guest.mounts.iter().enumerate() {
        let at = at.item("mounts", index);
        let is_it = |share: &Share| match share {
            Share::Virtiofs(share) => share.tag == mount.share,
            Share::NineP(share) => share.tag == mount.share,
        };
        if !config.shares.iter().any(is_it) {
            builder.invalid(at.field("share"), &mount.share, "is not the tag of a share");
        }
        absolute(builder, at.field("path"), &mount.path());
    }
    ways(builder, at, guest);
}

/// Checks what becomes a name, a line or a field of a file in the guest.
fn names(builder: &mut Builder<'_>, at: At<'_>, guest: &Guest) {
    let user = guest.user();
    let is_name = |text: &str| {
        !text.is_empty()
            && text.len() <= 31
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
            && text.as_bytes()[0].is_ascii_lowercase() | text.starts_with('_')
    };
    if !is_name(user) {
        let why = "is not a valid user name; expected lower-case letters, digits, _ and -, at most 31, a letter first";
        builder.invalid(at.field("user"), user, why);
    }
    if let Some(name) = &guest.hostname {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() > 64 || !name.split('.').all(is_label) {
            let why = "is not a valid host name; expected letters, digits and - between dots, at most 64";
            builder.invalid(at.field("hostname"), name, why);
        }
    }
    if let Some(zone) = &guest.timezone {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
        if zone.is_empty() || zone.starts_with('/') || !zone.bytes().all(is_good) {
            builder.invalid(
                at.field("timezone"),
                zone,
                "is not a time zone; expected a name such as Europe/Berlin",
            );
        }
    }
    for (index, package) in guest.packages.iter().enumerate() {
        let is_good = |byte: u8| byte.is_ascii_graphic();
        if package.is_empty() || package.starts_with('-') || !package.bytes().all(is_good) {
            builder.invalid(at.item("packages", index), package, "is not the name of a package");
        }
    }
}

fn file(builder: &mut Builder<'_>, at: At<'_>, file: &GuestFile) {
    absolute(builder, at.field("path"), &file.path);
    if file.text.is_some() == file.source.is_some() {
        builder.conflict(at, "set either `text` or `source`");
    }
    if let Some(mode) = &file.mode
        && (!(3..=4).contains(&mode.len()) || !mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte)))
    {
        builder.invalid(at.field("mode"), mode, "is not a mode; expected octal digits such as 0755");
    }
    if let Some(owner) = &file.owner {
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        let parts: Vec<_> = owner.split(':').collect();
        if parts.len() > 2 || !parts.into_iter().all(is_name) {
            builder.invalid(at.field("owner"), owner, "is not an owner; expected USER or USER:GROUP");
        }
    }
}

/// Checks a path in the guest, which stands in lines of files there.
fn absolute(builder: &mut Builder<'_>, at: At<'_>, path: &str) {
    let is_plain = path.chars().all(|letter| !letter.is_control() && !letter.is_whitespace());
    if !path.starts_with('/') || path.ends_with('/') || path.split('/').any(|part| part == "..") || !is_plain
    {
        builder.invalid(
            at,
            path,
            "is not a path of a file in the guest; expected an absolute path without spaces and ..",
        );
    }
}

/// Checks that each setting has a way into the guest.
fn ways(builder: &mut Builder<'_>, at: At<'_>, guest: &Guest) {
    if guest.provision.as_ref().is_some_and(Vec::is_empty) {
        builder.conflict(at.field("provision"), "the list is empty; remove the section [guest] instead");
    }
    if guest.uses(Provision::Ignition) && (guest.uses(Provision::CloudInit) || guest.uses(Provision::Systemd))
    {
        builder.conflict(at.field("provision"), "`ignition` cannot be combined with the others");
    }
    if !guest.uses(Provision::CloudInit) {
        for (field, is_set) in [("packages", !guest.packages.is_empty()), ("run", !guest.run.is_empty())] {
            if is_set {
                builder.conflict(
                    at.field(field),
                    "only `cloud-init` supports this; add it to `guest.provision`",
                );
            }
        }
    }
    if guest.user_data.is_some() && !guest.uses(Provision::CloudInit) && !guest.uses(Provision::Ignition) {
        builder.conflict(
            at.field("user_data"),
            "systemd has no user data; add `cloud-init` to `guest.provision`",
        );
    }
}
