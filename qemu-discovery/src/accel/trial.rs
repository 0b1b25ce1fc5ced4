//! Runs the test guest with a program, machine, accelerator and CPU model, and reports its progress.
//!
//! Slowness is measured by QEMU's CPU time, not by the clock, so that a busy host does not make a good accelerator look
//! bad. The clock only limits the whole test.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use qemu_argv::{Accelerator, Arch, TargetCpu};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::guest::{self, Stage};
use crate::DiscoveryError;
use crate::process::{Brief, FdMapping, ProcessExit, Program};
use crate::words::clean_words;

/// Processor time that the guest may use, counted from its first sign of life. Natively it takes some 30 ms, under TCG 100 ms;
/// a KVM that emulates does not make the first of eight steps in 3 s.
const GUEST_BUDGET: Duration = Duration::from_millis(400);

/// Processor time that QEMU may use up to that sign; it takes 50 to 150 ms.
const START_BUDGET: Duration = Duration::from_secs(3);

/// The time on the clock after which a guest that uses no processor time either is given up.
const DEADLINE: Duration = Duration::from_secs(20);

/// What one trial runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    /// The QEMU.
    pub binary: &'a Path,
    /// The architecture of its guests.
    pub arch: Arch,
    /// The machine type.
    pub machine: &'a str,
    /// The accelerator on trial.
    pub accelerator: Accelerator,
    /// The CPU model, with its features. `None`: the machine's own.
    pub cpu: Option<&'a TargetCpu>,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
#[non_exhaustive]
pub enum Trial {
    /// The guest finished.
    Passed {
        /// The processor time that it took, QEMU's start included; in milliseconds.
        cpu_ms: u64,
    },
    /// The guest used up its processor time without finishing.
    Slow {
        /// How far it got.
        stage: Stage,
        /// The processor time that it used, in milliseconds.
        cpu_ms: u64,
    },
    /// QEMU ended before the guest was done.
    Died {
        /// How far the guest got.
        stage: Stage,
        /// The signal that ended QEMU; `None`: it exited on its own.
        signal: Option<i32>,
        /// QEMU's own account of it.
        words: String,
    },
    /// Nothing happened for so long that the trial was given up.
    Stuck {
        /// How far the guest got.
        stage: Stage,
    },
    /// There is no guest for this architecture, so nothing was tried.
    NoGuest,
}

impl Trial {
    /// Whether the outcome is a property of host and QEMU. Others may pass: an exit can be due to memory that is short
    /// or to another hypervisor that holds the processor's extensions.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Passed { .. } | Self::Slow { .. } | Self::Died { signal: Some(_), .. })
    }
}

/// Runs the guest. The child does not outlive the future, should that be dropped.
pub(crate) async fn run(setup: Setup<'_>) -> Result<Trial, DiscoveryError> {
    let Some((option, bytes)) = guest::image(setup.arch) else { return Ok(Trial::NoGuest) };
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| DiscoveryError::Io { action, path, source }
    };
    let temporary = std::env::temp_dir();
    let mut image =
        tempfile::NamedTempFile::new_in(&temporary).map_err(io("create a file in", &temporary))?;
    image.write_all(&bytes).map_err(io("write", image.path()))?;

    let start = io("start", setup.binary);
    let (ours, theirs) = match channel() {
        Ok(ends) => ends,
        Err(error) => return Err(start(error)),
    };
    let mut args: Vec<OsString> =
        ["-machine", setup.machine, "-accel", setup.accelerator.qemu_name()].map(Into::into).into();
    if let Some(cpu) = setup.cpu {
        args.extend(["-cpu".into(), cpu.to_string().into()]);
    }
    // `-no-reboot`: the guest ends itself by a reset, which every machine type has.
    args.extend(
        ["-m", "64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"].map(Into::into),
    );
    args.extend(["-chardev", "socket,id=report,fd=0", "-serial", "chardev:report", option].map(Into::into));
    args.push(image.path().into());
    let program = Program {
        path: setup.binary.to_owned(),
        args,
        descriptors: vec![FdMapping { parent_fd: theirs, child_fd: 0 }],
        ..Program::default()
    };
    let mut running = Brief::start(program).await.map_err(start)?;
    let (stage, end) = watch(running.pid(), ours).await;
    // Its result is known when it is dropped, so how it goes is of no interest; only that it is gone.
    Ok(match end {
        _ if stage == Stage::Done => Trial::Passed { cpu_ms: millis(cpu_time(running.pid())) },
        End::Budget(used) => Trial::Slow { stage, cpu_ms: millis(Some(used)) },
        End::Deadline => Trial::Stuck { stage },
        End::Closed => {
            let exit = timeout(DEADLINE, running.ended()).await.ok();
            let words = clean_words(&running.last_words().await);
            let signal = match exit {
                Some(ProcessExit::Signal { number, .. }) => Some(number),
                _ => None,
            };
            Trial::Died { stage, signal, words: last_words(words, exit) }
        }
    })
}

/// Why a trial was no longer watched.
enum End {
    /// The guest is done, or QEMU closed its end.
    Closed,
    /// The processor time is used up.
    Budget(Duration),
    /// The time on the clock is.
    Deadline,
}

async fn watch(pid: u32, mut ours: UnixStream) -> (Stage, End) {
    let deadline = Instant::now() + DEADLINE;
    // No waiting for a state: these are the moments at which the meter is read.
    let mut reading = interval(Duration::from_millis(20));
    reading.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stage = Stage::Nothing;
    let mut entered_after = None;
    let mut letters = [0; 32];
    loop {
        tokio::select! {
            biased;
            read = ours.read(&mut letters) => match read {
                Ok(count) if count > 0 => {
                    stage = letters[..count].iter().filter_map(|letter| Stage::of(*letter)).fold(stage, Stage::max);
                    if stage == Stage::Done {
                        return (stage, End::Closed);
                    }
                }
                // A QEMU that dies may leave a reset behind instead of an end-of-file.
                _ => return (stage, End::Closed),
            },
            _ = reading.tick() => {
                if let Some(used) = cpu_time(pid) {
                    let budget = if stage > Stage::Nothing {
                        *entered_after.get_or_insert(used) + GUEST_BUDGET
                    } else {
                        START_BUDGET
                    };
                    if used > budget {
                        return (stage, End::Budget(used));
                    }
                }
                if Instant::now() > deadline {
                    return (stage, End::Deadline);
                }
            }
        }
    }
}

fn channel() -> std::io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs.into()))
}

fn last_words(words: String, exit: Option<ProcessExit>) -> String {
    if !words.is_empty() {
        return words;
    }
    exit.map_or_else(|| "it closed the channel but did not exit".into(), |exit| exit.to_string())
}

fn millis(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The processor time that all threads of a process have used; guest code counts as user time. `None` where there is no
/// `/proc`.
fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks = cpu_ticks(&stat)?;
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    Some(Duration::from_millis(ticks * 1000 / per_second.max(1)))
}

/// `utime` and `stime` together: the 14th and 15th field, the second being a name in parentheses that may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    Some(fields.next()?? + fields.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 17 5 0 0 20 0 1 0 300 0 0";
        assert_eq!(cpu_ticks(stat), Some(22));
        assert_eq!(cpu_ticks("42 (short) S 1"), None);
    }

    #[test]
    fn this_process_has_used_some_time() {
        assert!(cpu_time(std::process::id()).is_some());
    }
}
