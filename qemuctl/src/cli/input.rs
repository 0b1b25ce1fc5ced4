//! Input that must not be on the command line, which other users of the host can see.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::exit::Exit;
use super::failure::Failure;
use super::signals::Signals;

/// The largest input, in bytes.
const LARGEST: u64 = 16 << 20;

/// The source of an input.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The first line of standard input, read without echo.
    Line,
    /// All of standard input.
    Stdin,
    /// All of a file.
    File(PathBuf),
}

impl Input {
    /// Parses `-` (standard input) and `@FILE`. Returns `None` for anything else, which is the value itself.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "-" => Some(Self::Stdin),
            text => Some(Self::File(text.strip_prefix('@')?.into())),
        }
    }

    /// Reads the input. A signal interrupts this.
    pub(crate) async fn read(self, what: &str) -> Result<Zeroizing<String>, Failure> {
        let mut signals = Signals::listen()?;
        // Held here, so that the terminal is restored however the wait ends.
        let _unshown = match &self {
            Self::Line => Unshown::take(what)?,
            _ => None,
        };
        let name = match &self {
            Self::File(path) => path.display().to_string(),
            _ => "standard input".to_owned(),
        };
        let reading = tokio::task::spawn_blocking(move || match self {
            Self::Line => {
                let mut line = Zeroizing::new(String::new());
                io::stdin().lock().take(LARGEST).read_line(&mut line)?;
                Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
            }
            Self::Stdin => all(io::stdin().lock()),
            Self::File(path) => all(File::open(Path::new(&path))?),
        });
        let text = tokio::select! {
            text = reading => text.unwrap_or_else(|error| Err(io::Error::other(error))),
            asked = signals.next() => return Err(asked.failure(&format!("reading {what}"))),
        };
        text.map_err(|error| Failure::new(Exit::Failed, format!("cannot read {what} from {name}: {error}")))
    }
}

fn all(input: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    input.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    Ok(text)
}

/// Turns the terminal's echo off until this is dropped.
struct Unshown(Termios);

impl Unshown {
    fn take(what: &str) -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(stdin.as_fd())?;
        let mut modes = before.clone();
        modes.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &modes)?;
        eprint!("{what}: ");
        Ok(Some(Self(before)))
    }
}

impl Drop for Unshown {
    fn drop(&mut self) {
        // The Enter key was not echoed either. Errors are ignored: the terminal may be gone.
        eprintln!();
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, &self.0);
    }
}
