//! What a file is that somebody names to be run.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::exit::Exit;
use super::failure::Failure;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Config,
    Disk,
    Cdrom,
    Kernel,
}

/// How much of a file is looked at, in bytes: an ISO image tells itself after 32 KiB.
const HEAD: usize = 33 << 10;

/// What the file is: by its name, else by its content.
pub(crate) fn kind_of(path: &Path) -> Result<Kind, Failure> {
    let head = head(path, "give a config file (.toml, .json), a disk image, an ISO image or a kernel")?;
    let named = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    Ok(kind(&named.to_ascii_lowercase(), &head))
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
    // The cut may have split a character.
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

/// Refuses an image whose content is in another format than its name says. Nothing else is concluded from the content: a
/// guest can write any header into a raw disk.
pub(crate) fn check_format(path: &Path) -> Result<(), Failure> {
    let head = head(path, "is the path right? it counts from the current directory")?;
    let named = path.extension().and_then(|extension| extension.to_str());
    if head.starts_with(b"QFI\xfb") && named != Some("qcow2") {
        let text = format!("{} holds a qcow2 image, but its name does not say so", path.display());
        return Err(Failure::new(Exit::BadConfig, text).with_help(
            "rename it to end in .qcow2, or write a config with `format = \"qcow2\"`; \
             formats are never guessed, since a guest can write any header into a raw disk",
        ));
    }
    Ok(())
}

fn head(path: &Path, help: &str) -> Result<Vec<u8>, Failure> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    match read {
        Ok(_) => Ok(head),
        Err(error) => {
            let text = format!("cannot open {}: {error}", path.display());
            Err(Failure::new(Exit::Failed, text).with_help(help))
        }
    }
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
