//! `qmp`: one command of QEMU's own protocol.

use qemuctl::{ClientError, Error, Instance};
use qmp_proto::{ErrorClass, QueryCommands};
use serde_json::Value;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::input::Input;
use super::vm::Vm;

/// Send a QMP command and print the reply as JSON
///
/// For example `qemuctl qmp web query-status`, or `qemuctl qmp web device_del '{"id": "net1"}'`. Other users of the host see
/// what is on a command line: passwords belong on standard input or in a file.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// The command, such as query-block
    command: String,

    /// Its arguments as a JSON object; -: from standard input; @FILE: from a file
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let arguments = match args.arguments.as_deref() {
        None => None,
        Some(text) => Some(if let Some(input) = Input::parse(text) {
            object(&input.read("the arguments").await?)?
        } else {
            let arguments = object(text)?;
            if holds_secret(&arguments) {
                context.warn(
                    "other users of this host could see the password on the command line; \
                     give the arguments with - (standard input) or @FILE",
                );
            }
            arguments
        }),
    };
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
            Err(Failure::new(Exit::Usage, "the arguments are JSON, but not an object").with_help(example))
        }
        // The text itself may be a secret.
        Err(error) => {
            Err(Failure::new(Exit::Usage, format!("the arguments are not JSON: {error}")).with_help(example))
        }
    }
}

/// Whether a command's arguments have a password in them, as far as their names tell.
fn holds_secret(arguments: &Value) -> bool {
    let is_secret = arguments["qom-type"].as_str().is_some_and(|kind| kind.starts_with("secret"));
    match arguments {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            (value.is_string()
                && ((name.contains("password") && !name.ends_with("secret"))
                    || (is_secret && name == "data")))
                || holds_secret(value)
        }),
        Value::Array(items) => items.iter().any(holds_secret),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn passwords_are_known_by_their_names() {
        assert!(holds_secret(&json!({"protocol": "vnc", "password": "x"})));
        assert!(holds_secret(&json!({"qom-type": "secret", "id": "a", "data": "x"})));
        assert!(holds_secret(&json!({"actions": [{"data": {"password": "x"}}]})));
        assert!(!holds_secret(&json!({"driver": "luks", "password-secret": "key0", "data": "x"})));
        assert!(!holds_secret(&json!({"id": "net1"})));
    }
}
