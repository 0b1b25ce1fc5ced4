//! One run of `qemu-img`: its arguments, its progress, its words when it fails.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use qemu_argv::BlockFormat;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::holders::holders;
use super::{Image, ImageError, QemuImg};
use crate::launch::in_memory;
use qemu_discovery::process::Tail;

/// How much of what `qemu-img` prints as data is taken: the map of a badly fragmented image has some 100 bytes an extent.
const OUTPUT_LIMIT: usize = 256 << 20;

/// What `qemu-img` says if it could not measure how fast this host derives a key, before it has written anything. The kernel may
/// count processor time by ticks that are longer than what is measured, so it is a matter of luck.
const UNMEASURED: &str = "Unable to get accurate CPU usage";

/// How often it is tried in that case.
const TRIES: usize = 10;

/// How `qemu-img` ended by itself, and what it printed.
pub(super) struct Done {
    pub(super) status: ExitStatus,
    pub(super) output: Vec<u8>,
    pub(super) words: String,
}

/// Arguments of `qemu-img`, and the keys that they refer to.
pub(super) struct Run<'a> {
    tool: &'a QemuImg,
    action: &'static str,
    about: PathBuf,
    objects: Vec<OsString>,
    args: Vec<OsString>,
    keys: Vec<OwnedFd>,
    shows_progress: bool,
}

impl<'a> Run<'a> {
    /// `action` is for errors, as in "cannot resize web.qcow2"; `about` is the image that they name.
    pub(super) fn new(tool: &'a QemuImg, action: &'static str, about: &Path) -> Self {
        let (objects, args, keys) = <_>::default();
        Self { tool, action, about: about.into(), objects, args, keys, shows_progress: false }
    }

    pub(super) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn args<const COUNT: usize>(mut self, args: [&str; COUNT]) -> Self {
        self.args.extend(args.map(OsString::from));
        self
    }

    /// Reports progress to the tool's observer.
    pub(super) fn with_progress(mut self) -> Self {
        self.shows_progress = true;
        self.arg("-p")
    }

    /// Has the id of an object that holds the key.
    pub(super) fn key(&mut self, image: &Image) -> Result<Option<String>, ImageError> {
        let Some(key) = &image.key else { return Ok(None) };
        let read = key.read().and_then(|value| in_memory(&value));
        let key = read.map_err(|source| ImageError::Io {
            action: "read the key of",
            path: image.path.clone(),
            source,
        })?;
        let id = format!("key{}", self.keys.len());
        // By our own descriptor, which the child does not inherit.
        let path = format!("/proc/{}/fd/{}", std::process::id(), key.as_raw_fd());
        self.objects.extend(["--object".into(), format!("secret,id={id},file={path}").into()]);
        self.keys.push(key);
        Ok(Some(id))
    }

    /// Adds an image that is there. With a key, `qemu-img` takes it only as `--image-opts`, which count for all images of
    /// the command, hence `opts`.
    pub(super) fn image(mut self, image: &Image, option: &str, opts: bool) -> Result<Self, ImageError> {
        let path = absolute(&image.path);
        if !opts {
            return Ok(self.arg(option).arg(image.format.qemu_name()).arg(path));
        }
        let key = self.key(image)?;
        let mut text = OsString::from(format!("driver={}", image.format.qemu_name()));
        if let Some(key) = key {
            let property =
                if image.format == BlockFormat::Luks { "key-secret" } else { "encrypt.key-secret" };
            text.push(format!(",{property}={key}"));
        }
        text.push(if is_device(&path) { ",file.driver=host_device" } else { ",file.driver=file" });
        text.push(",file.filename=");
        text.push(doubled(&path));
        Ok(self.arg(text))
    }

    /// Runs `command` to its end; a failure is an error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, `qemu-img` is killed.
    pub(super) async fn done(self, command: &str) -> Result<Done, ImageError> {
        self.checked(command, &[0]).await
    }

    /// Runs `command` to its end; an exit code that is not among `good` is an error.
    pub(super) async fn checked(self, command: &str, good: &[i32]) -> Result<Done, ImageError> {
        let mut done = self.ended(command).await?;
        for _ in 1..TRIES {
            if !done.words.contains(UNMEASURED) {
                break;
            }
            done = self.ended(command).await?;
        }
        let (action, about) = (self.action, self.about);
        let is_good = done.status.code().is_some_and(|code| good.contains(&code));
        if is_good { Ok(done) } else { Err(explain(action, about, done.words).await) }
    }

    async fn ended(&self, command: &str) -> Result<Done, ImageError> {
        let fail = |source| ImageError::Io { action: "run", path: self.tool.program.clone(), source };
        let mut child = Command::new(&self.tool.program)
            .arg(command)
            .args(&self.objects)
            .args(&self.args)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => ImageError::NoTool,
                _ => fail(source),
            })?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let words = Tail::default();
        let read = async {
            match output {
                Some(output) if self.shows_progress => self.follow(output).await,
                Some(output) => collect(output).await,
                None => Ok(Vec::new()),
            }
        };
        let heard = async {
            if let Some(errors) = errors {
                words.clone().drain(errors).await;
            }
        };
        let (output, (), status) = tokio::join!(read, heard, child.wait());
        let (output, status) = (output.map_err(fail)?, status.map_err(fail)?);
        Ok(Done { status, output, words: words.lines().join("; ") })
    }

    /// Passes progress on to the observer. It comes as `    (12.34/100%)` and a carriage return.
    async fn follow(&self, mut output: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 1024];
        loop {
            let count = output.read(&mut buffer).await?;
            if count == 0 {
                return Ok(Vec::new());
            }
            let text = String::from_utf8_lossy(&buffer[..count]);
            let percent = text.rsplit_once("/100%)").and_then(|(text, _)| {
                let (_, number) = text.rsplit_once('(')?;
                number.split('.').next()?.parse().ok()
            });
            if let (Some(observer), Some(percent)) = (&self.tool.observer, percent) {
                observer(percent);
            }
        }
    }
}

async fn collect(output: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    output.take(OUTPUT_LIMIT as u64 + 1).read_to_end(&mut bytes).await?;
    if bytes.len() > OUTPUT_LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it printed more than 256 MiB"));
    }
    Ok(bytes)
}

/// The error behind what `qemu-img` printed.
async fn explain(action: &'static str, path: PathBuf, words: String) -> ImageError {
    if words.contains("No space left on device") {
        return ImageError::NoSpace { action, path };
    }
    if words.contains(" lock") && words.contains("Failed to get") {
        let file = path.clone();
        let holders = tokio::task::spawn_blocking(move || holders(&file)).await.unwrap_or_default();
        return ImageError::InUse { action, path, holders };
    }
    let words = words.trim_start_matches("qemu-img: ").replace("; qemu-img: ", "; ");
    let reason = if words.is_empty() { "qemu-img gave no reason".to_owned() } else { words };
    ImageError::Failed { action, path, reason: reason.replace(char::is_control, "\u{fffd}") }
}

/// `qemu-img` takes `name:rest` for a protocol, unless it begins with a slash.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|file| file.file_type().is_block_device())
}

/// A path as a value in a list of `key=value`: with doubled commas.
pub(super) fn doubled(path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = Vec::with_capacity(path.as_os_str().len());
    for &byte in path.as_os_str().as_bytes() {
        bytes.push(byte);
        if byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}
