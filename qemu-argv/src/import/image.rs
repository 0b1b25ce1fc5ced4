//! Images: the block nodes that a device refers to, from the top to what holds the bytes.

use super::bag::{Bag, Why};
use super::line::Line;
use super::storage;
use crate::config::{
    Backing, BackingImage, BlockFormat, Cache, DetectZeroes, DiskAio, DiskBackend, Rate, Size, Throttle,
};
use crate::value::Value;

/// More images below one another than anybody has.
const DEEPEST: usize = 32;

/// An image and how it is opened.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// The options that it is made of.
    pub(super) options: Vec<usize>,
    pub(super) backend: DiskBackend,
    pub(super) format: Option<BlockFormat>,
    pub(super) backing: Backing,
    pub(super) key_secret: Option<String>,
    pub(super) read_only: bool,
    pub(super) snapshot: bool,
    /// Whether it goes around the host's cache, and whether flushes are ignored.
    pub(super) cache: Option<(bool, bool)>,
    /// The word for the cache, where it was given as one.
    pub(super) cache_word: Option<Cache>,
    pub(super) aio: Option<DiskAio>,
    pub(super) discard: bool,
    pub(super) detect_zeroes: DetectZeroes,
    pub(super) throttle: Option<Throttle>,
    /// The part of a raw image.
    pub(super) offset: Option<Size>,
    pub(super) size: Option<Size>,
}

impl Image {
    pub(super) fn of(backend: DiskBackend) -> Self {
        Self {
            options: Vec::new(),
            backend,
            format: None,
            backing: Backing::Header,
            key_secret: None,
            read_only: false,
            snapshot: false,
            cache: None,
            cache_word: None,
            aio: None,
            discard: false,
            detect_zeroes: DetectZeroes::Off,
            throttle: None,
            offset: None,
            size: None,
        }
    }

    /// The format, unless the backend tells it anyway.
    pub(super) fn told_format(&self) -> Option<BlockFormat> {
        let known = match &self.backend {
            DiskBackend::File(file) => BlockFormat::of_name(&file.path),
            _ => Some(BlockFormat::Raw),
        };
        self.format.filter(|format| known != Some(*format))
    }

    /// The word for how it is cached, which is told partly by the device.
    pub(super) fn cached(&self, write_cache: Option<bool>) -> Result<Option<Cache>, Why> {
        let through = write_cache == Some(false);
        match (self.cache_word, self.cache, through) {
            (Some(word), _, false) => Ok(Some(word)),
            (Some(_), _, true) => Err("its cache mode is given twice".into()),
            (None, None | Some((false, false)), true) => Ok(Some(Cache::Writethrough)),
            (None, Some((true, false)), true) => Ok(Some(Cache::Directsync)),
            (None, None, false) => Ok(None),
            (None, Some((true, false)), false) => Ok(Some(Cache::None)),
            (None, Some((false, false)), false) => Ok(Some(Cache::Writeback)),
            (None, Some((false, true)), false) => Ok(Some(Cache::Unsafe)),
            (None, Some((_, true)), _) => Err("a config has no such combination of cache settings".into()),
        }
    }
}

/// The image whose top node has this name. `id` is the device's, after which its own limits are called.
pub(super) fn of_node(line: &Line, name: &str, known_groups: &[String]) -> Result<Image, Why> {
    let (at, mut bag) = node(line, Value::from(name))?;
    if bag.peek("driver") == Some("blkreplay") && line.has("icount") {
        // All disks of a recording have one.
        bag.take("driver");
        bag.take("node-name");
        let below = bag.needed("image")?;
        bag.done()?;
        let mut image = of_node(line, &below, known_groups)?;
        image.options.extend(at);
        return Ok(image);
    }
    if bag.peek("driver") != Some("throttle") {
        return image(line, Value::from(name), 0);
    }
    bag.take("driver");
    bag.take("node-name");
    let group = bag.needed("throttle-group")?;
    let below = bag.take("file").ok_or("`file` is missing")?;
    bag.done()?;
    let mut image = image(line, below, 0)?;
    image.options.extend(at);
    let (object, limits) = match line.definition("object", &group) {
        Some(at) => (Some(at), limits(line.bag(at))?),
        None if known_groups.contains(&group) => (None, Throttle::default()),
        None => return Err(format!("there is no group of limits {group}")),
    };
    image.options.extend(object);
    let own = object.is_some() && group == name && line.references("throttle-group", &group) == 1;
    image.throttle = Some(Throttle { group: (!own).then_some(group), ..limits });
    Ok(image)
}

/// A node by its name, or written where it is used.
fn node(line: &Line, value: Value) -> Result<(Option<usize>, Bag), Why> {
    match value {
        Value::Str(name) => {
            let at = line
                .definition("blockdev", &name)
                .ok_or_else(|| format!("there is no block node {name} for it"))?;
            Ok((Some(at), line.bag(at)))
        }
        Value::Map(_) => {
            let mut holder = Bag::default();
            holder.put("node", value);
            Ok((None, holder.table("node")?.unwrap_or_default()))
        }
        _ => Err("a block node is a name or a table".into()),
    }
}

