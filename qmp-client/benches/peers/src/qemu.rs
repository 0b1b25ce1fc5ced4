//! The QEMU that is talked to.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// A QEMU without a machine, ended when dropped.
pub struct Qemu {
    child: Child,
    pub program: PathBuf,
    pub path: PathBuf,
}

impl Qemu {
    pub fn start(program: &Path, directory: &Path) -> Result<Self> {
        let path = directory.join("qmp.sock");
        let child = Command::new(program)
            .args(["-machine", "none", "-nodefaults", "-display", "none", "-S", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", path.display()))
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let qemu = Self { child, program: program.to_owned(), path };
        let begin = Instant::now();
        while !qemu.path.exists() {
            ensure!(begin.elapsed().as_secs() < 30, "QEMU did not start");
            std::thread::yield_now();
        }
        Ok(qemu)
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
