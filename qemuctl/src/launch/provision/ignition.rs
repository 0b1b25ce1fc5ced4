//! The config that Ignition reads: Fedora `CoreOS`, Flatcar and others.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::content::Content;

/// The lowest version of the config's format with all that is used here.
const VERSION: &str = "3.0.0";

/// The Ignition config.
pub(super) fn config(content: &Content) -> Vec<u8> {
    if let Some(data) = &content.user_data {
        return data.clone();
    }
    let mut user = json!({ "name": content.user, "sshAuthorizedKeys": content.keys });
    if content.user != "root" {
        user["groups"] = json!(["sudo", "wheel"]);
    }
    if let Some(password) = &content.password {
        user["passwordHash"] = password.clone().into();
    }
    let (private, public) = &content.host_key;
    let mut files = vec![
        file("/etc/hostname", format!("{}\n", content.hostname).as_bytes(), 0o644, "root", "root"),
        file("/etc/ssh/ssh_host_ed25519_key", private.as_bytes(), 0o600, "root", "root"),
        file("/etc/ssh/ssh_host_ed25519_key.pub", format!("{public}\n").as_bytes(), 0o644, "root", "root"),
    ];
    if content.user != "root" {
        let rule = format!("{} ALL=(ALL) NOPASSWD:ALL\n", content.user);
        files.push(file("/etc/sudoers.d/90-qemuctl", rule.as_bytes(), 0o440, "root", "root"));
    }
    files.extend(content.files.iter().map(|one| {
        let mode = u32::from_str_radix(&one.mode, 8).unwrap_or(0o644);
        file(&one.path, &one.data, mode, &one.owner, &one.group)
    }));
    let units: Vec<_> = content
        .mounts
        .iter()
        .map(|mount| {
            let text = format!(
                "[Mount]\nWhat={}\nWhere={}\nType={}\nOptions={}\n\n[Install]\nWantedBy=multi-user.target\n",
                mount.tag, mount.path, mount.kind, mount.options
            );
            json!({ "name": unit_name(&mount.path), "enabled": true, "contents": text })
        })
        .collect();
    let mut storage = json!({ "files": files });
    if let Some(zone) = &content.timezone {
        let target = format!("../usr/share/zoneinfo/{zone}");
        storage["links"] = json!([{ "path": "/etc/localtime", "target": target, "overwrite": true }]);
    }
    let config = json!({
        "ignition": { "version": VERSION },
        "passwd": { "users": [user] },
        "storage": storage,
        "systemd": { "units": units },
    });
    config.to_string().into_bytes()
}

fn file(path: &str, data: &[u8], mode: u32, owner: &str, group: &str) -> Value {
    json!({
        "path": path,
        "overwrite": true,
        "mode": mode,
        "user": { "name": owner },
        "group": { "name": group },
        "contents": { "source": format!("data:;base64,{}", STANDARD.encode(data)) },
    })
}

/// The name of the mount unit for a path, as systemd escapes it.
fn unit_name(path: &str) -> String {
    let mut name = String::new();
    for (index, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => name.push(byte.into()),
            b'.' if index > 0 => name.push('.'),
            _ => write!(name, "\\x{byte:02x}").expect("writing to a string cannot fail"),
        }
    }
    name + ".mount"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_names_of_units() {
        assert_eq!(unit_name("/mnt/my-src.d/1"), r"mnt-my\x2dsrc.d-1.mount");
    }
}
