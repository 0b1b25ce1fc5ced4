//! `schema`: what a config file may hold, for editors and other programs.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

/// The schema of this version's configs. `tests/schema.rs` keeps it true.
const SCHEMA: &str = include_str!("../../schema/vm-1.json");

/// Print the JSON Schema of config files, by which editors complete and check
///
/// In TOML, for editors with Even Better TOML or taplo, the first line of a config names it: `#:schema ./vm-1.json`. In
/// JSON: `"$schema": "./vm-1.json"`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, context: &Context) -> Result<Exit, Failure> {
    context.print(SCHEMA.trim_end())?;
    Ok(Exit::Done)
}
