//! Block nodes: what holds the bytes, then the format that reads them.

use super::backend::backend;
use crate::config::{Backing, BlockFormat, Cache, DiskAio, DiskBackend};
use crate::draft::Draft;
use crate::error::At;
use crate::name::join;
use crate::value::{Props, Value};

/// How an image is opened.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub(super) read_only: bool,
    pub(super) cache: Option<Cache>,
    pub(super) aio: Option<DiskAio>,
    pub(super) discard: bool,
}

/// An image: its backend and what reads it.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    /// The field that has the backend.
    pub(super) field: &'static str,
    pub(super) backend: &'a DiskBackend,
    pub(super) format: Option<BlockFormat>,
    pub(super) key_secret: Option<&'a str>,
    pub(super) backing: &'a Backing,
}

/// Adds the nodes of an image; the upper one is called `name`, the lower `name-file`.
pub(super) fn image(
    draft: &mut Draft<'_>,
    at: At<'_>,
    name: &str,
    image: Image<'_>,
    opening: Opening,
    extra: Props,
) {
    let format = image.format.or_else(|| format_of(image.backend));
    if format.is_none() {
        draft.conflict(
            at.field("format"),
            "the file's name does not tell the format: give `format` (QEMU must not guess it from the content)",
        );
    }
    let format = format.unwrap_or(BlockFormat::Raw);
    let backing = backing(draft, at, name, format, image.backing, opening);

    let storage = join([name, "-file"]);
    let (driver, mut props) = backend(draft, at, image.field, image.backend, opening);
    common(&mut props, opening);
    draft.node(at, driver, storage.clone(), props);

    let mut props = Props::new().with("file", storage).with("read-only", opening.read_only);
    if let Some(backing) = backing {
        props.set("backing", backing);
    }
    if let Some(secret) = image.key_secret {
        let at = at.field("key_secret");
        draft.secret(at, secret);
        match format {
            BlockFormat::Luks => props.set("key-secret", secret),
            BlockFormat::Qcow2 => {
                props.set("encrypt", Props::new().with("format", "luks").with("key-secret", secret));
            }
            other => draft.conflict(at, format!("the format {} is not encrypted", other.qemu_name())),
        }
    } else if format == BlockFormat::Luks {
        draft.conflict(at.field("key_secret"), "a luks image needs the id of the secret that unlocks it");
    }
    common(&mut props, opening);
    props.extend(extra);
    draft.node(at, format.qemu_name(), name.into(), props);
}

/// Options that both nodes of an image take.
fn common(props: &mut Props, opening: Opening) {
    if let Some(cache) = opening.cache {
        let direct = matches!(cache, Cache::None | Cache::Directsync);
        let cache = Props::new().with("direct", direct).with("no-flush", cache == Cache::Unsafe);
        props.set("cache", cache);
    }
    if opening.discard {
        props.set("discard", "unmap");
    }
}

/// The format of an image whose owner does not name it: by the ending of a file's name, never by its content.
fn format_of(backend: &DiskBackend) -> Option<BlockFormat> {
    let DiskBackend::File { path } = backend else { return Some(BlockFormat::Raw) };
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match ending.as_str() {
        "raw" | "img" | "iso" | "bin" => BlockFormat::Raw,
        "qcow2" => BlockFormat::Qcow2,
        "vmdk" => BlockFormat::Vmdk,
        "vdi" => BlockFormat::Vdi,
        "vhdx" => BlockFormat::Vhdx,
        "vhd" | "vpc" => BlockFormat::Vpc,
        "qed" => BlockFormat::Qed,
        "luks" => BlockFormat::Luks,
        _ => return None,
    })
}

/// The value of `backing`: nothing to leave it to the image's header, `null` for none, else a node's name.
fn backing(
    draft: &mut Draft<'_>,
    at: At<'_>,
    name: &str,
    format: BlockFormat,
    backing: &Backing,
    opening: Opening,
) -> Option<Value> {
    if *backing == Backing::Header {
        return None;
    }
    let at = at.field("backing");
    let possible = matches!(format, BlockFormat::Qcow2 | BlockFormat::Vmdk | BlockFormat::Qed);
    match backing {
        Backing::Header => None,
        // Such a format has no backing image anyway, and QEMU no option to say so.
        Backing::None => possible.then_some(Value::Null),
        Backing::Image(_) if !possible => {
            draft.conflict(at, format!("the format {} has no backing image", format.qemu_name()));
            None
        }
        Backing::Image(below) => {
            let node = join([name, "-b"]);
            let opening = Opening { read_only: true, discard: false, ..opening };
            let part = Image {
                field: "backend",
                backend: &below.backend,
                format: below.format,
                key_secret: below.key_secret.as_deref(),
                backing: &below.backing,
            };
            image(draft, at, &node, part, opening, Props::new());
            Some(Value::from(node))
        }
    }
}
