//! The packages of the workspace that others can depend on.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::run::{self, cargo};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A package with a library.
#[derive(Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub features: BTreeMap<String, Vec<String>>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// The packages of the workspace that have a library.
pub fn libraries() -> Result<Vec<Package>> {
    let mut command: Command = cargo(["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Metadata =
        serde_json::from_str(&run::output(&mut command)?).context("cannot read cargo's metadata")?;
    let is_library =
        |package: &Package| package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "lib"));
    Ok(metadata.packages.into_iter().filter(is_library).collect())
}
