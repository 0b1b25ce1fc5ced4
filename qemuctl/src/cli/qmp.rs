//! `qmp`: sends a QMP command.

use qemuctl::{Error, Instance, qmp_client::ClientError};
use qmp_proto::{ErrorClass, QueryCommands};
use serde_json::Value;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::input::Input;
use super::vm::Vm;

/// Send a QMP command and print the reply as JSON
///
/// For example `qemuctl qmp web query-status`, or `qemuctl qmp web device_del '{"id": "net1"}'`. Other users of the
/// host can see command lines, so pass passwords on standard input or in a file.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// QMP command, such as query-block
    command: String,

    /// Arguments as a JSON object, - to read them from standard input, or @FILE from a file
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

/// Adds the nearest command's name to the error about an unknown command.
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

/// Parses the arguments, which have to be an object.
fn object(text: &str) -> Result<Value, Failure> {
    let example = "give an object in single quotes: '{\"id\": \"net1\"}'";
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(Failure::new(Exit::Usage, "the arguments are not a JSON object").with_help(example)),
        // The error does not quote the text, which may contain a secret.
        Err(error) => Err(Failure::new(Exit::Usage, format!("the arguments are not valid JSON: {error}"))
            .with_help(example)),
    }
}

/// Whether a command's arguments contain a password, judged by their names.
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
