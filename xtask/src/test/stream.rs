//! Runs a program, shows what it prints as it comes, and ends it when it has been silent for too long.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::show;

/// How the program came to its end.
pub enum End {
    Exited(ExitStatus),
    /// It printed nothing for too long and was killed, with everything it had started.
    Silent,
}

/// Runs `command` and passes each line of its output on: to our output and to `line`. `silence` is how long it may
/// print nothing.
pub fn lines(command: &mut Command, silence: Duration, mut line: impl FnMut(&str)) -> Result<End> {
    let shown = show(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {shown}"))?;
    let output = child.stdout.take().expect("its output is a pipe");
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
            bytes.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    let mut stdout = std::io::stdout();
    loop {
        match receiver.recv_timeout(silence) {
            Ok(text) => {
                writeln!(stdout, "{text}").context("cannot print")?;
                line(&text);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                end_tree(child.id());
                child.wait().with_context(|| format!("cannot wait for {shown}"))?;
                return Ok(End::Silent);
            }
        }
    }
    let status = child.wait().with_context(|| format!("cannot wait for {shown}"))?;
    Ok(End::Exited(status))
}

/// Kills the process `id` and those it started, from the leaves up.
///
/// Not by process group: in a group of their own they would not hear a Ctrl-C at the terminal.
fn end_tree(id: u32) {
    // Where the kernel does not tell the children, the process alone is killed.
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).for_each(end_tree);
    if let Ok(id) = i32::try_from(id) {
        // One that has ended meanwhile is as good as killed.
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Duration, End, lines};

    #[test]
    fn output_comes_line_by_line() {
        let mut seen = Vec::new();
        let mut command = Command::new("printf");
        let end =
            lines(command.arg("a\\nb"), Duration::from_secs(60), |line| seen.push(line.to_owned())).unwrap();
        assert!(matches!(end, End::Exited(status) if status.success()));
        assert_eq!(seen, ["a", "b"]);
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let mut command = Command::new("sleep");
        let end = lines(command.arg("600"), Duration::from_millis(50), |_| {}).unwrap();
        assert!(matches!(end, End::Silent));
    }
}
