//! `hmp`: runs a command of the human monitor.

use qmp_proto::HumanMonitorCommand;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::input::Input;
use super::vm::Vm;

/// Run a command of QEMU's human monitor
///
/// For example `qemuctl hmp web info network`. Exits with 1 if the output says that the command failed. The wording
/// differs between versions of QEMU, so scripts should use `qemuctl qmp`.
///
/// Other users of the host can see command lines, so pass a command that contains a password on standard input.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Command to run, or - to read it from the first line of standard input
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let command = match args.command.as_slice() {
        [input] if input == "-" => Input::Line.read("the command").await?.to_string(),
        words => words.join(" "),
    };
    let command = HumanMonitorCommand::new(command);
    let said = vm.execute(command).await?.replace('\r', "");
    if let Some(error) = error_in(&said) {
        return Err(Failure::new(Exit::Failed, error));
    }
    context.show(&said, said.trim_end())?;
    Ok(Exit::Done)
}

/// The beginnings of error messages that are not marked as errors, in QEMU 7.2 and later.
const UNMARKED: [&str; 16] = [
    "unknown command: '",
    "unknown event \"",
    "unknown register",
    "invalid parameter: ",
    "invalid CPU index",
    "invalid char",
    "Invalid ",
    "Could not ",
    "Error opening ",
    "Too many boot devices",
    "Log items (comma separated):",
    "user mode network stack not in use",
    "no block device can store vmstate",
    "id or pci device path is invalid",
    "Device '",
    "'",
];

/// Returns the error in the monitor's output, if there is one.
fn error_in(said: &str) -> Option<&str> {
    let said = said.trim();
    let first = said.lines().find(|line| !line.starts_with("warning: "))?;
    if let Some(error) = first.strip_prefix("Error: ") {
        return Some(said.strip_prefix("Error: ").unwrap_or(error));
    }
    let unfit = said.lines().last().is_some_and(|line| line.starts_with("Try \"help "));
    let unmarked = UNMARKED.iter().any(|start| first.starts_with(start));
    (unfit || unmarked).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::error_in;

    #[test]
    fn the_monitors_errors_are_known_by_their_words() {
        let said = [
            "Error: Device 'nope' not found\r\n",
            "unknown command: 'info foo'\n",
            "sendkey: string expected\nTry \"help sendkey\" for more information\n",
            "user mode network stack not in use\n",
            "warning: 'x' is deprecated\nError: no such thing\n",
            "VM status: running\n",
            "",
            "warning: 'stopcapture' is deprecated since v10.2, to be removed\n",
            "R\nError: printed by the guest\n",
        ];
        let found = said.map(|text| error_in(text).unwrap_or("-"));
        insta::assert_snapshot!(found.join("\n"), @r#"
        Device 'nope' not found
        unknown command: 'info foo'
        sendkey: string expected
        Try "help sendkey" for more information
        user mode network stack not in use
        no such thing
        -
        -
        -
        -
        "#);
    }
}
