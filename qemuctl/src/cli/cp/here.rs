//! The local end of a copy.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Here(PathBuf),
    Guest {
        vm: String,
        path: String,
    },
    /// Standard input or output.
    Stream,
}

impl End {
    /// Parses a path as scp does: a colon before the first slash marks a path in a guest.
    pub(super) fn parse(text: &str) -> Self {
        match text.split_once(':') {
            _ if text == "-" => Self::Stream,
            Some((vm, path)) if !vm.is_empty() && !vm.contains('/') => {
                Self::Guest { vm: vm.to_owned(), path: path.to_owned() }
            }
            _ => Self::Here(text.into()),
        }
    }
}

/// A local file to read from.
pub(super) struct Source {
    pub(super) name: String,
    /// `None` for standard input.
    pub(super) path: Option<PathBuf>,
    pub(super) input: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) facts: Option<Metadata>,
}

impl Source {
    pub(super) fn open(end: &End) -> Result<Self, Failure> {
        let End::Here(path) = end else {
            return Ok(Self {
                name: "-".into(),
                path: None,
                input: Box::new(tokio::io::stdin()),
                facts: None,
            });
        };
        let fail = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Failed, format!("cannot read {}: {error}", path.display()))
        };
        let file = File::open(path).map_err(|error| fail(&error))?;
        let facts = file.metadata().map_err(|error| fail(&error))?;
        if facts.is_dir() {
            return Err(fail(&"it is a directory").with_help(format!(
                "pack it: `tar -C {0} -c . | qemuctl cp - VM:/tmp/packed.tar`",
                path.display()
            )));
        }
        let name = path.display().to_string();
        Ok(Self {
            name,
            path: Some(path.clone()),
            input: Box::new(tokio::fs::File::from_std(file)),
            facts: Some(facts),
        })
    }
}

/// Where a file from the guest goes. A local file gets its name when it is complete; if this is dropped earlier, the
/// partial file is removed.
pub(super) struct Sink {
    pub(super) output: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) target: PathBuf,
    /// The file under its temporary name, and the permissions that the umask allows.
    pub(super) draft: Option<(PathBuf, u32)>,
}

impl Sink {
    pub(super) fn new(end: &End, source: &str) -> Result<Self, Failure> {
        let End::Here(path) = end else {
            return Ok(Self { output: Box::new(tokio::io::stdout()), target: "-".into(), draft: None });
        };
        let name = source.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file");
        let target = if path.is_dir() { path.join(name) } else { path.clone() };
        let fail = |error: io::Error| cannot_write(&target, &error);
        // Devices and pipes are written to directly.
        if std::fs::metadata(&target).is_ok_and(|facts| !facts.is_file()) {
            let output = File::options().write(true).open(&target).map_err(fail)?;
            let output = Box::new(tokio::fs::File::from_std(output));
            return Ok(Self { output, target, draft: None });
        }
        // Follow a symbolic link, so that its target is replaced and not the link.
        let target = target.canonicalize().unwrap_or(target);
        let file_name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let draft = target.with_file_name(format!(".{file_name}.{}.part", std::process::id()));
        let make = || {
            let file = File::options().write(true).create_new(true).mode(0o777).open(&draft)?;
            let allowed = file.metadata()?.permissions().mode() & 0o777;
            // Private until it is complete.
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            Ok((file, allowed))
        };
        let (output, allowed) = make().map_err(|error| cannot_write(&target, &error))?;
        let output = Box::new(tokio::fs::File::from_std(output));
        Ok(Self { output, target, draft: Some((draft, allowed)) })
    }

    pub(super) fn name(&self) -> String {
        self.target.display().to_string()
    }

    /// Gives the file its final name and the original's permissions.
    pub(super) async fn finish(mut self, mode: Option<u32>) -> Result<(), Failure> {
        let fail = |error: io::Error| cannot_write(&self.target, &error);
        self.output.flush().await.map_err(fail)?;
        if let Some((draft, allowed)) = &self.draft {
            let mode = std::fs::Permissions::from_mode(mode.unwrap_or(0o644) & allowed);
            std::fs::set_permissions(draft, mode).map_err(fail)?;
            std::fs::rename(draft, &self.target).map_err(fail)?;
        }
        self.draft = None;
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some((draft, _)) = &self.draft {
            // If it cannot be removed, it stays under its hidden temporary name.
            let _ = std::fs::remove_file(draft);
        }
    }
}

pub(super) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_written_as_for_scp() {
        let parsed = ["web:/tmp/x", "web:", "./a:b", "/a:b", "a", "-", ":x", "w b:C:\\x"]
            .map(|text| format!("{text} = {:?}", End::parse(text)));
        insta::assert_snapshot!(parsed.join("\n"), @r#"
        web:/tmp/x = Guest { vm: "web", path: "/tmp/x" }
        web: = Guest { vm: "web", path: "" }
        ./a:b = Here("./a:b")
        /a:b = Here("/a:b")
        a = Here("a")
        - = Stream
        :x = Here(":x")
        w b:C:\x = Guest { vm: "w b", path: "C:\\x" }
        "#);
    }
}
