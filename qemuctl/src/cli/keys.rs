//! `send-key` and `type`: the keyboard of a VM.

use qemuctl::Error;

use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// Press keys of a VM's keyboard together and let them go
///
/// For example `qemuctl send-key web ctrl alt delete`, or `ctrl-alt-f1` in one word. The names are the usual ones or
/// QEMU's, in any case of letters: enter (ret), esc, space (spc), del, f1, up, a, 1 and so on.
#[derive(clap::Args, Debug)]
pub(crate) struct SendKey {
    #[command(flatten)]
    vm: Vm,

    /// The keys
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

/// Type text on a VM's keyboard, which is an American one
#[derive(clap::Args, Debug)]
pub(crate) struct Type {
    #[command(flatten)]
    vm: Vm,

    /// The text
    #[arg(allow_hyphen_values = true)]
    text: String,

    /// Press the Enter key after it
    #[arg(short, long)]
    enter: bool,

    /// The time for each character; a guest that is too busy to read its keyboard loses some
    #[arg(long, value_name = "DURATION", default_value = "30ms")]
    pace: Span,
}

pub(crate) async fn send(args: SendKey, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let keys: Vec<&str> = args.keys.iter().flat_map(|keys| keys.split(['-', '+'])).collect();
    vm.send_keys(keys).await.map_err(|error| match error {
        error @ Error::Unsupported { .. } => Failure::from(error)
            .with_help("the names are QEMU's, such as ret, esc, spc, tab, f1, up, ctrl, alt, delete, a, 1"),
        error => error.into(),
    })?;
    Ok(Exit::Done)
}

pub(crate) async fn type_text(args: Type, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let text = if args.enter { format!("{}\n", args.text) } else { args.text };
    vm.type_text_at(args.pace.0, &text).await.map_err(|error| match error {
        error @ Error::Unsupported { .. } => {
            Failure::from(error).with_help("an American keyboard has the characters of ASCII")
        }
        error => error.into(),
    })?;
    Ok(Exit::Done)
}
