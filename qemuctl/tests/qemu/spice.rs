//! A SPICE client handed over to QEMU: it logs in with its ticket, and the main channel begins.
//!
//! No client library with a fitting licence or size is to be had, so the link is spoken here. The ticket is the password,
//! encrypted with the key that the server sends (RSA with OAEP), by the program `openssl`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use qemuctl::{
    Instance, VmConfig,
    control::{Authentication, Expiry},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::boot_sector::Guest;
use crate::support::{VERSIONS, qemu};

const GENEROUS: Duration = Duration::from_secs(120);

/// The results of a link.
const OK: u32 = 0;
const PERMISSION_DENIED: u32 = 7;

async fn start(version: &str, dir: &Path) -> Instance {
    let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir, "vm");
    let words = ["-spice", "image-compression=auto_glz"];
    let config = VmConfig { extra_args: words.iter().map(|&word| word.into()).collect(), ..config };
    Instance::start(&config).await.expect(version)
}

/// Encrypts as the server wants it.
async fn encrypt(key: &[u8], password: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("key.der");
    std::fs::write(&file, key).expect("written");
    let mut openssl = tokio::process::Command::new("openssl")
        .args([
            "pkeyutl",
            "-encrypt",
            "-pubin",
            "-keyform",
            "DER",
            "-pkeyopt",
            "rsa_padding_mode:oaep",
            "-inkey",
        ])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl starts");
    let mut stdin = openssl.stdin.take().expect("piped");
    // The server reads the password up to a NUL.
    stdin.write_all(password.as_bytes()).await.expect("written");
    stdin.write_u8(0).await.expect("written");
    drop(stdin);
    let output = openssl.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "openssl: {}", output.status);
    output.stdout
}

/// Links the main channel and tells the result. If it is fine, the server says who it is.
async fn link(mut client: UnixStream, password: &str) -> u32 {
    // Magic, version 2.2, size of what follows; no connection yet, the main channel 0, no capabilities.
    let mut hello = b"REDQ".to_vec();
    for number in [2_u32, 2, 18, 0] {
        hello.extend_from_slice(&number.to_le_bytes());
    }
    hello.extend_from_slice(&[1, 0]);
    for number in [0_u32, 0, 18] {
        hello.extend_from_slice(&number.to_le_bytes());
    }
    client.write_all(&hello).await.expect("it listens");
    let mut magic = [0; 4];
    client.read_exact(&mut magic).await.expect("it answers");
    assert_eq!(&magic, b"REDQ");
    assert_eq!(
        (client.read_u32_le().await.expect("major"), client.read_u32_le().await.expect("minor")),
        (2, 2)
    );
    let mut reply = vec![0; client.read_u32_le().await.expect("a size") as usize];
    client.read_exact(&mut reply).await.expect("a reply");
    // An error code, 0, then the key of 1024 bits.
    assert_eq!(reply[..4], [0; 4]);
    let ticket = encrypt(&reply[4..166], password).await;
    client.write_all(&ticket).await.expect("it listens");
    let result = client.read_u32_le().await.expect("a result");
    if result == OK {
        // The header of a message: serial number, kind, size, sub-messages. The first is SPICE_MSG_MAIN_INIT.
        let _serial = client.read_u64_le().await.expect("a message");
        assert_eq!(client.read_u16_le().await.expect("its kind"), 103);
    }
    result
}

async fn linked(vm: &Instance, authentication: Authentication, password: &str) -> u32 {
    let (ours, qemus) = UnixStream::pair().expect("a pair");
    vm.add_spice_client(qemus, authentication).await.expect("handed over");
    timeout(GENEROUS, link(ours, password)).await.expect("in time")
}

#[tokio::test]
async fn a_client_logs_in_with_and_without_a_ticket() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path()).await;
        assert_eq!(linked(&vm, Authentication::Required, "").await, PERMISSION_DENIED, "{version}");
        assert_eq!(linked(&vm, Authentication::Skipped, "").await, OK, "{version}");
        vm.set_spice_password("a long secret").await.expect("set");
        assert_eq!(linked(&vm, Authentication::Required, "a guess").await, PERMISSION_DENIED, "{version}");
        assert_eq!(linked(&vm, Authentication::Required, "a long secret").await, OK, "{version}");
        vm.expire_spice_password(Expiry::Now).await.expect("set");
        assert_eq!(
            linked(&vm, Authentication::Required, "a long secret").await,
            PERMISSION_DENIED,
            "{version}"
        );
        vm.expire_spice_password(Expiry::After(Duration::from_secs(3600))).await.expect("set");
        assert_eq!(linked(&vm, Authentication::Required, "a long secret").await, OK, "{version}");
    }
}
