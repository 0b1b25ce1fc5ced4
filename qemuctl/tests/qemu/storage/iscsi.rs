//! Logical units of an iSCSI target, served by `tgtd` to who knows the CHAP secret.

use std::path::Path;
use std::process::Command;

use qemuctl::{
    config::{Disk, DiskBackend, HeaderDigest, IscsiDisk, Secret},
    error::Cause,
};

use super::{Backend, SIZE, head};
use crate::servers::{Server, blank, isolated, program, run, scratch};

const PORTAL: &str = "127.0.0.1:3260";
const TARGET: &str = "iqn.2026-01.com.example:disks";
const USER: &str = "guest";
const PASSWORD: &str = "twelve, or \"more\"";

/// `tgtadm` speaks to the daemon at this socket, not to one of the system.
fn control(dir: &Path, program: &mut Command) {
    program.env("TGT_IPC_SOCKET", dir.join("tgtd"));
}

fn admin(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program("tgtadm"));
    control(dir, &mut command);
    command.args(["--lld", "iscsi"]).args(words);
    command
}

pub(super) async fn target(dir: &Path, password: &str) -> Backend {
    let image = dir.join("iscsi.raw");
    blank(&image, SIZE);
    let mut server = Server::start(dir, program("tgtd"), |command| {
        control(dir, command.args(["--foreground", "--iscsi", &format!("portal={PORTAL}")]));
    });
    server
        .ready(|| {
            let show = admin(dir, &["--op", "show", "--mode", "target"]).output().expect("it runs");
            show.status.success().then_some(())
        })
        .await;
    let image_name = image.to_str().expect("a plain name");
    for words in [
        &["--op", "new", "--mode", "target", "--tid", "1", "-T", TARGET][..],
        &["--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", image_name],
        &["--op", "new", "--mode", "account", "--user", USER, "--password", PASSWORD],
        &["--op", "bind", "--mode", "account", "--tid", "1", "--user", USER],
        &["--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL"],
    ] {
        run(&mut admin(dir, words));
    }
    let disk = Disk::new(DiskBackend::Iscsi(IscsiDisk {
        portal: PORTAL.into(),
        target: TARGET.into(),
        lun: 1,
        user: Some(USER.into()),
        password_secret: Some("chap".into()),
        initiator: Some("iqn.2026-01.com.example:vm".into()),
        header_digest: Some(HeaderDigest::Crc32c),
        timeout_s: Some(30),
    }));
    let backend = Backend::new(disk, vec![server], move |count| head(&image, count));
    Backend { secrets: vec![Secret::new("chap", password)], ..backend }
}

#[test]
fn a_disk_over_iscsi() {
    isolated(a_disk_over_iscsi, async {
        let dir = scratch();
        let backend = target(dir.path(), PASSWORD).await;
        backend.holds_what_is_written(dir.path()).await;
    });
}

#[test]
fn a_wrong_chap_secret_is_refused() {
    isolated(a_wrong_chap_secret_is_refused, async {
        let dir = scratch();
        let backend = target(dir.path(), "thirteen letters").await;
        backend.is_refused(dir.path(), Cause::NotAuthenticated).await;
    });
}
