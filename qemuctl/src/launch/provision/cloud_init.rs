//! The files that cloud-init reads from its `NoCloud` disk.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::content::Content;

/// The files of the disk: name and content. JSON is YAML.
pub(super) fn files(content: &Content) -> Vec<(&'static str, Vec<u8>)> {
    let config = format!("#cloud-config\n{:#}\n", Value::Object(config(content)));
    let mut id = Sha256::new();
    id.update(&config);
    id.update(content.user_data.as_deref().unwrap_or_default());
    let id = id.finalize().iter().take(8).fold("qemuctl-".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    });
    // cloud-init does its work again when this id changes, which is when anything else does.
    let meta = json!({ "instance-id": id, "local-hostname": content.hostname });
    let meta = ("meta-data", format!("{meta:#}\n").into_bytes());
    match &content.user_data {
        None => vec![meta, ("user-data", config.into_bytes())],
        Some(data) => vec![meta, ("user-data", data.clone()), ("vendor-data", config.into_bytes())],
    }
}

fn config(content: &Content) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    set("hostname", content.hostname.split('.').next().unwrap_or_default().into());
    set("manage_etc_hosts", "localhost".into());
    if content.hostname.contains('.') {
        set("fqdn", content.hostname.clone().into());
    }
    set("users", json!([user(content)]));
    if content.user == "root" {
        set("disable_root", false.into());
    }
    let (private, public) = &content.host_key;
    set("ssh_keys", json!({ "ed25519_private": private.as_str(), "ed25519_public": public }));
    if let Some(zone) = &content.timezone {
        set("timezone", zone.clone().into());
    }
    if !content.packages.is_empty() {
        set("package_update", true.into());
        set("packages", content.packages.clone().into());
    }
    let files: Vec<_> = content
        .files
        .iter()
        .map(|file| {
            json!({
                "path": file.path,
                "encoding": "b64",
                "content": STANDARD.encode(&file.data),
                "permissions": file.mode,
                "owner": format!("{}:{}", file.owner, file.group),
                // Written after the user has been created, who may own it.
                "defer": true,
            })
        })
        .collect();
    if !files.is_empty() {
        set("write_files", files.into());
    }
    // cloud-init's own `mounts` skips what is not a block device.
    let mounts = content.mounts.iter().map(|mount| {
        let (tag, path) = (quoted(&mount.tag), quoted(&mount.path));
        let line = quoted(&format!("{} {} {} {} 0 0", mount.tag, mount.path, mount.kind, mount.options));
        format!(
            "grep -qs {path} /etc/fstab || echo {line} >> /etc/fstab; mkdir -p {path}; mountpoint -q {path} || mount -t {} -o {} {tag} {path}",
            mount.kind, mount.options
        )
    });
    let run: Vec<_> = mounts.chain(content.run.iter().cloned()).collect();
    if !run.is_empty() {
        set("runcmd", run.into());
    }
    config
}

fn user(content: &Content) -> Value {
    let mut user = json!({
        "name": content.user,
        "ssh_authorized_keys": content.keys,
        // A locked password is one that nobody can enter; SSH keys work regardless.
        "lock_passwd": content.password.is_none() && content.user != "root",
    });
    if content.user != "root" {
        user["shell"] = "/bin/bash".into();
        user["sudo"] = "ALL=(ALL) NOPASSWD:ALL".into();
    }
    if let Some(password) = &content.password {
        user["passwd"] = password.clone().into();
        // `passwd` applies only to users that cloud-init creates.
        user["hashed_passwd"] = password.clone().into();
    }
    user
}

/// A word of a shell's command line.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
