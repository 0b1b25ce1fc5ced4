//! Files that only their owner can read.

use std::path::Path;

use crate::error::Error;
use crate::runtime::write_private;

/// Writes a file as a whole.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let failed = |source| Error::Io { action: "write", path: path.to_owned(), source };
    write_private(Path::new(&draft), path, content).map_err(failed)
}
