//! Cargo's subcommands that the packaging needs: those of the user, else compiled once into the cache.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::run::{self, cargo};
use crate::{places, system};

/// The program `name`, if it is there.
pub fn installed(name: &str) -> Result<Option<PathBuf>> {
    let ours = places::cache()?.join("tools/bin").join(name);
    Ok(system::find(name).or_else(|| ours.exists().then_some(ours)))
}

/// The program `name`, compiled from crates.io if it is not there.
pub fn ensure(name: &str, version: &str) -> Result<PathBuf> {
    if let Some(program) = installed(name)? {
        return Ok(program);
    }
    let root = places::cache()?.join("tools");
    eprintln!("compiling {name} {version}, once");
    let mut command = cargo(["install", "--quiet", "--locked", "--debug", "--version", version, name]);
    // It keeps nothing that we compile, and must not wait for our builds.
    command.arg("--root").arg(&root).env_remove("CARGO_TARGET_DIR").env("CARGO_PROFILE_DEV_DEBUG", "0");
    run::run(&mut command)?;
    installed(name)?.with_context(|| format!("{name} was installed but is not in {}", root.display()))
}
