//! Results cached in the user's cache directory.
//!
//! Any number of processes may read and write at once: a file is written under a temporary name and renamed, so a
//! reader sees the old or the new content. A file that is truncated, altered, of a different format or not owned by the
//! user is ignored and replaced. Nothing here fails: without a cache, the work is repeated.

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::unistd::Uid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Places;

/// The first word of each file. The number changes with the shape of what is stored.
const MAGIC: &str = concat!("qemuctl-cache-2-", env!("CARGO_PKG_VERSION"));

/// The longest file that is read. A probe takes about 60 KiB.
const MAX_BYTES: u64 = 16 << 20;

/// The place of one answer: a name made of what the answer depends on.
#[derive(Clone, Debug)]
pub(crate) struct Slot(Option<PathBuf>);

/// An answer with what it was found under; it holds as long as that is unchanged.
#[derive(Serialize, Deserialize)]
struct Entry<K, V> {
    key: K,
    value: V,
}

impl Slot {
    /// The slot for the answer of this kind about `subject`.
    pub(crate) fn new(places: &Places, kind: &str, subject: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        subject.hash(&mut hasher);
        Self(places.cache_dir.as_ref().map(|dir| dir.join(format!("{kind}-{:016x}", hasher.finish()))))
    }

    /// The answer that was stored under this very key.
    pub(crate) fn load<K: DeserializeOwned + PartialEq, V: DeserializeOwned>(&self, key: &K) -> Option<V> {
        let text = read_own(self.0.as_ref()?)?;
        let (head, body) = text.split_once('\n')?;
        if head != header(body) {
            return None;
        }
        let entry: Entry<K, V> = serde_json::from_str(body).ok()?;
        (entry.key == *key).then_some(entry.value)
    }

    /// Stores an answer. If that does not work, the next caller asks again.
    pub(crate) fn store<K: Serialize, V: Serialize>(&self, key: &K, value: &V) {
        let Some(path) = &self.0 else { return };
        let (Some(dir), Ok(body)) = (path.parent(), serde_json::to_string(&Entry { key, value })) else {
            return;
        };
        let written = private_dir(dir).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(dir).ok()?;
            writeln!(file, "{}", header(&body)).ok()?;
            file.write_all(body.as_bytes()).ok()?;
            file.persist(path).ok()
        });
        drop(written);
    }

    /// Holds other processes off while the answer is found, so that a hundred starts at once ask once.
    ///
    /// It is a courtesy, not a safeguard: after `patience`, or where locks do not work, the caller goes on alone.
    pub(crate) async fn lock(&self, patience: Duration) -> Option<Flock<File>> {
        let path = self.0.as_ref()?.with_extension("lock");
        let waiting = tokio::task::spawn_blocking(move || {
            private_dir(path.parent()?)?;
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path)
                .ok()?;
            Flock::lock(file, FlockArg::LockExclusive).ok()
        });
        tokio::time::timeout(patience, waiting).await.ok()?.ok()?
    }
}

fn header(body: &str) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("{MAGIC} {} {:016x}", body.len(), hasher.finish())
}

/// The text of a regular file that belongs to the caller; a symbolic link is not followed.
fn read_own(path: &Path) -> Option<String> {
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.uid() != Uid::effective().as_raw() || metadata.len() > MAX_BYTES {
        return None;
    }
    let mut text = String::with_capacity(usize::try_from(metadata.len()).ok()?);
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Makes the folder if need be. Only one that belongs to the caller and that nobody else can write to will do.
pub(crate) fn private_dir(dir: &Path) -> Option<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).ok()?;
    let metadata = dir.symlink_metadata().ok()?;
    let private =
        metadata.is_dir() && metadata.uid() == Uid::effective().as_raw() && metadata.mode() & 0o022 == 0;
    private.then_some(())
}

/// What tells one state of a file from another, without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FileIdentity {
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    mtime_ns: i128,
}

