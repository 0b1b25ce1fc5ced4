//! `send-key` and `type`: a VM's keyboard.

use qemuctl::Error;

use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// Send a key combination to a VM
///
/// For example `qemuctl send-key web ctrl alt delete`, or `ctrl-alt-f1` in one word. Common names and QEMU's are
/// accepted in upper or lower case: enter (ret), esc, space (spc), del, f1, up, a, 1 and so on.
#[derive(clap::Args, Debug)]
pub(crate) struct SendKey {
    #[command(flatten)]
    vm: Vm,

    /// Keys to press together
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

/// Type text into a VM (US keyboard layout)
#[derive(clap::Args, Debug)]
pub(crate) struct Type {
    #[command(flatten)]
    vm: Vm,

    /// Text to type
    #[arg(allow_hyphen_values = true)]
    text: String,

    /// Press the Enter key after the text
    #[arg(long)]
    enter: bool,

    /// Time for each character; raise it if a busy guest loses characters
    #[arg(long, value_name = "DURATION", default_value = "30ms")]
    pace: Span,
}

pub(crate) async fn send(args: SendKey, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let keys: Vec<&str> = args.keys.iter().flat_map(|keys| keys.split(['-', '+'])).collect();
    vm.send_keys(keys).await.map_err(|error| match error {
        error @ Error::Unsupported { .. } => Failure::from(error)
            .with_help("key names are QEMU's, such as ret, esc, spc, tab, f1, up, ctrl, alt, delete, a, 1"),
        error => error.into(),
    })?;
    Ok(Exit::Done)
}

pub(crate) async fn type_text(args: Type, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let text = if args.enter { format!("{}\n", args.text) } else { args.text };
    vm.type_text_at(args.pace.0, &text).await.map_err(|error| match error {
        error @ Error::Unsupported { .. } => {
            Failure::from(error).with_help("only ASCII characters can be typed with the US layout")
        }
        error => error.into(),
    })?;
    Ok(Exit::Done)
}
