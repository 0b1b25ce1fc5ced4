//! The terminal that the program runs in: its modes, its keys, its size.
//!
//! A terminal belongs to the process group in its foreground. A job in the background (`qemuctl run … &`, and everything
//! below `timeout`) that reads from it or changes its modes is stopped by the kernel, for ever if nobody continues it. So
//! it is touched only while it is ours, and taken again when the job comes to the foreground.

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

/// How often a job in the background looks whether it is in the foreground by now. A shell continues a stopped job with a
/// signal, but takes one that runs to the foreground without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The modes to put back, for as long as they are changed.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Standard input as a terminal whose every byte is read as it is: the other end is a terminal's end too. Dropped, it puts
/// the terminal back as it was.
#[derive(Debug)]
pub(crate) struct Terminal {
    input: AsyncFd<Stdin>,
    continued: Signal,
    /// Whether the modes are set, as far as is known.
    raw: bool,
}

impl Terminal {
    /// Takes over standard input, at once or when this program comes to the foreground; `None` if it is no terminal.
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
        // Waiting until the output has been read could last for ever.
        tcsetattr(io::stdin(), SetArg::TCSANOW, &changed(&modes))?;
        self.raw = true;
        Ok(())
    }

    /// The next keys, as many as fit and are there. 0: the terminal is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
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
                    // What made it ready may have been read by another program that had the foreground meanwhile.
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
                // It was stopped; whoever had the terminal meanwhile had modes of its own.
                _ = self.continued.recv() => self.raw = false,
            }
        }
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
        restore();
    }
}

/// Puts the terminal back as it was, if it was changed and is still ours.
pub(crate) fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before.filter(|_| is_ours()) {
        // A terminal that has gone away needs no care.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &before);
    }
}

/// Whether this program is in the terminal's foreground. A terminal that is not the one that controls this program's
/// session has no foreground, and is for everybody.
fn is_ours() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |foreground| foreground == getpgrp())
}

/// Whether a read returns at once: with something, or with the end.
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
    // The guest's shell expects what the Enter key sends, and has its own use for Ctrl-S and Ctrl-Q.
    modes.input_flags.remove(InputFlags::ICRNL | InputFlags::IXON);
    modes.input_flags.remove(InputFlags::INLCR | InputFlags::IGNCR | InputFlags::ISTRIP);
    modes.input_flags.remove(InputFlags::BRKINT | InputFlags::PARMRK);
    modes.output_flags.remove(OutputFlags::OPOST);
    modes.control_flags.remove(ControlFlags::CSIZE | ControlFlags::PARENB);
    modes.control_flags.insert(ControlFlags::CS8);
    modes
}
