//! Compares the content of a config's images with the formats they are opened with.
//!
//! The content never determines the format, since a guest can write any header into a raw disk. It can only show that
//! `format` is missing.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use qemu_argv::{
    Backing, BlockFormat, Cdrom, Disk, DiskBackend, Fault, FileDisk, Firmware, HostDeviceDisk, NewDevice,
    PlanError, Problem, VmConfig,
};

use super::content::{Content, backing_of, content, has_footer};

/// The number of bytes of an image that are read.
const HEAD: u64 = 4 << 10;

/// The longest chain of overlays that is followed; QEMU itself does not open longer ones in reasonable time.
const DEEPEST: usize = 200;

/// A problem of an image in a config.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImageFault {
    /// The config field, such as `disks[0].backend`.
    pub field: String,
    /// The image.
    pub path: PathBuf,
    /// The problem.
    pub problem: ImageProblem,
}

/// The kinds of problems.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImageProblem {
    /// It cannot be opened.
    Unreadable(io::Error),
    /// It is not a file, but for example a directory.
    NotAFile(&'static str),
    /// It is a file instead of a block device.
    NotADevice,
    /// It contains an image of a format that was not given, and would be opened as raw.
    Unnamed(BlockFormat),
    /// It contains an image of a format that is not supported.
    Foreign(&'static str),
    /// It is compressed or an archive; contains the kind, and the command that unpacks it.
    Packed(&'static str, &'static str),
    /// It does not have the format given by its name or the config.
    NotOfFormat(BlockFormat),
}

impl fmt::Display for ImageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            ImageProblem::Unreadable(error) => write!(f, "cannot open {path}: {error}"),
            ImageProblem::NotAFile(what) => write!(f, "{path} is {what}, not a disk image"),
            ImageProblem::NotADevice => write!(f, "{path} is a file, not a block device"),
            ImageProblem::Unnamed(format) => {
                let name = format.qemu_name();
                write!(f, "{path} is {} {name} image, but would be read as raw", article(name))
            }
            ImageProblem::Foreign(what) => write!(f, "{path} is {what}, which QEMU cannot run from"),
            ImageProblem::Packed(by, _) => write!(f, "{path} is {by}, not a disk image"),
            ImageProblem::NotOfFormat(format) => {
                let name = format.qemu_name();
                write!(f, "{path} is not {} {name} image", article(name))
            }
        }
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

impl ImageFault {
    /// Returns advice. `give` formats how a format is given, such as with `--format`.
    pub fn help(&self, give: impl Fn(&str) -> String) -> Option<String> {
        match &self.problem {
            ImageProblem::Unnamed(format) => Some(format!(
                "give its format with `{}`, or `{}` if the guest is meant to see the raw bytes; it is never guessed",
                give(format.qemu_name()),
                give("raw")
            )),
            ImageProblem::NotADevice => Some("remove `type = \"host-device\"`".to_owned()),
            ImageProblem::Foreign(_) => Some("convert it with `qemu-img convert -O qcow2`".to_owned()),
            ImageProblem::Packed(_, command) => Some(format!("unpack it with `{command}`")),
            _ => None,
        }
    }

    fn into_problem(self) -> Problem {
        let help = self.help(|format| format!("format = \"{format}\""));
        let why = match help {
            Some(help) => format!("{self}; {help}"),
            None => self.to_string(),
        };
        Problem::new(self.field, Fault::Conflict { why })
    }
}

/// Returns all problems of the image files in a config: disks and their backing files, CD-ROMs, firmware.
///
/// Reads the first kilobytes of each, without blocking.
pub fn image_faults(config: &VmConfig) -> Vec<ImageFault> {
    let mut look = Look::default();
    for (index, disk) in config.disks.iter().enumerate() {
        look.disk(&format!("disks[{index}]."), disk);
    }
    for (index, drive) in config.cdroms.iter().enumerate() {
        look.cdrom(&format!("cdroms[{index}]."), drive);
    }
    if let Some(Firmware::Uefi(uefi)) = &config.firmware {
        let raw = |format: Option<BlockFormat>| Reading::of(format, Some(BlockFormat::Raw));
        if let Some(code) = &uefi.code {
            look.file("firmware.code".to_owned(), code, raw(uefi.code_format));
        }
        if let Some(vars) = uefi.vars.as_ref().filter(|vars| vars.exists()) {
            let by_name = BlockFormat::of_name(vars).filter(|format| *format == BlockFormat::Qcow2);
            look.file("firmware.vars".to_owned(), vars, raw(uefi.vars_format.or(by_name)));
        }
    }
    look.faults
}

