//! The terminal of the program: modes, keys and size.
//!
//! A terminal belongs to its foreground process group. The kernel stops a background job (`qemuctl run … &`, or
//! anything run by `timeout`) that reads from the terminal or changes its modes. So the terminal is used only while
//! this program is in the foreground, and set up again when it returns there.

use std::io::{self, IsTerminal, Stdin};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{
    ControlFlags, InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr,
    tcsetattr,
};
use nix::unistd::{getpgrp, tcgetpgrp};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often a background job checks whether it is in the foreground. There is no signal for that: a shell sends
/// SIGCONT only to a stopped job.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The modes to restore, while they are changed.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Standard input as a terminal in raw mode. Restores the terminal when dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    input: AsyncFd<Stdin>,
    continued: Signal,
    /// Whether the raw mode is set, as far as is known.
    raw: bool,
}

impl Terminal {
    /// Takes over standard input, as soon as this program is in the foreground. Returns `None` if it is not a terminal.
    pub(crate) fn take() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        // SAFETY: standard input stays open, under its number, for as long as the program runs.
        #[expect(unsafe_code, reason = "tokio has no safe way to watch a descriptor of another kind")]
        let input = unsafe { AsyncFd::register_with_interest(io::stdin(), Interest::READABLE) }?;
        let continued = signal(SignalKind::from_raw(nix::libc::SIGCONT))?;
        let mut terminal = Self { input, continued, raw: false };
        if is_ours() {
            terminal.make_raw()?;
        }
        Ok(Some(terminal))
    }

    fn make_raw(&mut self) -> io::Result<()> {
        let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        let modes = match &*before {
            Some(modes) => modes.clone(),
            None => before.insert(tcgetattr(io::stdin())?).clone(),
        };
        // Waiting for the output to be read could block forever.
        tcsetattr(io::stdin(), SetArg::TCSANOW, &changed(&modes))?;
        self.raw = true;
        Ok(())
    }

    /// Reads the available keys. Returns 0 if the terminal is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !is_ours() {
                self.raw = false;
                tokio::select! {
                    _ = self.continued.recv() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
                continue;
            }
            if !self.raw {
                self.make_raw()?;
            }
            tokio::select! {
                ready = self.input.readable() => {
                    let mut ready = ready?;
                    // The input may have been read by another program that was in the foreground in between.
                    if !is_ours() || !has_input()? {
                        ready.clear_ready();
                        continue;
                    }
                    match rustix::io::read(io::stdin(), &mut *buffer) {
                        Ok(count) => return Ok(count),
                        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                // This program was stopped, and another one may have changed the modes.
                _ = self.continued.recv() => self.raw = false,
            }
        }
    }
}

/// Reads keys from a terminal; never returns if there is none.
pub(crate) async fn read_keys(terminal: Option<&mut Terminal>, buffer: &mut [u8]) -> io::Result<usize> {
    match terminal {
        Some(terminal) => terminal.read(buffer).await,
        None => std::future::pending().await,
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal, if it was changed and this program is in the foreground.
pub(crate) fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before.filter(|_| is_ours()) {
        // Errors are ignored: the terminal may be gone.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &before);
    }
}

/// Whether this program is in the terminal's foreground. A terminal other than the session's controlling one has no
/// foreground process group, and may always be used.
fn is_ours() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |foreground| foreground == getpgrp())
}

/// Whether a read would not block.
fn has_input() -> io::Result<bool> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::ZERO) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn changed(before: &Termios) -> Termios {
    let mut modes = before.clone();
    modes.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
    modes.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    modes.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    // The guest's shell expects a carriage return for Enter, and uses Ctrl-S and Ctrl-Q itself.
    modes.input_flags.remove(InputFlags::ICRNL | InputFlags::IXON);
    modes.input_flags.remove(InputFlags::INLCR | InputFlags::IGNCR | InputFlags::ISTRIP);
    modes.input_flags.remove(InputFlags::BRKINT | InputFlags::PARMRK);
    modes.output_flags.remove(OutputFlags::OPOST);
    modes.control_flags.remove(ControlFlags::CSIZE | ControlFlags::PARENB);
    modes.control_flags.insert(ControlFlags::CS8);
    modes
}
