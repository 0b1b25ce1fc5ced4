//! Files on an SSH server: `sshd` with a host key and a user's key of the test's own.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use qemuctl::{
    config::{Disk, DiskBackend, Sha256HostKey, SshDisk, SshHostKey},
    error::Cause,
};

use super::{Backend, SIZE, head};
use crate::servers::{Server, blank, isolated, program, run, scratch, ssh_agent};

const PORT: u16 = 2222;

/// The server takes itself for this user, who is on every Linux; so it needs no account of its own.
const NOBODY: &str = "65534";

/// Writes a key pair and returns the fingerprint in hexadecimal, which QEMU wants.
fn key(dir: &Path, name: &str) -> String {
    let mut generate = Command::new(program("ssh-keygen"));
    run(generate.current_dir(dir).args(["-q", "-t", "ed25519", "-N", "", "-f", name]));
    let public = std::fs::read_to_string(dir.join(format!("{name}.pub"))).expect("a public key");
    let blob = dir.join(format!("{name}.blob"));
    let base64 = public.split(' ').nth(1).expect("type, key, comment");
    std::fs::write(dir.join(format!("{name}.base64")), base64).expect("written");
    let mut decode = Command::new(program("openssl"));
    decode.current_dir(dir).args(["base64", "-d", "-A", "-in", &format!("{name}.base64")]);
    run(decode.arg("-out").arg(&blob));
    let digest = run(Command::new(program("openssl")).args(["dgst", "-sha256", "-r"]).arg(&blob));
    digest.split(' ').next().expect("the digest comes first").to_owned()
}

/// Starts the agent that QEMU asks for the user's key.
async fn agent(dir: &Path) -> Server {
    let socket = ssh_agent();
    let mut server = Server::start(dir, program("ssh-agent"), |command| {
        command.arg("-D").arg("-a").arg(&socket);
    });
    server.ready(|| socket.exists().then_some(())).await;
    server
}

pub(super) async fn server(dir: &Path) -> Backend {
    let image = dir.join("ssh, 1.raw");
    blank(&image, SIZE);
    let fingerprint = key(dir, "host");
    key(dir, "user");
    let agent = agent(dir).await;
    run(Command::new(program("ssh-add")).arg("-q").arg(dir.join("user")));
    let config = format!(
        "ListenAddress 127.0.0.1:{PORT}\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/user.pub\nPidFile none\n\
         StrictModes no\nUsePAM no\nSshdSessionPath {session}\nSshdAuthPath {auth}\nSubsystem sftp internal-sftp\n",
        dir = dir.display(),
        session = program("sshd-session").display(),
        auth = program("sshd-auth").display(),
    );
    std::fs::write(dir.join("sshd.conf"), config).expect("written");
    let mut server = Server::start(dir, "unshare", |command| {
        command.args(["--map-user", NOBODY, "--map-group", NOBODY, "--"]);
        command.arg(program("sshd")).args(["-D", "-e", "-f", "sshd.conf"]);
    });
    server.ready(|| TcpStream::connect(("127.0.0.1", PORT)).is_ok().then_some(())).await;
    let disk = Disk::new(DiskBackend::Ssh(SshDisk {
        host: "127.0.0.1".into(),
        port: Some(PORT),
        path: image.to_str().expect("a plain name").into(),
        user: Some("nobody".into()),
        host_key: SshHostKey::Sha256(Sha256HostKey { hash: fingerprint }),
    }));
    Backend::new(disk, vec![agent, server], move |count| head(&image, count))
}

#[test]
fn a_disk_over_ssh() {
    isolated(a_disk_over_ssh, async {
        let dir = scratch();
        let backend = server(dir.path()).await;
        backend.holds_what_is_written(dir.path()).await;
    });
}

#[test]
fn another_host_key_and_a_key_unknown_to_the_server_are_refused() {
    isolated(another_host_key_and_a_key_unknown_to_the_server_are_refused, async {
        let dir = scratch();
        let mut backend = server(dir.path()).await;
        let good = backend.disk.clone();
        let DiskBackend::Ssh(SshDisk { host_key, .. }) = &mut backend.disk.backend else {
            panic!("it is SSH")
        };
        *host_key = SshHostKey::Sha256(Sha256HostKey { hash: "0123456789abcdef".repeat(4) });
        backend.is_refused(dir.path(), Cause::Untrusted).await;
        backend.disk = good;
        run(Command::new(program("ssh-add")).args(["-q", "-D"]));
        key(dir.path(), "stranger");
        run(Command::new(program("ssh-add")).arg("-q").arg(dir.path().join("stranger")));
        backend.is_refused(dir.path(), Cause::NotAuthenticated).await;
    });
}