/// Checks the image at `path`, which will be opened as `format`, or according to its name.
///
/// # Errors
///
/// The first problem.
pub fn check_image(path: &Path, format: Option<BlockFormat>) -> Result<(), ImageFault> {
    check(path, Reading::of(format, BlockFormat::of_name(path).or(Some(BlockFormat::Raw))))
}

/// Checks a medium of a CD-ROM drive, which defaults to raw.
///
/// # Errors
///
/// As [`check_image`].
pub fn check_medium(path: &Path, format: Option<BlockFormat>) -> Result<(), ImageFault> {
    check(path, Reading::of(format, Some(BlockFormat::Raw)))
}

fn check(path: &Path, how: Reading) -> Result<(), ImageFault> {
    let mut look = Look::default();
    look.file(String::new(), path, how);
    look.faults.into_iter().next().map_or(Ok(()), Err)
}

/// Refuses what would start and read the wrong bytes. A file that cannot be opened is left to QEMU, which may see more.
pub(crate) fn refuse(faults: Vec<ImageFault>) -> Result<(), PlanError> {
    let wrong = faults.into_iter().filter(|fault| !matches!(fault.problem, ImageProblem::Unreadable(_)));
    let problems: Vec<_> = wrong.map(ImageFault::into_problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(PlanError::new(problems)) }
}

/// The config with paths of block devices, such as `/dev/vg0/web`, as the host devices that they are.
#[must_use]
pub fn with_block_devices(mut config: VmConfig) -> VmConfig {
    for disk in &mut config.disks {
        recognise_disk(disk);
    }
    config.cdroms.iter_mut().filter_map(|drive| drive.medium.as_mut()).for_each(recognise);
    config
}

/// A device that is plugged in, checked and completed as one that is there at the start.
pub(crate) struct Plugged(Option<Disk>, Option<Cdrom>);

impl Plugged {
    pub(crate) fn look(device: &NewDevice<'_>) -> Result<Self, PlanError> {
        let mut look = Look::default();
        let plugged = match device {
            NewDevice::Disk(disk) => {
                look.disk("", disk);
                let mut disk = (*disk).clone();
                recognise_disk(&mut disk);
                Self(Some(disk), None)
            }
            NewDevice::Cdrom(drive) => {
                look.cdrom("", drive);
                let mut drive = (*drive).clone();
                drive.medium.as_mut().into_iter().for_each(recognise);
                Self(None, Some(drive))
            }
            _ => Self(None, None),
        };
        refuse(look.faults)?;
        Ok(plugged)
    }

    /// What to plug in, in place of `device`.
    pub(crate) fn device<'d>(&'d self, device: NewDevice<'d>) -> NewDevice<'d> {
        match (&self.0, &self.1) {
            (Some(disk), _) => NewDevice::Disk(disk),
            (_, Some(drive)) => NewDevice::Cdrom(drive),
            _ => device,
        }
    }
}

fn recognise_disk(disk: &mut Disk) {
    recognise(&mut disk.backend);
    let mut below = &mut disk.backing;
    while let Backing::Image(image) = below {
        recognise(&mut image.backend);
        below = &mut image.backing;
    }
}

fn recognise(backend: &mut DiskBackend) {
    if let DiskBackend::File(FileDisk { path }) = backend
        && std::fs::metadata(&*path).is_ok_and(|metadata| metadata.file_type().is_block_device())
    {
        *backend = DiskBackend::HostDevice(HostDeviceDisk { path: std::mem::take(path) });
    }
}

/// How an image is going to be read.
#[derive(Clone, Copy)]
struct Reading {
    /// Unless it is not known at all.
    format: Option<BlockFormat>,
    /// Whether somebody said so, who then means what it holds.
    said: bool,
}

impl Reading {
    fn of(said: Option<BlockFormat>, otherwise: Option<BlockFormat>) -> Self {
        Self { format: said.or(otherwise), said: said.is_some() }
    }
}

#[derive(Default)]
struct Look {
    faults: Vec<ImageFault>,
}

impl Look {
    fn disk(&mut self, at: &str, disk: &Disk) {
        self.backend(format!("{at}backend"), &disk.backend, disk.format);
        let mut below = &disk.backing;
        let mut at = at.to_owned();
        while let Backing::Image(image) = below {
            at.push_str("backing.");
            self.backend(format!("{at}backend"), &image.backend, image.format);
            below = &image.backing;
        }
        // The images that headers name, as far as QEMU follows them.
        if let (Backing::Header, DiskBackend::File(FileDisk { path })) = (below, &disk.backend)
            && matches!(disk.backing, Backing::Header)
        {
            self.chain(&format!("{at}backend"), path);
        }
    }

