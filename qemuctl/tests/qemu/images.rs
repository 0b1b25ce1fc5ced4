//! Disk images through `qemu-img`: what is made, what is refused, and that nothing half made stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use qemu_argv::{BlockFormat, Size};
use qemuctl::image::{
    Comparison, ConvertOptions, CreateOptions, Image, ImageError, Preallocation, QemuImg, Repair,
};
use qemuctl::{
    Instance, SecretSource, VmConfig,
    config::{AccelChoice, Disk, Machine, Memory},
};

use crate::support::{VERSIONS, qemu};

fn tool(version: &str) -> QemuImg {
    QemuImg::at(qemu(version, "qemu-img"))
}

/// Writes a pattern into an image, by QEMU's own tool.
fn write(version: &str, image: &Path, format: &str, pattern: &str) {
    let io = Command::new(qemu(version, "qemu-io")).args(["-f", format, "-c", pattern]).arg(image).output();
    let io = io.expect("qemu-io starts");
    assert!(io.status.success(), "{}", String::from_utf8_lossy(&io.stderr));
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn images_are_made_looked_at_changed_and_compared() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let (tool, at) = (tool(version), |name: &str| dir.path().join(name));
        let base = Image::by_name(at("base, with:odd name.qcow2")).expect("a format");
        tool.create(&base, &CreateOptions::sized(Size::mib(8))).await.expect("created");
        let mode = fs::metadata(&base.path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else may read it");
        write(version, &base.path, "qcow2", "write -P 0xab 0 1M");
        let again = tool.create(&base, &CreateOptions::sized(Size::mib(8))).await;
        assert!(matches!(again, Err(ImageError::Exists { .. })), "{again:?}");

        let overlay = Image::by_name(at("overlay.qcow2")).expect("a format");
        tool.create(&overlay, &CreateOptions::overlay(base.clone())).await.expect("created");
        let chain = tool.info(&overlay).await.expect("read");
        assert_eq!(chain.len(), 2);
        assert_eq!(chain[0].backing_filename_format.as_deref(), Some("qcow2"));
        assert_eq!(chain[1].virtual_size, 8 << 20);
        assert_eq!(tool.compare(&overlay, &base).await.expect("compared"), Comparison::Identical);
        write(version, &overlay.path, "qcow2", "write -P 0xcd 1M 1M");
        assert_eq!(tool.compare(&overlay, &base).await.expect("compared"), Comparison::Different);
        let map = tool.map(&overlay).await.expect("mapped");
        let data: Vec<_> =
            map.iter().filter(|part| part.data).map(|part| (part.start, part.length, part.depth)).collect();
        assert_eq!(data, [(0, 1 << 20, 1), (1 << 20, 1 << 20, 0)]);

        tool.resize(&overlay, Size::mib(16), false).await.expect("larger");
        let smaller = tool.resize(&overlay, Size::mib(4), false).await;
        assert!(matches!(smaller, Err(ImageError::WouldShrink { .. })), "{smaller:?}");
        tool.resize(&overlay, Size::mib(8), true).await.expect("smaller, as wished");

        let seen = Arc::new(Mutex::new(Vec::new()));
        let percents = seen.clone();
        let observed = tool.clone().on_progress(move |percent| percents.lock().expect("alive").push(percent));
        let flat = Image::by_name(at("flat.raw")).expect("a format");
        observed.convert(&overlay, &flat, &ConvertOptions::default()).await.expect("converted");
        assert_eq!(seen.lock().expect("alive").last(), Some(&100));
        assert_eq!(tool.compare(&overlay, &flat).await.expect("compared"), Comparison::Identical);
        let measured = tool.measure(&overlay, BlockFormat::Raw).await.expect("measured");
        assert_eq!(measured.fully_allocated, 8 << 20);

        tool.rebase(&overlay, None).await.expect("rests on nothing");
        assert_eq!(tool.info(&overlay).await.expect("read").len(), 1);
        assert_eq!(tool.compare(&overlay, &flat).await.expect("compared"), Comparison::Identical);
        let child = Image::by_name(at("child.qcow2")).expect("a format");
        tool.create(&child, &CreateOptions::overlay(overlay.clone())).await.expect("created");
        write(version, &child.path, "qcow2", "write -P 0xef 2M 1M");
        tool.commit(&child).await.expect("committed");
        assert_eq!(tool.compare(&overlay, &flat).await.expect("compared"), Comparison::Different);
        let copy = Image::by_name(at("copy.qcow2")).expect("a format");
        tool.copy(&overlay, &copy, false).await.expect("copied");
        assert_eq!(tool.compare(&overlay, &copy).await.expect("compared"), Comparison::Identical);
        assert!(tool.check(&copy, None).await.expect("checked").is_clean());
        let raw = tool.check(&flat, Some(Repair::All)).await;
        assert!(matches!(raw, Err(ImageError::Failed { .. })), "{raw:?}");
    }
}

