//! `forward`: forwards host ports to a running VM.

use qemu_argv::{HostForward, Transport};
use qemuctl::Instance;
use qemuctl::control::ForwardedPort;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::machine;
use super::super::vm::Vm;
use super::super::ways::Ways;

/// Forward host ports to a running VM with a user-mode network
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// List the forwarded ports
    List {
        #[command(flatten)]
        vm: Vm,
    },
    /// Forward a port. The change is not written to the config
    Add(Add),
    /// Stop forwarding a port
    Remove(Remove),
}

#[derive(clap::Args, Debug)]
struct Add {
    #[command(flatten)]
    vm: Vm,

    /// [ADDRESS:]HOST:GUEST[/udp], such as 2222:22; host port 0 takes any free port
    #[arg(required = true, value_name = "PORTS", value_parser = machine::forward)]
    ports: Vec<HostForward>,

    /// The network's id, such as net0 [default: the first user-mode network]
    #[arg(long, value_name = "ID")]
    network: Option<String>,
}

#[derive(clap::Args, Debug)]
struct Remove {
    #[command(flatten)]
    vm: Vm,

    /// Host ports: PORT[/udp]
    #[arg(required = true, value_name = "PORT", value_parser = host_port)]
    ports: Vec<(u16, Transport)>,
}

/// Parses `PORT[/udp]`.
fn host_port(text: &str) -> Result<(u16, Transport), String> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let transport = match protocol {
        "tcp" => Some(Transport::Tcp),
        "udp" => Some(Transport::Udp),
        _ => None,
    };
    let port = port.parse().ok().filter(|port| *port > 0);
    port.zip(transport).ok_or_else(|| "expected for example 2222 or 5353/udp".to_owned())
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.action {
        Action::List { vm } => {
            let vm = vm.attach(context).await?;
            show(&vm, context).await
        }
        Action::Add(args) => {
            let vm = args.vm.attach(context).await?;
            for port in &args.ports {
                let added = vm.add_forward(args.network.as_deref(), port).await?;
                context.note(format_args!(
                    "forwarded {} to port {} of {}",
                    added.host,
                    added.guest.port(),
                    vm.name()
                ));
            }
            if context.json { show(&vm, context).await } else { Ok(Exit::Done) }
        }
        Action::Remove(args) => {
            let vm = args.vm.attach(context).await?;
            for (port, transport) in args.ports {
                let removed = find(&vm, port, transport).await?;
                vm.remove_forward(&removed).await?;
                context.note(format_args!("stopped forwarding {} to {}", removed.host, vm.name()));
            }
            Ok(Exit::Done)
        }
    }
}

async fn show(vm: &Instance, context: &Context) -> Result<Exit, Failure> {
    let ways = Ways::of(vm).await;
    if context.json {
        context.print_json(&ways.ports)?;
    } else if ways.ports.is_empty() {
        context.note(format_args!("no ports are forwarded to {}", vm.name()));
    } else {
        let lines: Vec<_> = ways.ports.iter().map(super::super::ways::Port::told).collect();
        context.print(lines.join("\n"))?;
    }
    Ok(Exit::Done)
}

/// Finds the forwarding of a host port.
async fn find(vm: &Instance, port: u16, transport: Transport) -> Result<ForwardedPort, Failure> {
    let ports = vm.forwarded_ports().await?;
    let is_it = |found: &&ForwardedPort| found.host.port() == port && found.transport == transport;
    ports.iter().find(is_it).cloned().ok_or_else(|| {
        let known: Vec<_> = ports.iter().map(|port| port.host.port().to_string()).collect();
        let failure = Failure::new(Exit::Failed, format!("port {port} is not forwarded to {}", vm.name()));
        if known.is_empty() {
            failure
        } else {
            failure.with_help(format!("the ports are: {}", known.join(", ")))
        }
    })
}