    fn cdrom(&mut self, at: &str, drive: &Cdrom) {
        match &drive.medium {
            Some(DiskBackend::File(FileDisk { path })) => {
                let how = Reading::of(drive.format, Some(BlockFormat::Raw));
                self.file(format!("{at}medium"), path, how);
            }
            Some(DiskBackend::HostDevice(HostDeviceDisk { path })) => {
                self.device(format!("{at}medium"), path, drive.format);
            }
            _ => {}
        }
    }

    fn backend(&mut self, field: String, backend: &DiskBackend, format: Option<BlockFormat>) {
        match backend {
            DiskBackend::File(FileDisk { path }) => {
                self.file(field, path, Reading::of(format, BlockFormat::of_name(path)));
            }
            DiskBackend::HostDevice(HostDeviceDisk { path }) => self.device(field, path, format),
            _ => {}
        }
    }

    fn device(&mut self, field: String, path: &Path, format: Option<BlockFormat>) {
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            self.fault(field, path, ImageProblem::NotADevice);
        } else {
            self.file(field, path, Reading::of(format, Some(BlockFormat::Raw)));
        }
    }

    fn file(&mut self, field: String, path: &Path, how: Reading) {
        match look_at(path, how) {
            Ok(None) => {}
            Ok(Some(problem)) => self.fault(field, path, problem),
            Err(error) => self.fault(field, path, ImageProblem::Unreadable(error)),
        }
    }

    fn chain(&mut self, field: &str, path: &Path) {
        let mut path = path.to_owned();
        for _ in 0..DEEPEST {
            let Some(below) = open(&path).ok().and_then(|(mut file, _)| backing_of(&mut file)) else {
                return;
            };
            let Some(name) = below.file_name() else { return };
            path = path.parent().unwrap_or(Path::new("")).join(name);
            // A format that the header leaves out is found by QEMU, which looks at the content.
            match look_at(&path, Reading { format: below.format, said: true }) {
                Ok(None) => {}
                Ok(Some(problem)) => return self.fault(field.to_owned(), &path, problem),
                Err(error) => return self.fault(field.to_owned(), &path, ImageProblem::Unreadable(error)),
            }
        }
    }

    fn fault(&mut self, field: String, path: &Path, problem: ImageProblem) {
        self.faults.push(ImageFault { field, path: path.to_owned(), problem });
    }
}

/// Opens a file without waiting: not for the other end of a pipe either.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // Where a pipe is opened and closed again, its writer may be lost.
    let metadata = std::fs::metadata(path)?;
    if metadata.file_type().is_fifo() || metadata.file_type().is_socket() || metadata.is_dir() {
        return Ok((File::open("/dev/null")?, metadata));
    }
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

fn look_at(path: &Path, how: Reading) -> io::Result<Option<ImageProblem>> {
    let (mut file, metadata) = open(path)?;
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Ok(Some(ImageProblem::NotAFile(if kind.is_dir() {
            "a directory"
        } else if kind.is_fifo() {
            "a named pipe"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a character device"
        })));
    }
    let mut head = Vec::new();
    (&mut file).take(HEAD).read_to_end(&mut head)?;
    let content = content(&head);
    let problem = match (how.format, content) {
        // Whoever says raw means these bytes.
        (Some(BlockFormat::Raw), _) if how.said => None,
        (Some(BlockFormat::Raw) | None, Content::Image(format)) if !how.said => {
            Some(ImageProblem::Unnamed(format))
        }
        (Some(BlockFormat::Raw) | None, Content::Foreign(what)) if !how.said => {
            Some(ImageProblem::Foreign(what))
        }
        (Some(BlockFormat::Raw) | None, Content::Packed(by, command)) if !how.said => {
            Some(ImageProblem::Packed(by, command))
        }
        (Some(BlockFormat::Raw) | None, _) => None,
        (Some(format), Content::Image(found)) if format == found => None,
        // What it is instead tells more.
        (Some(_), Content::Packed(by, command)) => Some(ImageProblem::Packed(by, command)),
        // A disk of fixed size has its mark at the end.
        (Some(BlockFormat::Vpc), _) if ends_with_footer(&mut file)? => None,
        (Some(format), _) => Some(ImageProblem::NotOfFormat(format)),
    };
    Ok(problem)
}

fn ends_with_footer(file: &mut File) -> io::Result<bool> {
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(end.saturating_sub(512)))?;
    let mut tail = Vec::new();
    file.take(512).read_to_end(&mut tail)?;
    Ok(has_footer(&tail))
}
