//! The command line: subcommands and their dispatch.

mod agent;
mod argv;
mod block;
mod boot;
mod change;
mod check;
mod complete;
mod completions;
mod confirm;
mod console;
mod context;
mod cp;
mod doctor;
mod duration;
mod events;
mod examples;
mod exec;
mod exit;
mod failure;
mod fields;
mod help;
mod hmp;
mod home;
mod image;
mod images;
mod import;
mod input;
mod keeper;
mod keys;
mod kill;
mod launch;
mod list;
mod loaded;
mod machine;
mod manual;
mod menu;
mod power;
mod progress;
mod qmp;
mod run;
mod save;
mod schema;
mod screenshot;
mod signals;
mod snapshot;
mod ssh;
mod start;
mod started;
mod status;
mod stop;
mod table;
mod terminal;
mod throttle;
mod topology;
mod uptime;
mod vm;
mod vnc;
mod wait;
mod ways;
mod window;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::CompleteEnv;

use context::Context;
use exit::Exit;
use failure::Failure;
use power::Action;
use vm::Vm;

/// Run, watch and control QEMU virtual machines, without a daemon
#[derive(Parser, Debug)]
#[command(name = "qemuctl", version, propagate_version = true, max_term_width = 100, after_long_help = exit::HELP, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    context: Context,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Args),
    Create(home::create::Args),
    Start(start::Args),
    #[command(visible_alias = "ps")]
    List(list::Args),
    Status(status::Args),
    Info(home::info::Args),
    Logs(home::logs::Args),
    Stop(stop::Args),
    Restart(home::restart::Args),
    Kill(kill::Args),
    Set(home::set::Args),
    Edit(home::edit::Args),
    Rename(home::rename::Args),
    Clone(home::clone::Args),
    Rm(home::rm::Args),
    Adopt(home::adopt::Args),
    /// Pause a VM
    Pause {
        #[command(flatten)]
        vm: Vm,
    },
    /// Resume a paused VM
    #[command(visible_alias = "unpause")]
    Resume {
        #[command(flatten)]
        vm: Vm,
    },
    /// Reset a VM, like its reset button
    Reset {
        #[command(flatten)]
        vm: Vm,
    },
    /// Wake a guest from suspend
    Wake {
        #[command(flatten)]
        vm: Vm,
    },
    Wait(wait::Args),
    Events(events::Args),
    Qmp(qmp::Args),
    Hmp(hmp::Args),
    Exec(exec::Args),
    Cp(cp::Args),
    Ssh(ssh::Args),
    SshConfig(ssh::ConfigArgs),
    Console(console::Args),
    Screenshot(screenshot::Args),
    SendKey(keys::SendKey),
    Type(keys::Type),
    Block(block::Args),
    Forward(change::forward::Args),
    Nic(change::devices::Nics),
    Usb(change::devices::Usb),
    Memory(change::capacity::Memory),
    Cpus(change::capacity::Cpus),
    Throttle(throttle::Args),
    Image(images::Args),
    Snapshot(snapshot::Args),
    Save(save::Save),
    Restore(save::Restore),
    Vnc(vnc::Args),
    Argv(argv::Args),
    Import(import::Args),
    Check(check::Args),
    Topology(topology::Args),
    Schema(schema::Args),
    Doctor(doctor::Args),
    Completions(completions::Completions),
    Man(completions::Manual),
    Help(help::Args),
}

