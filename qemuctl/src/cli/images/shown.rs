//! Progress and sizes of images, for people.

use qemuctl::image::QemuImg;

use super::super::context::Context;
use super::super::progress::Progress;
use super::super::table;

/// Adds a progress bar to the tool, shown until it is dropped.
pub(super) fn shown(tool: &QemuImg, context: &Context, what: String) -> QemuImg {
    let progress = Progress::percent(context, what);
    tool.clone().on_progress(move |percent| progress.reach(percent.into()))
}

/// Formats an image size; QEMU reports sizes as signed numbers.
pub(super) fn size(bytes: i64) -> String {
    u64::try_from(bytes).map_or_else(|_| "unknown".to_owned(), table::size)
}
