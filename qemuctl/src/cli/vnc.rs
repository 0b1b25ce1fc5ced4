//! `vnc`: where a VM's screen can be seen, and the password for it.

use std::io::{self, BufRead, IsTerminal};
use std::time::Duration;

use qemuctl::qmp_client::ClientError;
use qemuctl::{Error, Expiry};
use qmp_proto::{QueryVnc, QueryVncServers};
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// Show where a VM's screen can be seen by VNC, or set the password for it
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Set the password to the first line of standard input. Never give it as an argument: others see those
    #[arg(long)]
    password_stdin: bool,

    /// How long the password is good, in seconds; 0: nobody gets in any more. Left out: as it was
    #[arg(long, value_name = "SECONDS")]
    expire: Option<u64>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Server {
    /// Whether there is one.
    enabled: bool,
    /// Where it listens, such as `127.0.0.1:5901`.
    address: Option<String>,
    /// How it checks who connects, such as `none` or `vnc`.
    auth: Option<String>,
    /// Who is connected.
    clients: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    if args.password_stdin {
        if io::stdin().is_terminal() {
            context.note("type the password and press Enter; it is shown");
        }
        let mut password = String::new();
        io::stdin().lock().read_line(&mut password)?;
        let set = vm.set_vnc_password(password.trim_end_matches(['\r', '\n'])).await;
        if let Err(error) = set {
            let is_refused = matches!(error, Error::Qmp(ClientError::Refused { .. }));
            let failure = Failure::from(error);
            return Err(if is_refused {
                failure
                    .with_help("QEMU asks for passwords only if the config has `vnc = { password = true }`")
            } else {
                failure
            });
        }
        context.note("the password is set");
    }
    if let Some(seconds) = args.expire {
        let expiry = if seconds == 0 { Expiry::Now } else { Expiry::After(Duration::from_secs(seconds)) };
        vm.expire_vnc_password(expiry).await?;
    }
    if args.password_stdin || args.expire.is_some() {
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
        _ if server.enabled => "VNC takes clients that are handed over; it listens nowhere".to_owned(),
        _ => "no VNC server".to_owned(),
    };
    context.show(&server, text)?;
    Ok(Exit::Done)
}