impl Command {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Run(args) => Box::pin(run::run(args, context)).await,
            Self::Create(args) => home::create::run(args, context).await,
            Self::Start(args) => Box::pin(start::run(args, context)).await,
            Self::Info(args) => home::info::run(args, context).await,
            Self::Logs(args) => home::logs::run(args, context).await,
            Self::Restart(args) => home::restart::run(args, context).await,
            Self::Set(args) => home::set::run(&args, context),
            Self::Edit(args) => home::edit::run(&args, context),
            Self::Rename(args) => home::rename::run(&args, context),
            Self::Clone(args) => home::clone::run(args, context).await,
            Self::Rm(args) => home::rm::run(args, context).await,
            Self::Adopt(args) => home::adopt::run(args, context).await,
            Self::List(args) => list::run(args, context).await,
            Self::Status(args) => status::run(args, context).await,
            Self::Stop(args) => stop::run(args, context).await,
            Self::Kill(args) => kill::run(args, context).await,
            Self::Wake { vm } => power::run(&vm, Action::Wake, context).await,
            Self::Pause { vm } => power::run(&vm, Action::Pause, context).await,
            Self::Resume { vm } => power::run(&vm, Action::Resume, context).await,
            Self::Reset { vm } => power::run(&vm, Action::Reset, context).await,
            Self::Wait(args) => wait::run(args, context).await,
            Self::Events(args) => events::run(args, context).await,
            Self::Qmp(args) => qmp::run(args, context).await,
            Self::Hmp(args) => hmp::run(args, context).await,
            Self::Exec(args) => exec::run(args, context).await,
            Self::Cp(args) => cp::run(args, context).await,
            Self::Ssh(args) => ssh::run(args, context).await,
            Self::SshConfig(args) => ssh::config(args, context).await,
            Self::Console(args) => console::run(args, context).await,
            Self::Screenshot(args) => screenshot::run(args, context).await,
            Self::SendKey(args) => keys::send(args, context).await,
            Self::Type(args) => keys::type_text(args, context).await,
            Self::Block(args) => block::run(args, context).await,
            Self::Forward(args) => change::forward::run(args, context).await,
            Self::Nic(args) => change::devices::nics(args, context).await,
            Self::Usb(args) => change::devices::usb_devices(args, context).await,
            Self::Memory(args) => change::capacity::memory(args, context).await,
            Self::Cpus(args) => change::capacity::cpus(args, context).await,
            Self::Throttle(args) => throttle::run(args, context).await,
            Self::Image(args) => images::run(args, context).await,
            Self::Snapshot(args) => snapshot::run(args, context).await,
            Self::Save(args) => Box::pin(save::save(args, context)).await,
            Self::Restore(args) => Box::pin(save::restore(args, context)).await,
            Self::Vnc(args) => vnc::run(args, context).await,
            Self::Argv(args) => argv::run(args, context).await,
            Self::Import(args) => import::run(&args, context),
            Self::Check(args) => check::run(args, context).await,
            Self::Topology(args) => topology::run(args, context).await,
            Self::Schema(args) => schema::run(&args, context),
            Self::Doctor(args) => doctor::run(args, context).await,
            Self::Completions(args) => completions::completions(&args),
            Self::Man(args) => completions::manual(&args, Cli::command()),
            Self::Help(args) => help::run(&args, Cli::command(), context),
        }
    }
}

/// Whether the file descriptors that an async runtime needs can be opened; without them it panics.
fn check_room() -> std::io::Result<()> {
    let pipes: Result<Vec<_>, _> = (0..DESCRIPTORS.div_ceil(2)).map(|_| std::io::pipe()).collect();
    pipes.map(drop)
}

/// The number opened by the runtimes of this program and of its signals.
const DESCRIPTORS: usize = 10;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    // If the shell asks for completions through the environment, prints them and exits.
    CompleteEnv::with_factory(Cli::command).complete();
    let Cli { context, command } = Cli::parse();
    context.set_up();
    if let Err(error) = check_room() {
        let failure = Failure::of(Exit::Failed, &error)
            .with_help("raise the limit on open files, for example with `ulimit -n 1024`");
        context.fail(&failure);
        return failure.exit.into();
    }
    // One thread is enough, and QEMU is tied to the lifetime of the thread that starts it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Failure::from).and_then(|runtime| {
        let done = runtime.block_on(command.run(&context));
        // Do not wait for a thread that blocks on input.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !failure.is_silent() {
                context.fail(&failure);
            }
            failure.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds the letters of a command's options, and those of its subcommands.
    fn letters(command: &clap::Command, found: &mut std::collections::BTreeMap<char, String>) {
        for option in command.get_arguments() {
            let (Some(letter), Some(long)) = (option.get_short(), option.get_long()) else { continue };
            let meaning = found.entry(letter).or_insert_with(|| long.to_owned());
            assert_eq!(meaning, long, "-{letter} of {}", command.get_name());
        }
        command.get_subcommands().for_each(|one| letters(one, found));
    }

    #[test]
    fn a_letter_has_one_meaning() {
        letters(&Cli::command(), &mut std::collections::BTreeMap::new());
    }

    #[test]
    fn every_subcommand_has_examples_that_are_valid() {
        for name in Cli::command().get_subcommands().map(clap::Command::get_name) {
            assert!(!examples::of(name).is_empty(), "{name}");
        }
        for (name, example) in examples::all() {
            let command = example.split(['|', '<', '>']).next().unwrap_or_default();
            let words = command.split('\'').enumerate().flat_map(|(number, part)| {
                let quoted = number % 2 == 1;
                if quoted { vec![part] } else { part.split_whitespace().collect() }
            });
            let words: Vec<&str> = words.collect();
            assert!(name.is_empty() || words[1] == name, "{example}");
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{example}: {error}");
            }
        }
    }
}
