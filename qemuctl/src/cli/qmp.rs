//! `qmp`: one command of QEMU's own protocol.

use qemuctl::{ClientError, Error, Instance};
use qmp_proto::{ErrorClass, QueryCommands};
use serde_json::Value;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// Send a QMP command and print the reply as JSON
///
/// For example `qemuctl qmp web query-status`, or `qemuctl qmp web device_del '{"id": "net1"}'`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// The command, such as query-block
    command: String,

    /// Its arguments as a JSON object
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let arguments = args.arguments.as_deref().map(object).transpose()?;
    let vm = args.vm.attach(context).await?;
    let reply = match vm.execute_raw(&args.command, arguments).await {
        Ok(reply) => reply,
        Err(error) => return Err(explain(error, &vm, &args.command).await),
    };
    context.print_json(&reply)?;
    Ok(Exit::Done)
}

/// A command that this QEMU does not have is answered with the one that may have been meant.
async fn explain(error: Error, vm: &Instance, command: &str) -> Failure {
    let unknown =
        matches!(&error, Error::Qmp(ClientError::Refused { class: ErrorClass::CommandNotFound, .. }));
    let failure = Failure::from(error);
    if !unknown {
        return failure;
    }
    let known = vm.execute(QueryCommands {}).await.unwrap_or_default();
    match qemuctl::config::nearest(command, known.iter().map(|known| known.name.as_str())) {
        Some(nearest) => failure.with_help(format!("did you mean `{nearest}`?")),
        None => failure.with_help(format!("`qemuctl qmp {} query-commands` lists all of them", vm.name())),
    }
}

/// Reads the arguments; QEMU takes an object only.
fn object(text: &str) -> Result<Value, Failure> {
    let example = "write an object in single quotes: '{\"id\": \"net1\"}'";
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => {
            let text = format!("the arguments {text} are JSON, but not an object");
            Err(Failure::new(Exit::Usage, text).with_help(example))
        }
        Err(error) => {
            let text = format!("the arguments {text} are not JSON: {error}");
            Err(Failure::new(Exit::Usage, text).with_help(example))
        }
    }
}
