//! `vnc`: the address and password of a VM's VNC server.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::ValueHint;
use qemuctl::qmp_client::ClientError;
use qemuctl::{Error, control::Expiry};
use qmp_proto::{QueryVnc, QueryVncServers};
use serde::Serialize;

use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::input::Input;
use super::vm::Vm;

/// Show a VM's VNC address, or set its password
///
/// The password is never an argument, since other users of the host can see those.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Ask for a new password on the terminal, without echo
    #[arg(long, group = "new")]
    password: bool,

    /// Read the new password from the first line of standard input
    #[arg(long, group = "new")]
    password_stdin: bool,

    /// Read the new password from a file, without the final newline
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "new")]
    password_file: Option<PathBuf>,

    /// Lifetime of the password; 0 expires it now [default: unchanged]
    #[arg(long, value_name = "DURATION")]
    expire: Option<Span>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Server {
    /// Whether there is a VNC server.
    enabled: bool,
    /// The address it listens on, such as `127.0.0.1:5901`.
    address: Option<String>,
    /// The authentication of clients, such as `none` or `vnc`.
    auth: Option<String>,
    /// The connected clients.
    clients: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let input = match &args.password_file {
        Some(file) => Some(Input::File(file.clone())),
        None if args.password && !io::stdin().is_terminal() => {
            return Err(Failure::new(
                Exit::Usage,
                "--password requires a terminal, and standard input is not one",
            )
            .with_help("use --password-stdin or --password-file FILE"));
        }
        None => (args.password || args.password_stdin).then_some(Input::Line),
    };
    let is_new = input.is_some();
    if let Some(input) = input {
        let password = input.read("the new password").await?;
        let set = vm.set_vnc_password(password.trim_end_matches(['\r', '\n'])).await;
        if let Err(error) = set {
            let is_refused = matches!(error, Error::Qmp(ClientError::Refused { .. }));
            let failure = Failure::from(error);
            return Err(if is_refused {
                failure.with_help("passwords require `vnc = { password = true }` in the config")
            } else {
                failure
            });
        }
        context.note("password set");
    }
    if let Some(Span(lifetime)) = args.expire {
        let expiry = if lifetime.is_zero() { Expiry::Now } else { Expiry::After(lifetime) };
        vm.expire_vnc_password(expiry).await?;
    }
    if is_new || args.expire.is_some() {
        return Ok(Exit::Done);
    }
    let info = vm.execute(QueryVnc {}).await?;
    // A server that listens nowhere is not enabled to `query-vnc`.
    let exists = !vm.execute(QueryVncServers {}).await?.is_empty();
    let server = Server {
        enabled: info.enabled || exists,
        address: info.host.and_then(|host| Some(format!("{host}:{}", info.service?))),
        auth: info.auth,
        clients: info
            .clients
            .into_iter()
            .flatten()
            .map(|client| format!("{}:{}", client.host, client.service))
            .collect(),
    };
    let text = match (&server.address, &server.auth) {
        (Some(address), auth) => {
            let auth = auth.as_deref().map(|auth| format!(" (authentication: {auth})")).unwrap_or_default();
            let clients = server.clients.iter().map(|client| format!("\n  connected: {client}"));
            format!("{address}{auth}{}", clients.collect::<String>())
        }
        _ if server.enabled => "VNC is on but has no address; set `vnc.listen`".to_owned(),
        _ => "no VNC server".to_owned(),
    };
    context.show(&server, text)?;
    Ok(Exit::Done)
}