fn image(line: &Line, top: Value, depth: usize) -> Result<Image, Why> {
    if depth > DEEPEST {
        return Err("its images are nested too deeply".into());
    }
    let (at, mut bag) = node(line, top.clone())?;
    let driver = bag.text("driver")?.unwrap_or_default();
    let Some(format) = BlockFormat::ALL.into_iter().find(|format| format.qemu_name() == driver) else {
        // Without a format above it, the bytes are what they are.
        let mut image = storage(line, top)?;
        image.format = Some(BlockFormat::Raw);
        return Ok(image);
    };
    bag.take("node-name");
    let opening = opening(&mut bag)?;
    let below = bag.take("file").ok_or("`file` is missing")?;
    let backing = bag.take("backing");
    let key_secret = match bag.table("encrypt")? {
        Some(mut encrypt) => {
            let luks = encrypt.text("format")?.as_deref() == Some("luks");
            let secret = encrypt.text("key-secret")?;
            encrypt.done()?;
            if !luks {
                return Err("a config only has LUKS encryption".into());
            }
            secret
        }
        None => bag.text("key-secret")?,
    };
    let (offset, size) = (bag.size("offset")?, bag.size("size")?);
    bag.done()?;
    let mut image = storage(line, below)?;
    image.options.extend(at);
    (image.offset, image.size) = (offset, size);
    image.format = Some(format);
    image.key_secret = key_secret;
    image.read_only |= opening.read_only;
    image.discard |= opening.discard;
    image.detect_zeroes = opening.detect_zeroes;
    if opening.cache.is_some() {
        image.cache = opening.cache;
    }
    match backing {
        None => {}
        Some(Value::Null) => image.backing = Backing::None,
        Some(value) => {
            let below = self::image(line, value, depth + 1)?;
            if is_descriptor(&image.backend) && format == BlockFormat::Qcow2 {
                // What takes the writes has no name, and goes with the machine.
                image.snapshot = true;
                image.backend = below.backend;
                image.format = below.format;
                image.backing = below.backing;
                image.key_secret = below.key_secret;
                (image.offset, image.size) = (below.offset, below.size);
                image.options.extend(below.options);
                return Ok(image);
            }
            image.options.extend(&below.options);
            let format = below.told_format();
            image.backing = Backing::Image(Box::new(BackingImage {
                format,
                key_secret: below.key_secret,
                backing: below.backing,
                ..BackingImage::new(below.backend)
            }));
        }
    }
    Ok(image)
}

fn is_descriptor(backend: &DiskBackend) -> bool {
    matches!(backend, DiskBackend::File(file) if file.path.to_str().is_some_and(|path| path.starts_with("/dev/fd/")))
}

/// What holds the bytes.
fn storage(line: &Line, node_: Value) -> Result<Image, Why> {
    let (at, mut bag) = node(line, node_)?;
    bag.take("node-name");
    let opening = opening(&mut bag)?;
    let aio = bag.same_word("aio")?;
    let backend = storage::backend(bag)?;
    Ok(Image { options: at.into_iter().collect(), aio, ..Image { backend, ..opening } })
}

/// What both nodes of an image are told.
fn opening(bag: &mut Bag) -> Result<Image, Why> {
    let mut image = Image::of(DiskBackend::file(""));
    image.read_only = bag.flag("read-only")?.unwrap_or_default();
    bag.flag("auto-read-only")?;
    if let Some(mut cache) = bag.table("cache")? {
        let direct = cache.flag("direct")?.unwrap_or_default();
        let no_flush = cache.flag("no-flush")?.unwrap_or_default();
        cache.done()?;
        image.cache = Some((direct, no_flush));
    }
    image.discard = discard(bag)?;
    image.detect_zeroes = zeroes(bag)?;
    Ok(image)
}

pub(super) fn discard(bag: &mut Bag) -> Result<bool, Why> {
    let words = [("unmap", true), ("on", true), ("ignore", false), ("off", false)];
    Ok(bag.word("discard", &words)?.unwrap_or_default())
}

pub(super) fn zeroes(bag: &mut Bag) -> Result<DetectZeroes, Why> {
    Ok(bag.same_word("detect-zeroes")?.unwrap_or_default())
}

/// The limits of a `throttle-group`.
fn limits(mut bag: Bag) -> Result<Throttle, Why> {
    bag.take("id");
    if bag.text("qom-type")?.as_deref() != Some("throttle-group") {
        return Err("it is not a group of limits".into());
    }
    let mut limits = bag.table("limits")?.unwrap_or_default();
    bag.done()?;
    let throttle = throttle(&mut limits, "")?;
    limits.done()?;
    Ok(throttle)
}

/// The limits among other keys, each with something in front.
pub(super) fn throttle(bag: &mut Bag, prefix: &str) -> Result<Throttle, Why> {
    let mut rate = |name: &str| -> Result<Option<Rate>, Why> {
        let limit: Option<u64> = bag.number(&format!("{prefix}{name}"))?.filter(|limit| *limit > 0);
        let burst: Option<u64> = bag.number(&format!("{prefix}{name}-max"))?.filter(|burst| *burst > 0);
        let burst_s = bag.number(&format!("{prefix}{name}-max-length"))?;
        match limit {
            Some(limit) => Ok(Some(Rate { burst: burst.map(Size::bytes), burst_s, ..Rate::new(limit) })),
            None if burst.is_none() => Ok(None),
            None => Err("a config has no burst without a limit".into()),
        }
    };
    Ok(Throttle {
        group: None,
        bps: rate("bps-total")?,
        bps_read: rate("bps-read")?,
        bps_write: rate("bps-write")?,
        iops: rate("iops-total")?,
        iops_read: rate("iops-read")?,
        iops_write: rate("iops-write")?,
        iops_size: bag.number(&format!("{prefix}iops-size"))?.map(Size::bytes),
    })
}
