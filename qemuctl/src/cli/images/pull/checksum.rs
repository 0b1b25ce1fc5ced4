//! Checksums of downloads, and the lists in which publishers state them.

use std::fmt::Write;

use sha2::{Digest, Sha256, Sha512};

/// A checksum: SHA-256 or SHA-512, as lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checksum(String);

impl std::str::FromStr for Checksum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && [64, 128].contains(&text.len()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err("expected the 64 digits of a SHA-256 or the 128 of a SHA-512".to_owned())
    }
}

impl Checksum {
    /// Finds the checksum of `file` in a publisher's list: lines as `sha256sum` prints them, with `--tag` or without, or
    /// just a checksum.
    pub(super) fn in_list(list: &str, file: &str) -> Option<Self> {
        list.lines().find_map(|line| {
            let line = line.trim();
            if let Some((tag, sum)) = line.split_once(") = ") {
                let (_, name) = tag.split_once(" (")?;
                return (name == file).then(|| sum.trim().parse().ok()).flatten();
            }
            match line.split_once(char::is_whitespace) {
                Some((sum, name)) => {
                    let name = name.trim_start().trim_start_matches('*');
                    (name.rsplit('/').next() == Some(file)).then(|| sum.parse().ok()).flatten()
                }
                None => line.parse().ok(),
            }
        })
    }

    /// Whether data with these checksums is what this one says.
    pub(super) fn fits(&self, sums: &Sums) -> bool {
        self.0 == sums.sha256 || self.0 == sums.sha512
    }

    /// Returns its digits.
    pub(super) fn digits(&self) -> &str {
        &self.0
    }
}

/// Both checksums of some data.
pub(super) struct Sums {
    pub(super) sha256: String,
    pub(super) sha512: String,
}

/// Computes checksums piece by piece.
#[derive(Default)]
pub(super) struct Summing(Sha256, Sha512);

impl Summing {
    pub(super) fn add(&mut self, data: &[u8]) {
        self.0.update(data);
        self.1.update(data);
    }

    pub(super) fn finish(self) -> Sums {
        Sums { sha256: hex(&self.0.finalize()), sha512: hex(&self.1.finalize()) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_all_forms_are_read() {
        let sum = "a".repeat(64);
        let other = "b".repeat(128);
        let find = |list: &str| Checksum::in_list(list, "disk.qcow2").map(|found| found.0);
        assert_eq!(find(&format!("{other}  other.qcow2\n{sum}  disk.qcow2\n")), Some(sum.clone()));
        assert_eq!(find(&format!("{sum} *./disk.qcow2")), Some(sum.clone()));
        assert_eq!(find(&format!("# x\nSHA512 (disk.qcow2) = {other}\n")), Some(other.clone()));
        assert_eq!(find(&sum.to_ascii_uppercase()), Some(sum.clone()));
        assert_eq!(find(&format!("{sum}  mydisk.qcow2\n{}  disk.qcow2", "a".repeat(40))), None);
    }
}
