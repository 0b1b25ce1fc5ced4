//! `edit`: edits a machine's config, and saves it if it is valid.

use std::io::{self, IsTerminal, Write};
use std::process::Command;

use qemuctl::home::StoredMachine;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::Named;

/// Edit a machine's config in an editor
///
/// The editor is $VISUAL, or else $EDITOR, or else vi. Problems are reported, and only a valid config is saved. A
/// running machine uses it after its next start.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let machine = args.named.machine()?;
    // A config that is already invalid can still be edited.
    let before = std::fs::read_to_string(machine.config_path())?;
    let mut draft =
        tempfile::Builder::new().prefix(".edit.").suffix(".toml").tempfile_in(machine.folder())?;
    draft.write_all(before.as_bytes())?;
    draft.flush()?;
    loop {
        open_editor(draft.path())?;
        let text = std::fs::read_to_string(draft.path())?;
        if text == before {
            context.note(format_args!("{} is unchanged", machine.name()));
            return Ok(Exit::Done);
        }
        let failure = match save(&machine, &before, &text) {
            Ok(()) => break,
            Err(failure) => failure,
        };
        if failure.exit == Exit::BadConfig && io::stdin().is_terminal() {
            context.fail(&failure);
            if is_to_be_edited_again()? {
                continue;
            }
        }
        // Keep the text, so that the work is not lost.
        let (_, path) = draft.keep().map_err(|error| error.error)?;
        let help = format!("{} was not changed; your text is in {}", machine.name(), path.display());
        return Err(failure.with_help(help));
    }
    context.note(format_args!("changed {}", machine.name()));
    Ok(Exit::Done)
}

fn save(machine: &StoredMachine, before: &str, text: &str) -> Result<(), Failure> {
    let lock = machine.lock()?;
    if std::fs::read_to_string(machine.config_path())? != before {
        let text = format!("{} was changed by another command in the meantime", machine.name());
        return Err(Failure::new(Exit::Failed, text));
    }
    Ok(machine.write(&lock, text)?)
}

fn open_editor(path: &std::path::Path) -> Result<(), Failure> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    // The editor may have arguments, such as `code --wait`. The path is passed as an argument, never parsed by the
    // shell.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "eval \"$EDITOR_COMMAND\" '\"$1\"'", "sh"]).arg(path).env("EDITOR_COMMAND", &editor);
    let ended = command.status()?;
    if ended.success() {
        return Ok(());
    }
    let text = format!("the editor `{}` failed ({ended})", editor.display());
    Err(Failure::new(Exit::Failed, text).with_help("choose another editor with EDITOR"))
}

fn is_to_be_edited_again() -> io::Result<bool> {
    let mut out = io::stderr().lock();
    write!(out, "edit it again? [Y/n] ")?;
    out.flush()?;
    let mut answer = String::new();
    let count = io::stdin().read_line(&mut answer)?;
    Ok(count > 0 && !answer.trim().to_ascii_lowercase().starts_with('n'))
}
