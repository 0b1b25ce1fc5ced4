//! The terminal that the program runs in: its modes, its keys, its size.

use std::io::{self, IsTerminal};

use nix::sys::termios::{
    ControlFlags, InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr,
    tcsetattr,
};
use tokio::io::AsyncReadExt;

/// How keys are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each key at once and unechoed; only Ctrl-C still sends its signal.
    Keys,
    /// Each byte as it is: the other end is a terminal's end too.
    Raw,
}

/// Standard input as a terminal in some mode. Dropped, it puts the terminal back as it was.
#[derive(Debug)]
pub(crate) struct Terminal {
    before: Termios,
    input: tokio::io::Stdin,
}

impl Terminal {
    /// Takes over standard input; `None` if it is no terminal.
    pub(crate) fn take(mode: Mode) -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(io::stdin())?;
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &changed(&before, mode))?;
        Ok(Some(Self { before, input: tokio::io::stdin() }))
    }

    /// The next keys, as many as fit and are there. 0: the terminal is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).await
    }
}

/// Reads keys from a terminal; for ever, where there is none.
pub(crate) async fn read_keys(terminal: Option<&mut Terminal>, buffer: &mut [u8]) -> io::Result<usize> {
    match terminal {
        Some(terminal) => terminal.read(buffer).await,
        None => std::future::pending().await,
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that has gone away needs no care.
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
    }
}

fn changed(before: &Termios, mode: Mode) -> Termios {
    let mut modes = before.clone();
    modes.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
    modes.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    modes.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    // The guest's shell expects what the Enter key sends, and has its own use for Ctrl-S, Ctrl-Q, Ctrl-V, Ctrl-Z and
    // Ctrl-backslash.
    modes.input_flags.remove(InputFlags::ICRNL | InputFlags::IXON);
    modes.local_flags.remove(LocalFlags::IEXTEN);
    for key in [SpecialCharacterIndices::VSUSP, SpecialCharacterIndices::VQUIT] {
        modes.control_chars[key as usize] = nix::libc::_POSIX_VDISABLE;
    }
    if mode == Mode::Raw {
        modes.local_flags.remove(LocalFlags::ISIG);
        modes.input_flags.remove(InputFlags::INLCR | InputFlags::IGNCR | InputFlags::ISTRIP);
        modes.input_flags.remove(InputFlags::BRKINT | InputFlags::PARMRK);
        modes.output_flags.remove(OutputFlags::OPOST);
        modes.control_flags.remove(ControlFlags::CSIZE | ControlFlags::PARENB);
        modes.control_flags.insert(ControlFlags::CS8);
    }
    modes
}
