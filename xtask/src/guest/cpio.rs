//! Writes an initramfs: a cpio archive in the "newc" format that Linux unpacks as its first root.
//!
//! The same entries give the same bytes: owner 0:0, time 0, inode numbers counted from 1. The
//! format is the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::collections::BTreeMap;

/// What lies at a path of the archive.
enum Entry {
    Dir,
    File { mode: u32, data: Vec<u8> },
    Symlink { target: String },
    CharDevice { major: u32, minor: u32 },
}

/// The files of an initramfs, by path without a leading slash.
#[derive(Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Adds a directory, and those above it.
    pub fn dir(&mut self, path: &str) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::Dir);
    }

    /// Adds a file with the permission bits `mode`, and the directories above it.
    pub fn file(&mut self, path: &str, mode: u32, data: impl Into<Vec<u8>>) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::File { mode, data: data.into() });
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::Symlink { target: target.to_owned() });
    }

    /// Adds a character device, for what must be there before devtmpfs is mounted.
    pub fn char_device(&mut self, path: &str, major: u32, minor: u32) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::CharDevice { major, minor });
    }

    fn parents(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            self.entries.entry(path[..at].to_owned()).or_insert(Entry::Dir);
        }
    }

    /// The archive as bytes.
    pub fn finish(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (inode, (path, entry)) in (1..).zip(&self.entries) {
            let (mode, data, device): (u32, &[u8], (u32, u32)) = match entry {
                Entry::Dir => (0o040_755, &[], (0, 0)),
                Entry::File { mode, data } => (0o100_000 | mode, data, (0, 0)),
                Entry::Symlink { target } => (0o120_777, target.as_bytes(), (0, 0)),
                Entry::CharDevice { major, minor } => (0o020_600, &[], (*major, *minor)),
            };
            write_entry(&mut out, inode, path, mode, data, device);
        }
        write_entry(&mut out, 0, "TRAILER!!!", 0, &[], (0, 0));
        out
    }
}

fn write_entry(out: &mut Vec<u8>, inode: u32, path: &str, mode: u32, data: &[u8], device: (u32, u32)) {
    let size = u32::try_from(data.len()).expect("no file of an initramfs comes near 4 GiB");
    let name_size = u32::try_from(path.len() + 1).expect("a path is short");
    // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(data);
    pad(out);
}

/// Name and data are each padded to a multiple of four bytes from the archive's start.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn one_file_in_a_directory() {
        let mut archive = Archive::default();
        archive.file("a/b", 0o644, "hi");
        let expected = [
            "070701",
            "00000001",
            "000041ed",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000002",
            "00000000",
            "a\0",
            "070701",
            "00000002",
            "000081a4",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000002",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000004",
            "00000000",
            "a/b\0\0\0",
            "hi\0\0",
            "070701",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "0000000b",
            "00000000",
            "TRAILER!!!\0\0\0\0",
        ]
        .concat();
        assert_eq!(String::from_utf8(archive.finish()).unwrap(), expected);
    }
}
