//! Where a guest's SSH server is, and what to log in with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::Command;

use qemu_argv::{HostForward, Transport};
use qemuctl::Instance;
use qemuctl::runtime::SshLogin;
use serde::Serialize;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::vm::Vm;

/// The guest's SSH port.
const SSH: u16 = 22;

/// How to log in to a guest.
#[derive(Debug, Serialize)]
pub(super) struct Access {
    /// The VM's name.
    pub(super) name: String,
    /// The port on the host that leads to the guest's SSH server.
    pub(super) address: SocketAddrV4,
    user: String,
    /// The machine's own key, if the guest was set up with one.
    identity: Option<PathBuf>,
    known_hosts: Option<PathBuf>,
    host_key_alias: String,
    #[serde(skip)]
    pub(super) destination: String,
    /// A file that exists once a login has succeeded.
    #[serde(skip)]
    pub(super) proven: Option<PathBuf>,
}

impl Access {
    /// Finds the port of the VM's guest. If there is none, adds one.
    pub(super) async fn to(vm: &Vm, user: Option<String>, context: &Context) -> Result<Self, Failure> {
        let login = vm.record(context)?.and_then(|record| record.ssh);
        let instance = vm.attach(context).await?;
        let name = instance.name().to_owned();
        let user = match (&user, &login) {
            (Some(user), _) => user.clone(),
            (None, Some(login)) => login.user.clone(),
            (None, None) => {
                let text = format!("{name} was started without a login");
                return Err(Failure::new(Exit::Failed, text).with_help(
                    "add a section [guest] to its config and restart it, or log in with your own keys by --user NAME",
                ));
            }
        };
        let address = match port(&instance).await? {
            Some(address) => address,
            None => forward(&instance).await?,
        };
        let alias = match &login {
            Some(_) => SshLogin::HOST_ALIAS.to_owned(),
            None => format!("qemuctl-{name}"),
        };
        let (identity, known_hosts) = login.map(|login| (login.identity, login.known_hosts)).unzip();
        let proven = known_hosts.as_ref().map(|path| path.with_extension("ssh-proven"));
        let destination = format!("{user}@{}", address.ip());
        Ok(Self { name, address, user, identity, known_hosts, host_key_alias: alias, destination, proven })
    }

    /// The SSH client with everything but the destination.
    pub(super) fn command(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-p").arg(self.address.port().to_string());
        for (key, value) in self.settings() {
            ssh.arg("-o").arg(format!("{key}={value}"));
        }
        ssh
    }

    /// The settings of the client, besides address, port and user.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("HostKeyAlias", self.host_key_alias.clone())];
        if let Some(path) = &self.known_hosts {
            settings.push(("UserKnownHostsFile", quoted(path)));
            settings.push(("GlobalKnownHostsFile", "/dev/null".to_owned()));
            settings.push(("StrictHostKeyChecking", "yes".to_owned()));
            settings.push(("UpdateHostKeys", "no".to_owned()));
            // Addresses are reused by other VMs.
            settings.push(("CheckHostIP", "no".to_owned()));
        }
        if let Some(path) = &self.identity {
            settings.push(("IdentityFile", quoted(path)));
        }
        settings.push(("LogLevel", "ERROR".to_owned()));
        settings
    }
}

/// A path as a word of the client's settings.
fn quoted(path: &std::path::Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address, user, .. } = self;
        write!(f, "Host {name}\n  HostName {}\n  Port {}\n  User {user}", address.ip(), address.port())?;
        self.settings().iter().try_for_each(|(key, value)| write!(f, "\n  {key} {value}"))
    }
}

/// The port of this host that is forwarded to the guest's SSH server.
async fn port(vm: &Instance) -> Result<Option<SocketAddrV4>, Failure> {
    let mut ports = vm.forwarded_ports().await?.into_iter();
    let found = ports.find(|port| port.transport == Transport::Tcp && port.guest.port() == SSH);
    Ok(found.map(|port| {
        // A server on all interfaces is reached by any address of this host.
        let ip = if port.host.ip().is_unspecified() { Ipv4Addr::LOCALHOST } else { *port.host.ip() };
        SocketAddrV4::new(ip, port.host.port())
    }))
}

/// Forwards a free port to the guest's SSH server.
async fn forward(vm: &Instance) -> Result<SocketAddrV4, Failure> {
    let added = vm.add_forward(None, &HostForward::tcp(0, SSH)).await.map_err(|error| {
        Failure::from(error).with_help("connect to the guest's address, which `qemuctl status` shows")
    })?;
    Ok(added.host)
}

/// The failure of a client that could not be started.
pub(super) fn not_started(error: &std::io::Error) -> Failure {
    let failure = Failure::new(Exit::Failed, format!("cannot start ssh: {error}"));
    if error.kind() == std::io::ErrorKind::NotFound {
        return failure.with_help("install the OpenSSH client (on Debian, `apt install openssh-client`)");
    }
    failure
}