impl FileIdentity {
    /// The identity of whatever is at `path`, nothing included: that it appears later is a change as well.
    pub(crate) fn of_any(path: PathBuf) -> Self {
        Self::of(&path).unwrap_or(Self { path, device: 0, inode: 0, size: 0, mtime_ns: 0 })
    }

    /// Whether the file is as it was.
    pub(crate) fn still_holds(&self) -> bool {
        Self::of_any(self.path.clone()) == *self
    }

    /// The identity of the file that `path` leads to.
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn slot() -> (tempfile::TempDir, Places, Slot) {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        let slot = Slot::new(&places, "test", "subject");
        (dir, places, slot)
    }

    fn load(slot: &Slot) -> Option<Vec<String>> {
        slot.load(&"key".to_owned())
    }

    fn stored(slot: &Slot) -> Option<Vec<String>> {
        slot.store(&"key", &["value"]);
        load(slot)
    }

    #[test]
    fn an_answer_comes_back_under_its_key_alone() {
        let (_dir, places, slot) = slot();
        assert_eq!(load(&slot), None);
        assert_eq!(stored(&slot), Some(vec!["value".into()]));
        assert_eq!(slot.load::<String, Vec<String>>(&"other key".into()), None);
        let dir = places.cache_dir.unwrap();
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let files: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap()).collect();
        assert_eq!(files.iter().map(|file| file.mode() & 0o777).collect::<Vec<_>>(), [0o600]);
    }

    #[test]
    fn every_damage_is_noticed_and_mended() {
        let (_dir, _places, slot) = slot();
        stored(&slot);
        let path = slot.0.clone().unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(load(&slot), None, "cut off after {length} bytes");
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x11;
            fs::write(&path, damaged).unwrap();
            assert_eq!(load(&slot), None, "byte {place} altered");
        }
        assert_eq!(stored(&slot), Some(vec!["value".into()]));
    }

    #[test]
    fn what_others_may_have_planted_is_not_believed() {
        let (dir, places, slot) = slot();
        stored(&slot);
        let path = slot.0.clone().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert_eq!(load(&slot), None);
        // Storing replaces the link and leaves the file behind it alone.
        let before = fs::read(&elsewhere).unwrap();
        slot.store(&"key", &["new value"]);
        assert_eq!((load(&slot), fs::read(&elsewhere).unwrap()), (Some(vec!["new value".into()]), before));
        fs::set_permissions(places.cache_dir.unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
        slot.store(&"key", &["newest value"]);
        assert_eq!(load(&slot), Some(vec!["new value".into()]));
    }

    #[test]
    fn without_a_folder_nothing_is_kept_and_nothing_fails() {
        let dir = tempfile::tempdir().unwrap();
        let mut places = Places::below(dir.path());
        places.cache_dir = None;
        assert_eq!(stored(&Slot::new(&places, "test", 1)), None);
        fs::write(dir.path().join("file"), "").unwrap();
        places.cache_dir = Some(dir.path().join("file/cache"));
        assert_eq!(stored(&Slot::new(&places, "test", 1)), None);
    }

    #[test]
    fn many_writers_and_readers_never_meet_a_half_written_answer() {
        let (_dir, _places, slot) = slot();
        slot.store(&"key", &vec!["0"; 2000]);
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let slot = &slot;
                scope.spawn(move || {
                    for _ in 0..50 {
                        slot.store(&"key", &vec![writer.to_string(); 2000]);
                    }
                });
                scope.spawn(move || {
                    for _ in 0..200 {
                        let values = load(slot).expect("always one whole answer");
                        assert!(values.len() == 2000 && values.iter().all(|value| *value == values[0]));
                    }
                });
            }
        });
    }

    #[tokio::test]
    async fn a_lock_is_waited_for_but_not_for_ever() {
        let (_dir, _places, slot) = slot();
        let first = slot.lock(Duration::from_secs(10)).await;
        assert!(first.is_some());
        assert!(slot.lock(Duration::from_millis(20)).await.is_none());
        drop(first);
        assert!(slot.lock(Duration::from_secs(10)).await.is_some());
    }
}
