//! Files and devices of this machine, in every format.

use std::path::Path;
use std::process::Command;

use qemuctl::{
    Error, Instance,
    config::{
        Backing, BackingImage, BlockFormat, Cache, Disk, DiskAio, DiskBackend, HostDeviceDisk, NullDisk,
        Secret, Size,
    },
    error::Cause,
};

use super::{Backend, SIZE, create, head, qemu_img};
use crate::servers::{blank, run, scratch};
use crate::support::VERSIONS;

const PASSPHRASE: &str = "open, \"sesame\"";

/// The first bytes of an image in any format, read by `qemu-img`.
fn contents(path: &Path, source: &str, count: usize) -> Vec<u8> {
    let raw = path.with_extension("contents");
    let _ = std::fs::remove_file(&raw);
    let mut convert = qemu_img();
    let key = path.with_file_name("passphrase");
    if key.exists() {
        convert.args(["convert", "--object", &format!("secret,id=key,file={}", key.display())]);
    } else {
        convert.arg("convert");
    }
    run(convert.args(["--image-opts", source, "-O", "raw"]).arg(&raw));
    head(&raw, count)
}

pub(super) fn image(dir: &Path, format: BlockFormat) -> Backend {
    let name = format.qemu_name();
    let path = dir.join(format!("local.{name}"));
    create(&path, name, &[]);
    let disk = Disk { format: Some(format), ..Disk::file(&path) };
    let source = format!("driver={name},file.driver=file,file.filename={}", path.display());
    Backend::new(disk, Vec::new(), move |count| contents(&path, &source, count))
}

/// Around the host's cache and with discards, as a server would have it.
pub(super) fn direct(dir: &Path) -> Backend {
    let path = dir.join("direct.raw");
    blank(&path, SIZE);
    let disk =
        Disk { cache: Some(Cache::None), aio: Some(DiskAio::Native), discard: true, ..Disk::file(&path) };
    Backend::new(disk, Vec::new(), move |count| head(&path, count))
}

/// An image under a passphrase: `luks` itself, or inside a qcow2 one.
pub(super) fn encrypted(dir: &Path, format: BlockFormat) -> Backend {
    let name = format.qemu_name();
    let path = dir.join(format!("encrypted.{name}"));
    let key = dir.join("passphrase");
    std::fs::write(&key, PASSPHRASE).expect("written");
    let object = format!("secret,id=key,file={}", key.display());
    let inside = if format == BlockFormat::Luks { "" } else { "encrypt." };
    let kind = if format == BlockFormat::Luks { "" } else { ",encrypt.format=luks" };
    let options = format!("{inside}key-secret=key,{inside}iter-time=10{kind}");
    create(&path, name, &["--object", &object, "-o", &options]);
    let disk = Disk { format: Some(format), key_secret: Some("passphrase".into()), ..Disk::file(&path) };
    let source =
        format!("driver={name},file.driver=file,file.filename={},{inside}key-secret=key", path.display());
    let backend = Backend::new(disk, Vec::new(), move |count| contents(&path, &source, count));
    Backend { secrets: vec![Secret::new("passphrase", PASSPHRASE)], ..backend }
}

/// Two overlays on a base that is never written, none of which names another in its header.
pub(super) fn chain(dir: &Path) -> Backend {
    let [base, middle, top] = ["base.raw", "middle.qcow2", "top.qcow2"].map(|name| dir.join(name));
    std::fs::write(&base, vec![0xbb; 4 << 20]).expect("written");
    create(&middle, "qcow2", &[]);
    create(&top, "qcow2", &[]);
    let on = |path: &Path, backing| {
        let backend = DiskBackend::file(path);
        Backing::Image(Box::new(BackingImage { backend, format: None, key_secret: None, backing }))
    };
    let disk = Disk { backing: on(&middle, on(&base, Backing::None)), ..Disk::file(&top) };
    let source = format!("driver=qcow2,file.driver=file,file.filename={}", top.display());
    Backend::new(disk, Vec::new(), move |count| {
        assert!(head(&base, 4 << 20) == vec![0xbb; 4 << 20], "the base has changed");
        contents(&top, &source, count)
    })
}

/// A block device of this machine, made of a file.
struct Loop(String);

impl Loop {
    fn new(image: &Path) -> Self {
        let name = run(Command::new("losetup").args(["--find", "--show"]).arg(image));
        Self(name.trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run(Command::new("losetup").args(["--detach", &self.0]));
    }
}

#[tokio::test]
async fn images_of_every_format() {
    use BlockFormat::{Qcow2, Qed, Raw, Vdi, Vhdx, Vmdk, Vpc};
    let dir = scratch();
    for format in [Raw, Qcow2, Vmdk, Vdi, Vhdx, Vpc, Qed] {
        image(dir.path(), format).holds_what_is_written(dir.path()).await;
    }
    direct(dir.path()).holds_what_is_written(dir.path()).await;
}

#[tokio::test]
async fn encrypted_images() {
    let dir = scratch();
    for format in [BlockFormat::Luks, BlockFormat::Qcow2] {
        let backend = encrypted(dir.path(), format);
        backend.holds_what_is_written(dir.path()).await;
        let wrong = Backend { secrets: vec![Secret::new("passphrase", "shut")], ..backend };
        wrong.is_refused(dir.path(), Cause::WrongSecret).await;
    }
}

#[tokio::test]
async fn a_chain_of_overlays() {
    let dir = scratch();
    let backend = chain(dir.path());
    backend.reads("10.0", dir.path(), 0xbb).await;
    backend.holds_what_is_written(dir.path()).await;
}

#[tokio::test]
async fn nothing_at_all() {
    let dir = scratch();
    let disk = Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(4) }));
    let backend = Backend::new(disk, Vec::new(), |count| vec![7; count]);
    // Writes succeed and vanish, so what is read afterwards is zeroes.
    for version in VERSIONS {
        backend.holds(version, dir.path(), 7).await;
        backend.reads(version, dir.path(), 0).await;
    }
}

#[tokio::test]
async fn a_block_device_of_the_host() {
    let dir = scratch();
    let image = dir.path().join("device.raw");
    blank(&image, SIZE);
    let on = |path: &Path| Disk::new(DiskBackend::HostDevice(HostDeviceDisk { path: path.into() }));
    if rustix::process::geteuid().is_root() {
        let device = Loop::new(&image);
        let below = image.clone();
        let backend = Backend::new(on(device.0.as_ref()), Vec::new(), move |count| head(&below, count));
        backend.holds_what_is_written(dir.path()).await;
    }
    let file = Backend::new(on(&image), Vec::new(), |_| Vec::new());
    for version in VERSIONS {
        let error = Instance::start(&file.config(version, dir.path())).await.expect_err("it is refused");
        assert!(matches!(error, Error::Plan(_)), "{version}: {error:?}");
        assert!(error.to_string().contains("is a file, not a block device"), "{version}: {error}");
    }
}
