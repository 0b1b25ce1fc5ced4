//! Files without a name that take what is written to a disk with `snapshot`: they end with the QEMU that has them open.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use qemu_argv::{BlockFormat, Disk, DiskBackend, FileDisk, HostDeviceDisk, VmConfig};

use crate::error::Error;

/// An empty qcow2 image for the disk `id`.
pub(super) fn make(id: &str, config: &VmConfig) -> Result<OwnedFd, Error> {
    let mut disks = config.disks.iter().enumerate();
    let found = disks.find(|(index, disk)| match &disk.id {
        Some(own) => own == id,
        None => format!("disk{index}") == id,
    });
    let unknown = |reason: &str| Error::Unsupported {
        action: "creating a temporary overlay for",
        name: id.to_owned(),
        reason: format!("{reason}; make an overlay with `qemu-img create -b`"),
    };
    let (_, disk) = found.ok_or_else(|| unknown("its image is not known"))?;
    let (DiskBackend::File(FileDisk { path }) | DiskBackend::HostDevice(HostDeviceDisk { path })) =
        &disk.backend
    else {
        return Err(unknown("its size is known only to a server"));
    };
    let size = size_of(disk, path).map_err(|source| Error::Io {
        action: "read the size of",
        path: path.clone(),
        source,
    })?;
    let size = size.ok_or_else(|| unknown("only raw and qcow2 images are supported"))?;
    let dir =
        std::env::var_os("TMPDIR").filter(|dir| !dir.is_empty()).map_or("/var/tmp".into(), PathBuf::from);
    let made = nameless(&dir).and_then(|mut file| {
        write_empty(&mut file, size)?;
        Ok(file.into())
    });
    made.map_err(|source| Error::Io { action: "create a temporary overlay in", path: dir, source })
}

/// How large the guest sees the disk.
fn size_of(disk: &Disk, path: &Path) -> io::Result<Option<u64>> {
    let by_name = match disk.backend {
        DiskBackend::File(FileDisk { .. }) => BlockFormat::of_name(path),
        _ => Some(BlockFormat::Raw),
    };
    let mut file = File::open(path)?;
    Ok(match disk.format.or(by_name) {
        Some(BlockFormat::Raw) => Some(file.seek(SeekFrom::End(0))?),
        Some(BlockFormat::Qcow2) => {
            let mut header = [0; 32];
            file.read_exact(&mut header)?;
            header[24..].try_into().ok().map(u64::from_be_bytes)
        }
        _ => None,
    })
}

fn nameless(dir: &Path) -> io::Result<File> {
    let open = |options: &mut OpenOptions, path: &Path| options.read(true).write(true).mode(0o600).open(path);
    match open(OpenOptions::new().custom_flags(OFlag::O_TMPFILE.bits()), dir) {
        Err(error) if matches!(error.raw_os_error(), Some(nix::libc::EOPNOTSUPP | nix::libc::EISDIR)) => {
            // Some file systems know no files without a name: it is taken away at once.
            let path = dir.join(format!(".qemuctl-{}-{}", std::process::id(), unique()));
            let file = open(OpenOptions::new().create_new(true), &path)?;
            std::fs::remove_file(&path)?;
            Ok(file)
        }
        opened => opened,
    }
}

/// A number that no other call in this process gets.
fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Writes an empty qcow2 image of `size` bytes: a header, the counts of its own clusters, an empty first level.
fn write_empty(file: &mut File, size: u64) -> io::Result<()> {
    const CLUSTER_BITS: u32 = 16;
    const CLUSTER: u64 = 1 << CLUSTER_BITS;
    /// Each entry of the first level leads to a cluster of entries of 8 bytes.
    const REACH: u64 = CLUSTER * (CLUSTER / 8);
    // QEMU wants whole sectors.
    let size = size.next_multiple_of(512);
    let entries = size.div_ceil(REACH).max(1);
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, "the disk is too large");
    // QEMU takes no first level above 32 MiB.
    let level = u32::try_from(entries).ok().filter(|entries| *entries <= 4 << 20).ok_or_else(too_large)?;
    let clusters = 3 + (entries * 8).div_ceil(CLUSTER);
    let mut header = Vec::new();
    header.extend(b"QFI\xfb");
    header.extend(3_u32.to_be_bytes());
    // No name of a backing file: QEMU is told it.
    header.extend([0; 12]);
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(size.to_be_bytes());
    // Not encrypted.
    header.extend(0_u32.to_be_bytes());
    header.extend(level.to_be_bytes());
    header.extend((3 * CLUSTER).to_be_bytes());
    header.extend(CLUSTER.to_be_bytes());
    // One cluster of counts; no snapshots.
    header.extend(1_u32.to_be_bytes());
    header.extend([0; 12]);
    // No features.
    header.extend([0; 24]);
    // Counts of 16 bits; the header's length, with the kind of compression and padding.
    header.extend(4_u32.to_be_bytes());
    header.extend(104_u32.to_be_bytes());
    file.set_len(clusters * CLUSTER)?;
    file.write_all(&header)?;
    file.seek(SeekFrom::Start(CLUSTER))?;
    file.write_all(&(2 * CLUSTER).to_be_bytes())?;
    file.seek(SeekFrom::Start(2 * CLUSTER))?;
    let count = usize::try_from(clusters).map_err(|_| too_large())?;
    file.write_all(&[0, 1].repeat(count))?;
    Ok(())
}
