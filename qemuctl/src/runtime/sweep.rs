//! Removes the leftovers of VMs whose launcher was killed, or that outlived it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use qmp_client::Printable;

use crate::error::Error;

use super::{NameLock, Record, SocketDir, check_name, life, name, open_regular};

/// How much of a log is read for its last lines, and the number of lines to keep.
const LOG_END: u64 = 16 * 1024;
const LOG_LINES: usize = 10;

/// A VM that was found dead, and whose files were removed. `Display` says what is known about its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Its name.
    pub name: String,
    /// QEMU's former process id; `None` if its launcher was killed before QEMU was started.
    pub pid: Option<u32>,
    /// Whether it was detached from its launcher.
    pub detached: bool,
    /// The last lines of QEMU's output, for a detached VM.
    pub log: Vec<String>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, pid, detached, log } = self;
        let name = Printable::line(name);
        match pid {
            None => write!(f, "{name} was not started: its launcher was killed"),
            Some(pid) if *detached => {
                write!(f, "{name} ended unobserved (process {pid} is gone)")
            }
            Some(pid) => write!(f, "{name} ended with its launcher (process {pid} is gone)"),
        }?;
        log.iter().try_for_each(|line| write!(f, "\n  qemu: {}", Printable::line(line)))
    }
}

/// Removes the leftovers of dead VMs in the socket directory `dir`, and returns these VMs. Running VMs are not touched,
/// even if their process is not visible, nor are VMs whose launcher is running. The persistent state of detached VMs is
/// kept.
///
/// This is for programs that use new names for their VMs; otherwise the next start with the same name cleans up.
///
/// ```no_run
/// # fn example() -> Result<(), qemuctl::Error> {
/// use qemuctl::runtime;
///
/// for ended in runtime::sweep(&runtime::default_socket_dir()?)? {
///     eprintln!("{ended}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// - [`Error::SocketDirUnsafe`] if others may write to the directory.
/// - [`Error::Io`] if it cannot be read. It is not an error if it does not exist.
pub fn sweep(dir: &Path) -> Result<Vec<Ended>, Error> {
    let Some(dir) = SocketDir::find(dir)? else { return Ok(Vec::new()) };
    let files = dir.list()?;
    let names: BTreeSet<&str> = files.iter().filter_map(|file| owner(file)).collect();
    Ok(names.into_iter().filter_map(|name| sweep_one(&dir, name, &files)).collect())
}

/// Like [`sweep`], but only for the VM called `name`.
///
/// # Errors
///
/// As [`sweep`], and [`Error::InvalidName`].
pub fn sweep_name(dir: &Path, name: &str) -> Result<Option<Ended>, Error> {
    check_name(name)?;
    let Some(dir) = SocketDir::find(dir)? else { return Ok(None) };
    Ok(sweep_one(&dir, name, &dir.list()?))
}

/// The VM that a file belongs to. `None` for what is kept, and for what is none of ours.
fn owner(file: &str) -> Option<&str> {
    if [".plan.json", ".plan.new"].iter().any(|ending| file.ends_with(ending)) {
        return None;
    }
    let endings = [".sock", ".lock", ".json.new", ".json"];
    let name = endings.iter().find_map(|ending| file.strip_suffix(ending))?;
    // The VM's other sockets, and the locks on them.
    let other = name.rsplit_once('.').filter(|(_, ending)| name::is_taken(ending));
    Some(other.map_or(name, |(name, _)| name))
}

fn sweep_one(dir: &SocketDir, name: &str, files: &[String]) -> Option<Ended> {
    check_name(name).ok()?;
    let mut of_it = files.iter().filter(|file| owner(file) == Some(name)).peekable();
    of_it.peek()?;
    // Looked at before the name is taken: a launch must not find it taken for nothing.
    let lives = match Record::read_in(dir, name) {
        Ok(Some(record)) => record.is_alive(),
        _ => life::is_served(&dir.file(name, ".sock")),
    };
    if lives {
        return None;
    }
    let lock = NameLock::to_clean(dir, name).ok()?;
    // With a launcher that lives the name is taken, and a VM that lives keeps it.
    let ended = clear(dir, name).ok()?;
    // What no record tells of: a launcher was killed before it wrote one, or while it did.
    for file in of_it {
        let path = dir.path().join(file);
        let is_socket = path.symlink_metadata().is_ok_and(|facts| facts.file_type().is_socket());
        let is_left = match file.strip_prefix(name) {
            // The lock on the name, which is ours for the moment, and what the record has to tell.
            None | Some(".lock" | ".json") => false,
            Some(ending) => is_socket || ending == ".json.new" || ending.strip_suffix(".lock").is_some(),
        };
        if is_left && !(is_socket && life::is_served(&path)) {
            let _ = dir.remove(&path);
        }
    }
    drop(lock);
    ended
}