#[tokio::test]
async fn an_encrypted_image_opens_with_its_key_alone() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let (tool, at) = (tool(version), |name: &str| dir.path().join(name));
        let key = |text: &str| SecretSource::Value(text.as_bytes().to_vec().into());
        let plain = Image::by_name(at("plain.qcow2")).expect("a format");
        tool.create(&plain, &CreateOptions::sized(Size::mib(1))).await.expect("created");
        write(version, &plain.path, "qcow2", "write -P 0x5a 0 64k");
        for name in ["sealed.qcow2", "sealed.luks"] {
            let sealed = Image::by_name(at(name)).expect("a format").with_key(key("open, sesame"));
            tool.convert(&plain, &sealed, &ConvertOptions::default()).await.expect("encrypted");
            assert_eq!(tool.compare(&sealed, &plain).await.expect("compared"), Comparison::Identical);
            let wrong = tool.compare(&sealed.clone().with_key(key("guess")), &plain).await;
            assert!(matches!(wrong, Err(ImageError::Failed { .. })), "{wrong:?}");
            let bytes = fs::read(&sealed.path).expect("readable");
            assert!(!bytes.windows(64).any(|run| run == [0x5a; 64]), "{name} shows the content");
        }
    }
}

#[tokio::test]
async fn what_fails_or_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (tool, at) = (tool("10.0"), |name: &str| dir.path().join(name));
    let source = Image::by_name(at("source.raw")).expect("a format");
    let options = CreateOptions { preallocation: Preallocation::Full, ..CreateOptions::sized(Size::mib(64)) };
    tool.create(&source, &options).await.expect("created");
    assert!(matches!(Image::by_name(at("mystery")), Err(ImageError::NoFormat { .. })));
    // Not a qcow2 image: it is not converted as what it might be.
    let wrong = Image::new(&source.path, BlockFormat::Qcow2);
    let target = Image::by_name(at("target.qcow2")).expect("a format");
    let failed = tool.convert(&wrong, &target, &ConvertOptions::default()).await;
    assert!(
        matches!(&failed, Err(ImageError::Failed { reason, .. }) if reason.contains("qcow2")),
        "{failed:?}"
    );
    // A full file system.
    let missing = QemuImg::at(at("no-such-program")).info(&source).await;
    assert!(matches!(missing, Err(ImageError::NoTool)), "{missing:?}");
    // Dropped in the middle: the first sign of progress ends it.
    let (sender, under_way) = tokio::sync::oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let observed = tool.clone().on_progress(move |_| {
        if let Some(sender) = sender.lock().expect("alive").take() {
            sender.send(()).ok();
        }
    });
    let compressed = ConvertOptions { compress: true, ..ConvertOptions::default() };
    tokio::select! {
        done = observed.convert(&source, &target, &compressed) => {
            done.expect("converted before it was dropped");
            fs::remove_file(&target.path).expect("it is there");
        }
        heard = under_way => heard.expect("progress"),
    }
    assert_eq!(names(dir.path()), ["source.raw"]);
}

#[tokio::test]
async fn an_image_in_use_names_who_uses_it() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let image = Image::by_name(dir.path().join("disk.qcow2")).expect("a format");
        let tool = tool(version);
        tool.create(&image, &CreateOptions::sized(Size::mib(8))).await.expect("created");
        let vm = Instance::start(&VmConfig {
            name: Some("holder".into()),
            qemu: Some(qemu(version, "qemu-system-x86_64")),
            memory: Memory::new(Size::mib(64)),
            machine: Machine { accel: AccelChoice::Tcg, ..Machine::default() },
            disks: vec![Disk::file(&image.path)],
            socket_dir: Some(dir.path().join("sockets")),
            paused: true,
            ..VmConfig::default()
        })
        .await
        .expect("started");
        assert_eq!(tool.info(&image).await.expect("may be looked at").len(), 1);
        let copy = Image::by_name(dir.path().join("copy.qcow2")).expect("a format");
        let refusals = [
            tool.resize(&image, Size::mib(16), false).await,
            tool.commit(&image).await,
            tool.copy(&image, &copy, false).await,
            tool.check(&image, Some(Repair::Leaks)).await.map(drop),
        ];
        for refusal in refusals {
            let Err(ImageError::InUse { holders, .. }) = &refusal else { panic!("{version}: {refusal:?}") };
            assert_eq!(holders.iter().map(|holder| Some(holder.pid)).collect::<Vec<_>>(), [vm.pid()]);
        }
        assert!(!copy.path.exists());
        vm.kill().await.expect("killed");
        tool.resize(&image, Size::mib(16), false).await.expect("free again");
    }
}
