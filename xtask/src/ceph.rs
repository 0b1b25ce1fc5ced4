//! `cargo xtask ceph`: the tests of disks on Ceph, which need more programs than an ordinary run should fetch.

use anyhow::{Context, Result};

use crate::{qemus, servers, system, test};

/// Set Ceph up and run the tests of disks on a cluster of one node
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_: &Args) -> Result<()> {
    system::ensure()?;
    qemus::ensure(&[]).context("cannot set up the QEMU versions")?;
    servers::ensure().context("cannot set up the servers")?;
    servers::ensure_ceph().context("cannot set up Ceph")?;
    test::run_target("ceph", None)
}
