//! `logs`: prints a machine's logs.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemuctl::home::StoredMachine;
use qemuctl::qmp_client::Printable;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::signals::Signals;
use super::Named;

/// Print a machine's console output
///
/// The output is kept after the machine ends, at least the last 1 MiB of it. With --follow, new output is printed until
/// the machine ends.
#[derive(clap::Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,

    /// Keep printing new output
    #[arg(short, long)]
    follow: bool,

    /// Print only the last COUNT lines
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<usize>,

    /// Print the console output (the default)
    #[arg(long, group = "which")]
    console: bool,

    /// Print QEMU's own output of the last run
    #[arg(long, group = "which")]
    qemu: bool,

    /// Print events, starts and ends, one JSON object per line
    #[arg(long, group = "which")]
    events: bool,
}

pub(crate) async fn run(args: Args, _context: &Context) -> Result<Exit, Failure> {
    let machine = args.named.machine()?;
    let name = match (args.qemu, args.events) {
        (true, _) => "qemu.log",
        (_, true) => "events.jsonl",
        _ => "console.log",
    };
    let path = machine.file(name);
    let mut signals = Signals::listen()?;
    // Start to watch before reading, so that nothing is missed in between.
    let growth = machine.watch()?;
    let mut log = Log::new(path.clone());
    let mut out = Out { neutral: io::IsTerminal::is_terminal(&io::stdout()) };
    if let Some(count) = args.lines {
        out.write(&log.last_lines(count)?)?;
    } else {
        copy_older(&path, &mut out)?;
        log.copy(&mut out)?;
    }
    if !args.follow {
        return Ok(Exit::Done);
    }
    let names = [name];
    let mut over = std::pin::pin!(over(&machine));
    loop {
        tokio::select! {
            grown = growth.of_files(&names) => grown?,
            over = &mut over => {
                over?;
                break;
            }
            // A signal is the normal way to end `--follow`.
            asked = signals.next() => return Ok(asked.exit()),
        }
        log.copy(&mut out)?;
    }
    log.copy(&mut out)?;
    Ok(Exit::Done)
}

/// Waits until no more output can come.
async fn over(machine: &StoredMachine) -> Result<(), Failure> {
    while !machine.settled(Duration::MAX).await? {}
    // The keeper may have been killed.
    if let Some(record) = machine.status()?.record() {
        record.ended().await?;
    }
    Ok(())
}

/// Standard output; control characters are escaped for a terminal.
struct Out {
    neutral: bool,
}

impl Out {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if self.neutral {
            write!(out, "{}", Printable::text(&String::from_utf8_lossy(bytes)))?;
        } else {
            out.write_all(bytes)?;
        }
        out.flush()?;
        Ok(())
    }
}

/// A log file that grows, or is truncated or replaced.
struct Log {
    path: PathBuf,
    at: u64,
    inode: u64,
}

impl Log {
    fn new(path: PathBuf) -> Self {
        Self { path, at: 0, inode: 0 }
    }

    /// Prints what was added since the last call.
    fn copy(&mut self, out: &mut Out) -> Result<(), Failure> {
        let Some(mut file) = open(&self.path)? else { return Ok(()) };
        let facts = file.metadata()?;
        if facts.ino() != self.inode || facts.len() < self.at {
            self.at = 0;
            self.inode = facts.ino();
        }
        file.seek(SeekFrom::Start(self.at))?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            self.at += count as u64;
            out.write(&buffer[..count])?;
        }
    }

    /// Returns the last lines, and continues after them.
    fn last_lines(&mut self, count: usize) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        for path in [older(&self.path), self.path.clone()] {
            if let Some(mut file) = open(&path)? {
                let before = text.len();
                file.read_to_end(&mut text)?;
                self.inode = file.metadata()?.ino();
                self.at = (text.len() - before) as u64;
            }
        }
        let mut lines = VecDeque::new();
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            lines.push_back(line);
            if lines.len() > count {
                lines.pop_front();
            }
        }
        Ok(lines.into_iter().flatten().copied().collect())
    }
}

fn copy_older(path: &Path, out: &mut Out) -> Result<(), Failure> {
    Log::new(older(path)).copy(out)
}

/// The previous part of the log.
fn older(path: &Path) -> PathBuf {
    let mut older = path.as_os_str().to_owned();
    older.push(".1");
    older.into()
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}
