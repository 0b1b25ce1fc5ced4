//! Disks whose bytes are elsewhere.

mod backend;
pub mod certificates;
mod http;
mod iscsi;
mod local;
mod nbd;
mod ssh;

use std::path::Path;
use std::process::Command;

use crate::servers::run;
use crate::support::qemu;
use backend::{Backend, SIZE};

/// An image of the usual size.
fn create(path: &Path, format: &str, options: &[&str]) {
    run(qemu_img().args(["create", "-q", "-f", format]).args(options).arg(path).arg(SIZE.to_string()));
}

fn qemu_img() -> Command {
    Command::new(qemu("10.0", "qemu-img"))
}

/// The first bytes of a file.
fn head(path: &Path, count: usize) -> Vec<u8> {
    let mut bytes = std::fs::read(path).expect("the image");
    bytes.truncate(count);
    bytes
}
