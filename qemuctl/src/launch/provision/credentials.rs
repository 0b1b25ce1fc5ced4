//! The credentials by which systemd sets a guest up.
//!
//! Users and files are set up by `systemd-sysusers` and `systemd-tmpfiles`, which read additional lines from
//! credentials since systemd 252.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::content::Content;

/// The settings of the SSH server that are added: keys that are accepted in addition to the user's own files.
const SSHD: &str = "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/qemuctl/%u.keys\n";

/// Lets `systemd-sysusers` see the password of another user than root.
const PASSWORDS: &str = "[Service]\nImportCredential=passwd.*\n";

/// All credentials: name and value.
pub(super) fn all(content: &Content) -> Vec<(String, Vec<u8>)> {
    let user = &content.user;
    let mut all = vec![("tmpfiles.extra".to_owned(), files(content).into_bytes())];
    if user != "root" {
        let line = format!("u {user} 1000 - {} /bin/bash\n", content.home());
        all.push(("sysusers.extra".to_owned(), line.into_bytes()));
    }
    if let Some(password) = &content.password {
        all.push((format!("passwd.hashed-password.{user}"), password.clone().into_bytes()));
        if user != "root" {
            // Its unit imports only root's password.
            all.push(("systemd.unit-dropin.systemd-sysusers.service".to_owned(), PASSWORDS.into()));
        }
    }
    all.push(("system.hostname".to_owned(), content.hostname.clone().into_bytes()));
    if !content.mounts.is_empty() {
        let lines = content
            .mounts
            .iter()
            .map(|mount| format!("{} {} {} {} 0 0\n", mount.tag, mount.path, mount.kind, mount.options));
        all.push(("fstab.extra".to_owned(), lines.collect::<String>().into_bytes()));
    }
    all
}

/// A credential as an SMBIOS string.
pub(super) fn as_oem_string(name: &str, value: &[u8]) -> String {
    format!("io.systemd.credential.binary:{name}={}", STANDARD.encode(value))
}

/// The lines of `tmpfiles.d`.
fn files(content: &Content) -> String {
    let (user, home) = (&content.user, content.home());
    let mut lines = String::new();
    let mut file = |kind: &str, path: &str, mode: &str, owner: &str, group: &str, data: &[u8]| {
        let data = STANDARD.encode(data);
        writeln!(lines, "{kind} {path} {mode} {owner} {group} - {data}")
            .expect("writing to a string cannot fail");
    };
    let keys = content.keys.join("\n") + "\n";
    let (private, public) = &content.host_key;
    file("f+~", "/etc/ssh/ssh_host_ed25519_key", "0600", "root", "root", private.as_bytes());
    file(
        "f+~",
        "/etc/ssh/ssh_host_ed25519_key.pub",
        "0644",
        "root",
        "root",
        format!("{public}\n").as_bytes(),
    );
    // In files of their own, so that keys which were added in the guest stay.
    file("f+~", &format!("/etc/ssh/qemuctl/{user}.keys"), "0644", "root", "root", keys.as_bytes());
    file("f+~", "/etc/ssh/sshd_config.d/10-qemuctl.conf", "0644", "root", "root", SSHD.as_bytes());
    file("f~", &format!("{home}/.ssh/authorized_keys"), "0600", user, user, keys.as_bytes());
    file("f+~", "/etc/hostname", "0644", "root", "root", format!("{}\n", content.hostname).as_bytes());
    if user != "root" {
        let rule = format!("{user} ALL=(ALL) NOPASSWD:ALL\n");
        file("f+~", "/etc/sudoers.d/90-qemuctl", "0440", "root", "root", rule.as_bytes());
    }
    for one in &content.files {
        file("f+~", &one.path, &one.mode, &one.owner, &one.group, &one.data);
    }
    let mut directories = format!("d {home}/.ssh 0700 {user} {user} - -\n");
    if user != "root" {
        directories = format!("d {home} :0750 :{user} :{user} - -\n{directories}");
    }
    if let Some(zone) = &content.timezone {
        writeln!(lines, "L+ /etc/localtime - - - - ../usr/share/zoneinfo/{zone}")
            .expect("writing to a string cannot fail");
    }
    directories + &lines
}
