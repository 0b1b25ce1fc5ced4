//! `schema`: prints the JSON Schema of config files.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

/// The schema of this version, kept up to date by `tests/schema.rs`.
pub(crate) const SCHEMA: &str = include_str!("../../schema/vm-1.json");

/// Print the JSON Schema of config files
///
/// Editors use it to complete and check configs. In TOML, for editors with Even Better TOML or taplo, name it in the
/// first line: `#:schema ./vm-1.json`. In JSON, add `"$schema": "./vm-1.json"`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, context: &Context) -> Result<Exit, Failure> {
    context.print(SCHEMA.trim_end())?;
    Ok(Exit::Done)
}
