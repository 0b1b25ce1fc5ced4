//! A disk with a FAT file system, as cloud-init looks for it.

use std::io::{self, Cursor, Write};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};

/// The label by which cloud-init finds the disk.
const LABEL: [u8; 11] = *b"cidata     ";

/// The smallest disk: what is left over after the file system's own tables is more than the usual files need.
const SMALLEST: usize = 1 << 20;

/// The bytes of a disk with these files.
pub(super) fn disk(files: &[(&str, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let content: usize = files.iter().map(|(_, data)| data.len()).sum();
    let size = (SMALLEST + content + content / 8).next_multiple_of(SMALLEST);
    let mut disk = Cursor::new(vec![0; size]);
    // A fixed number, so that the same files give the same disk.
    format_volume(&mut disk, FormatVolumeOptions::new().volume_label(LABEL).volume_id(0x7165_6d75))?;
    let volume = FileSystem::new(&mut disk, FsOptions::new())?;
    for (name, data) in files {
        let mut file = volume.root_dir().create_file(name)?;
        file.write_all(data)?;
        file.flush()?;
    }
    volume.unmount()?;
    Ok(disk.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let files = [("meta-data", b"one".to_vec()), ("user-data", vec![7; 3 << 20])];
        let bytes = disk(&files).expect("made");
        assert_eq!(bytes.len() % SMALLEST, 0);
        let volume = FileSystem::new(Cursor::new(bytes), FsOptions::new()).expect("a file system");
        assert_eq!(volume.volume_label(), "cidata");
        for (name, data) in &files {
            let mut read = Vec::new();
            volume.root_dir().open_file(name).expect("there").read_to_end(&mut read).expect("readable");
            assert!(read == *data, "{name}");
        }
    }
}
