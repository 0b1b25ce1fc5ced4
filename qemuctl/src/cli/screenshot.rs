//! `screenshot`: saves a VM's screen.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::ValueHint;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// Save a VM's screen as PNG
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// File to write, or - for standard output [default: NAME.png]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let to_output = args.file.as_deref().is_some_and(|file| file.as_os_str() == "-");
    if to_output && io::stdout().is_terminal() {
        let text = "standard output is a terminal, which cannot show a PNG";
        return Err(Failure::new(Exit::Usage, text).with_help("give a file name, or redirect the output"));
    }
    let vm = args.vm.attach(context).await?;
    if to_output {
        let picture = vm.screenshot().await?;
        let mut out = io::stdout().lock();
        out.write_all(&picture)?;
        out.flush()?;
        return Ok(Exit::Done);
    }
    let file = args.file.unwrap_or_else(|| format!("{}.png", vm.name()).into());
    vm.screenshot_to(&file).await?;
    context.note(format_args!("wrote {}", file.display()));
    Ok(Exit::Done)
}
