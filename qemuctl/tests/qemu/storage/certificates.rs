//! Certificates of a test's own, laid out as QEMU and `qemu-nbd` look for them.

use std::path::Path;
use std::process::Command;

use crate::servers::{program, run};

/// What `openssl req` insists on reading.
const CONFIG: &str = "[req]\ndistinguished_name = name\n[name]\n";

/// Writes an authority, and certificates of it for a server `localhost` and for a client, to `dir`.
pub fn issue(dir: &Path) {
    issue_locked(dir, None);
}

/// The same, with the server's key locked by a password.
pub fn issue_locked(dir: &Path, password: Option<&str>) {
    std::fs::create_dir_all(dir).expect("a directory");
    std::fs::write(dir.join("openssl.cnf"), CONFIG).expect("written");
    certificate(dir, "ca", &["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"], None);
    let server = ["subjectAltName=DNS:localhost,IP:127.0.0.1", "extendedKeyUsage=serverAuth"];
    certificate(dir, "server", &server, password);
    certificate(dir, "client", &["extendedKeyUsage=clientAuth"], None);
}

fn certificate(dir: &Path, name: &str, extensions: &[&str], password: Option<&str>) {
    let mut command = Command::new(program("openssl"));
    command.current_dir(dir).args(["req", "-x509", "-config", "openssl.cnf", "-days", "2"]);
    match password {
        None => command.arg("-nodes"),
        Some(password) => command.args(["-passout", &format!("pass:{password}")]),
    };
    command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-subj", &format!("/CN={name}")]);
    command.args(["-keyout", &format!("{name}-key.pem"), "-out", &format!("{name}-cert.pem")]);
    if name != "ca" {
        command.args(["-CA", "ca-cert.pem", "-CAkey", "ca-key.pem"]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.args(["-addext", "keyUsage=critical,digitalSignature"]);
    }
    for extension in extensions {
        command.args(["-addext", extension]);
    }
    run(&mut command);
}
