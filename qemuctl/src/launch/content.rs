//! What a file holds, by the marks that formats begin with.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use qemu_argv::BlockFormat;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// An image of a format that VMs run from.
    Image(BlockFormat),
    /// An image of another format.
    Foreign(&'static str),
    /// Something packed, and the command that unpacks it.
    Packed(&'static str, &'static str),
    /// Anything else, such as the bytes of a disk.
    Other,
}

/// Where a mark stands, and the mark.
type Mark = (usize, &'static [u8]);

const IMAGES: [(Mark, BlockFormat); 9] = [
    ((0, b"KDMV"), BlockFormat::Vmdk),
    ((0, b"COWD"), BlockFormat::Vmdk),
    ((0, b"# Disk DescriptorFile"), BlockFormat::Vmdk),
    ((0x40, b"\x7f\x10\xda\xbe"), BlockFormat::Vdi),
    ((0, b"vhdxfile"), BlockFormat::Vhdx),
    ((0, b"conectix"), BlockFormat::Vpc),
    ((0, b"QED\0"), BlockFormat::Qed),
    ((0, b"LUKS\xba\xbe"), BlockFormat::Luks),
    ((0, b"QFI\xfb"), BlockFormat::Qcow2),
];

const FOREIGN: [(Mark, &str); 3] = [
    ((0, b"WithoutFreeSpace"), "a Parallels image"),
    ((0, b"WithouFreSpacExt"), "a Parallels image"),
    ((0, b"Bochs Virtual HD Image"), "a Bochs image"),
];

const PACKED: [(Mark, &str, &str); 8] = [
    ((0, b"\x1f\x8b\x08"), "compressed with gzip", "gunzip"),
    ((0, b"\xfd7zXZ\0"), "compressed with xz", "unxz"),
    ((0, b"\x28\xb5\x2f\xfd"), "compressed with zstd", "unzstd"),
    ((4, b"1AY&SY"), "compressed with bzip2", "bunzip2"),
    ((0, b"\x04\x22\x4d\x18"), "compressed with lz4", "unlz4"),
    ((0, b"PK\x03\x04"), "a zip archive", "unzip"),
    ((0, b"7z\xbc\xaf\x27\x1c"), "a 7z archive", "7z x"),
    // An OVA is one.
    ((257, b"ustar"), "a tar archive", "tar -xf"),
];

/// What a file that begins with `head` holds.
pub(super) fn content(head: &[u8]) -> Content {
    let has = |(offset, mark): &Mark| head.get(*offset..).is_some_and(|rest| rest.starts_with(mark));
    if head.starts_with(b"QFI\xfb\0\0\0\x01") {
        return Content::Foreign("a qcow image of version 1");
    }
    let image = IMAGES.iter().find(|(mark, _)| has(mark)).map(|(_, format)| Content::Image(*format));
    let foreign = || FOREIGN.iter().find(|(mark, _)| has(mark)).map(|(_, what)| Content::Foreign(what));
    let packed =
        || PACKED.iter().find(|(mark, ..)| has(mark)).map(|(_, by, command)| Content::Packed(by, command));
    image.or_else(foreign).or_else(packed).unwrap_or(Content::Other)
}

/// Whether these last bytes of a file are the footer of a VHD.
pub(super) fn has_footer(tail: &[u8]) -> bool {
    tail.starts_with(b"conectix")
}

/// What the header of an overlay says it rests on.
pub(crate) struct Below {
    name: Vec<u8>,
    pub(super) format: Option<BlockFormat>,
}

impl Below {
    /// The file, if it is one: not an address such as `nbd://…` or a description in JSON.
    pub(crate) fn file_name(&self) -> Option<PathBuf> {
        let name = self.name.strip_prefix(b"file:").unwrap_or(&self.name);
        let colon = name.iter().position(|&byte| byte == b':');
        let slash = name.iter().position(|&byte| byte == b'/');
        let is_address = colon.is_some_and(|colon| slash.is_none_or(|slash| colon < slash));
        (!is_address && !name.is_empty()).then(|| PathBuf::from(std::ffi::OsString::from_vec(name.to_vec())))
    }
}

/// What a qcow2 image rests on, if it is one and rests on anything.
pub(crate) fn backing_of(file: &mut File) -> Option<Below> {
    /// The extension of the header that names the format of what is below.
    const FORMAT: u32 = 0xe279_2aca;
    const LONGEST_NAME: u32 = 1023;
    let mut header = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.by_ref().take(64 << 10).read_to_end(&mut header).ok()?;
    if content(&header) != Content::Image(BlockFormat::Qcow2) {
        return None;
    }
    let u32_at = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let offset = header.get(8..16)?.try_into().ok().map(u64::from_be_bytes).filter(|offset| *offset > 0)?;
    let length = u32_at(16).filter(|length| (1..=LONGEST_NAME).contains(length))?;
    let offset = usize::try_from(offset).ok()?;
    let name = header.get(offset..offset.checked_add(length as usize)?)?.to_vec();
    let mut at = if u32_at(4)? >= 3 { u32_at(100)? as usize } else { 72 };
    let mut format = None;
    while let (Some(kind @ 1..), Some(length)) = (u32_at(at), u32_at(at + 4)) {
        let length = length as usize;
        if kind == FORMAT {
            let name = header.get(at + 8..at.checked_add(8)?.checked_add(length)?)?;
            format = BlockFormat::ALL.into_iter().find(|format| format.qemu_name().as_bytes() == name);
        }
        at = at.checked_add(8)?.checked_add(length.checked_next_multiple_of(8)?)?;
    }
    Some(Below { name, format })
}
