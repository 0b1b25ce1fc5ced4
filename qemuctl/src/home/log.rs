//! Logs of limited size.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::runtime::open_regular;

/// The maximum size of a log, in bytes. Beyond that it is moved to `….1`, and a new one begins.
pub const LOG_LIMIT: u64 = 1 << 20;

/// `events.jsonl`.
#[derive(Debug)]
pub(super) struct EventLog {
    path: PathBuf,
    file: Option<File>,
}

impl EventLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Adds a line. Write errors, for example on a full disk, are ignored.
    pub(super) fn write(&mut self, event: &Value) {
        if self.add(event).is_err() {
            self.file = None;
        }
    }

    fn add(&mut self, event: &Value) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        if self.file.as_ref().map(File::metadata).transpose()?.is_some_and(|facts| facts.len() > LOG_LIMIT) {
            self.file = None;
            std::fs::rename(&self.path, older(&self.path))?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut options = OpenOptions::new();
                none.insert(open_regular(&self.path, options.create(true).append(true).mode(0o600))?)
            }
        };
        file.write_all(&line)
    }
}

/// Returns the path of the previous part of a log.
fn older(path: &Path) -> PathBuf {
    let mut older = path.as_os_str().to_owned();
    older.push(".1");
    older.into()
}

/// Truncates a log that another process appends to. Its end is moved to `….1`; data written at that very moment may be
/// lost.
pub(super) fn cut(path: &Path) -> io::Result<()> {
    let mut log = match open_regular(path, OpenOptions::new().read(true).write(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        log => log?,
    };
    let length = log.metadata()?.len();
    if length <= LOG_LIMIT {
        return Ok(());
    }
    let older = older(path);
    let draft = super::files::beside(&older);
    super::files::write_draft(&draft, b"")?;
    let mut copy = OpenOptions::new().append(true).open(&draft)?;
    // Without a keeper it may have grown to any size.
    log.seek(SeekFrom::Start(length.saturating_sub(LOG_LIMIT)))?;
    io::copy(&mut (&mut log).take(2 * LOG_LIMIT), &mut copy)?;
    std::fs::rename(&draft, &older)?;
    // Data added in the meantime.
    io::copy(&mut (&mut log).take(LOG_LIMIT), &mut copy)?;
    log.set_len(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_and_its_writer_goes_on() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("console.log");
        cut(&path).expect("there is none");
        let mut writer = OpenOptions::new().create(true).append(true).open(&path).expect("made");
        writer.write_all(&vec![b'a'; 1000]).expect("written");
        cut(&path).expect("short enough");
        assert_eq!(path.metadata().expect("there").len(), 1000);
        writer.write_all(&vec![b'b'; 3 << 20]).expect("written");
        cut(&path).expect("cut");
        writer.write_all(b"c").expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"c");
        let older = std::fs::read(base.path().join("console.log.1")).expect("there");
        assert_eq!((older.len() as u64, older.first()), (LOG_LIMIT, Some(&b'b')));
    }

    #[test]
    fn events_are_bounded() {
        let base = tempfile::tempdir().expect("a directory");
        let mut log = EventLog::new(base.path().join("events.jsonl"));
        let event = serde_json::json!({ "event": "X", "data": "x".repeat(1000) });
        for _ in 0..3000 {
            log.write(&event);
        }
        let sizes = base.path().read_dir().expect("readable").map(|entry| {
            let entry = entry.expect("readable");
            (entry.file_name().into_string().expect("text"), entry.metadata().expect("there").len())
        });
        let mut sizes: Vec<_> = sizes.collect();
        sizes.sort();
        assert_eq!(sizes.len(), 2, "{sizes:?}");
        assert!(sizes.iter().all(|(_, size)| *size < LOG_LIMIT + 2000), "{sizes:?}");
    }
}