/// Removes what a dead VM left whose name is locked, and tells what is known of it. What is left may also belong to a living one
/// that outlived its launcher.
///
/// # Errors
///
/// [`Error::NameTaken`] if it lives.
pub(crate) fn clear(dir: &SocketDir, name: &str) -> Result<Option<Ended>, Error> {
    let taken = |by| Err(Error::NameTaken { name: name.to_owned(), by });
    let ended = match Record::read_in(dir, name) {
        Ok(Some(record)) => match record.life() {
            life::Life::Process(process) => return taken(format!("process {}", process.pid())),
            life::Life::OutOfSight => {
                return taken(format!("a process that listens at {}", record.socket.display()));
            }
            life::Life::Gone => {
                let ended = Ended::of(dir, &record);
                record.remove_files(dir);
                Some(ended)
            }
        },
        Ok(None) => None,
        // Half a record, or one of another release: the socket tells whether anybody lives.
        Err(_) => {
            remove(dir, &dir.file(name, ".json"))?;
            None
        }
    };
    let socket = dir.file(name, ".sock");
    match socket.symlink_metadata() {
        Ok(facts) if facts.file_type().is_socket() => {
            if life::is_served(&socket) {
                return taken(format!("a process that listens at {}", socket.display()));
            }
            remove(dir, &socket)?;
        }
        Ok(_) => return taken(format!("{}, which is not a socket", socket.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(Error::Io { action: "look at", path: socket, source }),
    }
    Ok(ended)
}

fn remove(dir: &SocketDir, file: &Path) -> Result<(), Error> {
    dir.remove(file).map_err(|source| Error::Io {
        action: "remove what a dead VM left:",
        path: file.into(),
        source,
    })
}

impl Ended {
    fn of(dir: &SocketDir, record: &Record) -> Self {
        let log = dir.file(&record.name, ".log");
        let log = if record.files.contains(&log) { last_lines(&log).unwrap_or_default() } else { Vec::new() };
        Self {
            name: record.name.clone(),
            pid: Some(record.pid).filter(|&pid| pid != 0),
            detached: record.detached,
            log,
        }
    }
}

fn last_lines(path: &Path) -> io::Result<Vec<String>> {
    let mut file = open_regular(path, OpenOptions::new().read(true))?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_END)))?;
    let mut end = Vec::new();
    file.take(LOG_END).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    Ok(lines[lines.len().saturating_sub(LOG_LINES)..].to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_file_belongs_to_one_vm() {
        let owners = [
            ("web.json", Some("web")),
            ("web.json.new", Some("web")),
            ("web.lock", Some("web")),
            ("web.sock", Some("web")),
            ("web.console0.sock", Some("web")),
            ("web.agent.sock", Some("web")),
            ("web.agent.lock", Some("web")),
            ("a.b.sock", Some("a.b")),
            ("web.plan.json", None),
            ("web.plan.new", None),
            ("web.vars.fd", None),
            ("web.log", None),
            ("notes", None),
        ];
        for (file, name) in owners {
            assert_eq!(owner(file), name, "{file}");
        }
    }

    #[test]
    fn what_nobody_owns_goes_and_the_rest_stays() {
        let base = tempfile::tempdir().expect("a directory");
        let path = |name: &str| base.path().join(name);
        for name in ["dead.sock", "dead.console0.sock", "dead.agent.sock"] {
            drop(UnixListener::bind(path(name)).expect("bound"));
        }
        for name in [
            "dead.lock",
            "dead.agent.lock",
            "half.json",
            "half.json.new",
            "kept.plan.json",
            "dead.vars.fd",
            "notes",
            "odd.sock",
        ] {
            fs::write(path(name), "{").expect("written");
        }
        let _alive = UnixListener::bind(path("alive.sock")).expect("bound");
        let dir = SocketDir::open(base.path()).expect("ours");
        let _launching = NameLock::acquire(&dir, "launching").expect("free");
        drop(UnixListener::bind(path("launching.sock")).expect("bound"));
        assert_eq!(sweep(base.path()).expect("swept"), []);
        let mut left = dir.list().expect("readable");
        left.sort();
        assert_eq!(
            left,
            [
                "alive.sock",
                "dead.vars.fd",
                "kept.plan.json",
                "launching.lock",
                "launching.sock",
                "notes",
                "odd.sock"
            ]
        );
        assert_eq!(sweep(&path("none")).expect("clean"), []);
    }
}
