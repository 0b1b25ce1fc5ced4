//! Whether a board starts, asked of the binary.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::{FileIdentity, Probe, Slot, session};
use crate::{DiscoveryError, Places};

/// Options whose argument is a file.
const FILES: [&str; 4] = ["-bios", "-kernel", "-initrd", "-dtb"];

impl Probe {
    /// Whether QEMU starts with these arguments, which make a board without devices; see
    /// [`Plan::bare_board`](qemu_argv::Plan::bare_board). `None`: it does. Else what QEMU says about it.
    ///
    /// The guest does not run. The binary is asked the first time, some tenths of a second; then the answer is kept, for as long as
    /// the binary and the files that the arguments name stay the same.
    ///
    /// # Errors
    ///
    /// As [`probe`](super::probe).
    ///
    /// # Cancel safety
    ///
    /// As [`probe`](super::probe).
    pub async fn refuses_board(
        &self,
        args: impl Iterator<Item = &OsStr>,
    ) -> Result<Option<String>, DiscoveryError> {
        self.refuses_board_in(&Places::host(), args).await
    }

    /// [`refuses_board`](Self::refuses_board) with the cache of a given host.
    ///
    /// # Errors
    ///
    /// As [`probe`](super::probe).
    pub async fn refuses_board_in(
        &self,
        places: &Places,
        args: impl Iterator<Item = &OsStr>,
    ) -> Result<Option<String>, DiscoveryError> {
        let args: Vec<OsString> = args.map(OsStr::to_owned).collect();
        let named = args.windows(2).filter(|pair| FILES.iter().any(|option| pair[0] == *option));
        let files: Vec<_> = named.map(|pair| FileIdentity::of_any(PathBuf::from(&pair[1]))).collect();
        let key = (self.identity.clone(), args, files);
        let slot = Slot::new(places, "board", (&self.binary, &key.1));
        if let Some(answer) = slot.load(&key) {
            return Ok(answer);
        }
        let answer = session::refusal(&self.binary, &key.1).await?;
        slot.store(&key, &answer);
        Ok(answer)
    }
}
