//! What people are shown of images and of the work on them.

use qemuctl::image::QemuImg;

use super::super::context::Context;
use super::super::progress::Progress;
use super::super::table;

/// The tool, which moves a bar on the terminal until it is dropped.
pub(super) fn shown(tool: &QemuImg, context: &Context, what: String) -> QemuImg {
    let progress = Progress::percent(context, what);
    tool.clone().on_progress(move |percent| progress.reach(percent.into()))
}

/// The size of an image for people, from QEMU's signed number.
pub(super) fn size(bytes: i64) -> String {
    u64::try_from(bytes).map_or_else(|_| "unknown".to_owned(), table::size)
}
