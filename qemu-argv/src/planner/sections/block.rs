//! Block nodes: what holds the bytes, then the format that reads them.

use super::backend::{Opening, backend};
use crate::config::{Backing, BlockFormat, Cache, DiskBackend, FileDisk, Size};
use crate::name::join;
use crate::plan::FdRole;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

/// An image: its backend and what reads it.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    /// The field that has the backend.
    pub(super) field: &'static str,
    pub(super) backend: &'a DiskBackend,
    pub(super) format: Option<BlockFormat>,
    pub(super) key_secret: Option<&'a str>,
    pub(super) backing: &'a Backing,
    /// The part of a raw image.
    pub(super) offset: Option<Size>,
    pub(super) size: Option<Size>,
}

/// Adds the nodes of an image; the upper one is called `name`, the lower `name-file`.
pub(super) fn image(
    builder: &mut Builder<'_>,
    at: At<'_>,
    name: &str,
    image: Image<'_>,
    opening: Opening,
    extra: Props,
) {
    let format = image.format.or_else(|| format_of(image.backend));
    if format.is_none() {
        builder.conflict(
            at.field("format"),
            "cannot tell the format from the file name; set `format` (it is never guessed from the content)",
        );
    }
    let format = format.unwrap_or(BlockFormat::Raw);
    let backing = backing(builder, at, name, format, image.backing, opening);

    let storage = join([name, "-file"]);
    let (driver, mut props) = backend(builder, at, image.field, image.backend, opening);
    common(&mut props, opening);
    builder.node(at, driver, storage.clone(), props);

    let mut props = Props::new().with("file", storage).with("read-only", opening.read_only);
    if let Some(backing) = backing {
        props.set("backing", backing);
    }
    if let Some(secret) = image.key_secret {
        let at = at.field("key_secret");
        builder.secret(at, secret);
        match format {
            BlockFormat::Luks => props.set("key-secret", secret),
            BlockFormat::Qcow2 => {
                props.set("encrypt", Props::new().with("format", "luks").with("key-secret", secret));
            }
            other => builder.conflict(at, format!("the format {} is not encrypted", other.qemu_name())),
        }
    } else if format == BlockFormat::Luks {
        builder.conflict(
            at.field("key_secret"),
            "a luks image requires `key_secret`, the id of the secret that unlocks it",
        );
    }
    for (field, part) in [("offset", image.offset), ("size", image.size)] {
        let Some(part) = part else { continue };
        if format != BlockFormat::Raw {
            builder.conflict(at.field(field), "only raw images have a part that can be chosen");
        }
        if !part.to_bytes().is_multiple_of(512) {
            builder.invalid(at.field(field), &part.to_string(), "is not a multiple of 512 bytes");
        }
        props.set(field, part.to_bytes());
    }
    common(&mut props, opening);
    props.extend(extra);
    builder.node(at, format.qemu_name(), name.into(), props);
}

/// Adds the nodes of an image that is only read, below one that takes what is written and has no name.
pub(super) fn overlay(
    builder: &mut Builder<'_>,
    at: At<'_>,
    name: &str,
    below: Image<'_>,
    opening: Opening,
    extra: Props,
) {
    let at_snapshot = at.field("snapshot");
    if builder.running {
        builder.conflict(at_snapshot, "`snapshot` is not supported for a hotplugged disk");
    }
    if below.key_secret.is_some() {
        builder.conflict(
            at_snapshot,
            "`snapshot` would store writes to an encrypted image unencrypted on the host",
        );
    }
    let base = join([name, "-b"]);
    image(builder, at, &base, below, Opening { read_only: true, discard: false, ..opening }, Props::new());

    let fd = builder.fd(at, FdRole::Overlay { disk: name.to_owned() });
    let storage = join([name, "-file"]);
    let mut props = Props::new().with("filename", format!("/dev/fd/{fd}"));
    common(&mut props, opening);
    builder.node(at, "file", storage.clone(), props);
    let mut props = Props::new().with("file", storage).with("read-only", false).with("backing", base);
    common(&mut props, opening);
    props.extend(extra);
    builder.node(at, "qcow2", name.into(), props);
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
    match backend {
        DiskBackend::File(FileDisk { path }) => BlockFormat::of_name(path),
        _ => Some(BlockFormat::Raw),
    }
}

/// The value of `backing`: nothing to leave it to the image's header, `null` for none, else a node's name.
fn backing(
    builder: &mut Builder<'_>,
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
            builder.conflict(at, format!("the format {} has no backing image", format.qemu_name()));
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
                offset: None,
                size: None,
            };
            image(builder, at, &node, part, opening, Props::new());
            Some(Value::from(node))
        }
    }
}
