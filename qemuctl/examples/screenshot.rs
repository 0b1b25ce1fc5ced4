//! Wakes a VM's screen with a key and saves what it shows.
//!
//! `screenshot NAME FILE.png`: a running VM of this user's, with a display.

use std::error::Error;

use qemuctl::Instance;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [name, file] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: screenshot NAME FILE.png".into());
    };
    let vm = Instance::attach_name(name).await?;
    let picture = screen(&vm).await?;
    std::fs::write(file, picture)?;
    Ok(())
}

/// The screen, as PNG.
///
/// # Errors
///
/// [`qemuctl::Error::Missing`] if the VM has no screen.
pub async fn screen(vm: &Instance) -> Result<Vec<u8>, qemuctl::Error> {
    // Most guests switch their screen off when nobody types.
    vm.send_keys(["shift"]).await?;
    vm.screenshot().await
}
