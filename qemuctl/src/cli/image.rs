//! Detects what kind of file FILE is.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use qemu_argv::BlockFormat;
use qemuctl::launch::{ImageFault, ImageProblem, check_image};

use super::exit::Exit;
use super::failure::Failure;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Config,
    Disk,
    Cdrom,
    Kernel,
}

/// The number of bytes that are read: an ISO image is recognized by bytes after its first 32 KiB.
const HEAD: usize = 33 << 10;

/// Detects the kind by file name, or else by content. A pipe is taken for a config, since it can be read only once.
pub(crate) fn kind_of(path: &Path) -> Result<Kind, Failure> {
    let fail = |error| {
        let text = format!("cannot open {}: {error}", path.display());
        Failure::new(Exit::Failed, text)
            .with_help("give a config file (.toml, .json), a disk image, an ISO image or a kernel")
    };
    let metadata = std::fs::metadata(path).map_err(fail)?;
    let named = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let named = named.to_ascii_lowercase();
    if metadata.file_type().is_block_device() {
        return Ok(if named == "iso" { Kind::Cdrom } else { Kind::Disk });
    }
    if !metadata.is_file() && !metadata.is_dir() {
        return Ok(if kind(&named, b"") == Kind::Config { Kind::Config } else { kind(&named, &[0]) });
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    read.map_err(fail)?;
    Ok(kind(&named, &head))
}

fn kind(named: &str, head: &[u8]) -> Kind {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    match named {
        "toml" | "json" => return Kind::Config,
        "iso" => return Kind::Cdrom,
        "qcow2" | "img" | "raw" | "vmdk" | "vdi" | "vhdx" | "vhd" | "qed" => return Kind::Disk,
        _ => {}
    }
    // x86's boot protocol, arm64's and RISC-V's image header, a compressed EFI kernel, and plain ELF.
    let is_kernel = at(0x202, b"HdrS")
        || at(0x38, b"ARM\x64")
        || at(0x38, b"RSC\x05")
        || (at(0, b"MZ") && at(4, b"zimg"))
        || at(0, b"\x7fELF");
    // The last character may have been cut in two.
    let is_text = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    if is_kernel {
        Kind::Kernel
    } else if at(0x8001, b"CD001") {
        Kind::Cdrom
    } else if is_text && !head.contains(&0) {
        Kind::Config
    } else {
        Kind::Disk
    }
}

/// Refuses a disk image of the command line whose format differs from the one it would be opened with.
pub(crate) fn check_format(path: &Path, format: Option<BlockFormat>) -> Result<(), Failure> {
    check_image(path, format).map_err(|fault| refused(&fault))?;
    let is_device = std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_block_device());
    if format.is_none() && BlockFormat::of_name(path).is_none() && !is_device {
        let text = format!("cannot tell the format of {} from its name", path.display());
        return Err(Failure::new(Exit::BadConfig, text).with_help(
            "give it with --format, such as `--format raw`; the format is never guessed from the content",
        ));
    }
    Ok(())
}

/// The same for a medium of a CD-ROM drive.
pub(crate) fn check_medium(path: &Path, format: Option<BlockFormat>) -> Result<(), Failure> {
    qemuctl::launch::check_medium(path, format).map_err(|fault| refused(&fault))
}

fn refused(fault: &ImageFault) -> Failure {
    if matches!(fault.problem, ImageProblem::Unreadable(_)) {
        return Failure::new(Exit::Failed, fault.to_string())
            .with_help("check the path; it is relative to the current directory");
    }
    let help = fault.help(|format| format!("--format {format}"));
    Failure { help, ..Failure::new(Exit::BadConfig, fault.to_string()) }
}

/// Checks that a file of the config can be read. Does not block, and does not open a named pipe, since that would
/// disturb its writer.
pub(crate) fn readable(path: &Path, may_be_pipe: bool) -> io::Result<()> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_fifo() {
        return if may_be_pipe {
            Ok(())
        } else {
            Err(io::Error::other("it is a named pipe, not a regular file"))
        };
    }
    File::open(path).map(drop)
}

/// Parses an image format; the error lists the formats that exist.
pub(crate) fn format(text: &str) -> Result<BlockFormat, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_name_and_content() {
        let with = |offset: usize, magic: &[u8]| {
            let mut head = vec![0; HEAD];
            head[offset..offset + magic.len()].copy_from_slice(magic);
            head
        };
        let files: [(&str, Vec<u8>); 10] = [
            ("toml", b"name = 1".to_vec()),
            ("", b"name = 1".to_vec()),
            ("iso", with(510, &[0x55, 0xaa])),
            ("qcow2", Vec::new()),
            ("", with(0x8001, b"CD001")),
            ("", with(510, &[0x55, 0xaa])),
            ("", with(0x202, b"HdrS")),
            ("", with(0x38, b"ARM\x64")),
            ("", with(0, b"\x7fELF")),
            ("gz", vec![0x1f, 0x8b, 0, 1]),
        ];
        let kinds = files.map(|(named, head)| format!("{:?}", kind(named, &head)));
        insta::assert_snapshot!(kinds.join(" "), @"Config Config Cdrom Disk Cdrom Disk Kernel Kernel Kernel Disk");
    }
}
