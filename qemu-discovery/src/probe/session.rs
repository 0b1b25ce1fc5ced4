//! The short life of a QEMU that is asked about itself.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use qemu_argv::{Arch, Version};
use qmp_client::{ClientError, Options, Session};
use qmp_proto::Command as QmpCommand;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{CpuModel, Machine, Probe, Property, help, reply, schema};
use crate::DiscoveryError;
use crate::error::in_full;
use crate::process::{Stderr, clean_words};
use crate::spawn::spawn;

/// The longest that a whole probe may take. It takes 0.1 s; a host that is short of everything may need more.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// Asks a binary everything.
pub(super) async fn ask(binary: &Path) -> Result<Probe, DiscoveryError> {
    let everything = async {
        tokio::try_join!(
            interview(binary),
            help::backends(binary, "-display"),
            help::backends(binary, "-audiodev")
        )
    };
    let (mut probe, displays, audiodevs) = timeout(DEADLINE, everything)
        .await
        .map_err(|_| DiscoveryError::Timeout { path: binary.to_owned(), after: DEADLINE })??;
    probe.displays = displays;
    probe.audiodevs = audiodevs;
    Ok(probe)
}

async fn interview(binary: &Path) -> Result<Probe, DiscoveryError> {
    let (running, ours) = Running::start(binary).await?;
    let answer = converse(binary, &running.child, ours).await;
    running.end(binary, answer).await
}

/// Asks for the properties of a device driver. `None`: there is no such driver.
pub(super) async fn properties(binary: &Path, driver: &str) -> Result<Option<Vec<Property>>, DiscoveryError> {
    let question = async {
        let (running, ours) = Running::start(binary).await?;
        let answer = async {
            let session = open(ours).await?;
            ask_one(&session, reply::DeviceProperties { typename: driver }).await
        };
        let answer = answer.await;
        running.end(binary, answer).await
    };
    let answer = timeout(DEADLINE, question)
        .await
        .map_err(|_| DiscoveryError::Timeout { path: binary.to_owned(), after: DEADLINE })??;
    Ok(answer.map(|properties| {
        let mut properties: Vec<Property> = properties
            .into_iter()
            .map(|property| Property {
                name: property.name,
                kind: property.kind,
                description: property.description,
                default: property.default_value,
            })
            .collect();
        properties.sort_by(|a, b| a.name.cmp(&b.name));
        properties
    }))
}

/// A QEMU without a machine that waits for questions. It does not outlive the value.
struct Running {
    child: Child,
    stderr: Stderr,
}

impl Running {
    async fn start(binary: &Path) -> Result<(Self, UnixStream), DiscoveryError> {
        let io = |source| DiscoveryError::Io { action: "start", path: binary.to_owned(), source };
        let (ours, theirs) = UnixStream::pair().map_err(io)?;
        let mut command = Command::new(binary);
        command
            .args(["-machine", "none", "-S", "-nodefaults", "-no-user-config", "-display", "none"])
            // The second is for builds without TCG.
            .args(["-accel", "tcg", "-accel", "kvm"])
            .args(["-chardev", "socket,id=qmp,fd=0", "-qmp", "chardev:qmp"])
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env("LC_ALL", "C");
        let mut child = spawn(command).await.map_err(io)?;
        let stderr = Stderr::collect(child.stderr.take());
        Ok((Self { child, stderr }, ours))
    }

    /// Ends it, and adds what it said to an error.
    async fn end<T>(mut self, binary: &Path, answer: Result<T, Fault>) -> Result<T, DiscoveryError> {
        drop(self.child.start_kill());
        let status = self.child.wait().await;
        let mut reason = match answer {
            Ok(answer) => return Ok(answer),
            Err(Fault::Answer(command, reason)) => {
                return Err(DiscoveryError::Answer { path: binary.to_owned(), command, reason });
            }
            Err(Fault::Gone(reason)) => reason,
        };
        let words = clean_words(&self.stderr.text().await);
        if !words.is_empty() {
            reason = words;
        } else if let Ok(status) = status {
            reason = format!("{reason} ({status})");
        }
        Err(DiscoveryError::NotQemu { path: binary.to_owned(), reason })
    }
}

async fn open(ours: UnixStream) -> Result<Session, Fault> {
    let options = Options { greeting: DEADLINE, ..Options::default() };
    Session::from_unix_stream(ours, &options).await.map_err(|error| Fault::Gone(in_full(&error)))
}

/// What can go wrong in the conversation.
enum Fault {
    /// The answer to this command makes no sense.
    Answer(&'static str, String),
    /// The peer went away, or is no QEMU.
    Gone(String),
}

/// One command. A refusal is `None`: older binaries lack some commands, builds without a feature others.
async fn ask_one<C: QmpCommand>(session: &Session, command: C) -> Result<Option<C::Return>, Fault> {
    match session.execute(command).await {
        Ok(reply) => Ok(Some(reply)),
        Err(ClientError::Refused { .. }) => Ok(None),
        Err(ClientError::Decode { source, .. }) => Err(Fault::Answer(C::NAME, source.to_string())),
        Err(error) => Err(Fault::Gone(in_full(&error))),
    }
}

async fn must<C: QmpCommand>(session: &Session, command: C) -> Result<C::Return, Fault> {
    ask_one(session, command).await?.ok_or_else(|| Fault::Answer(C::NAME, "it is refused".into()))
}

async fn converse(binary: &Path, child: &Child, ours: UnixStream) -> Result<Probe, Fault> {
    let session = open(ours).await?;
    let version = must(&session, reply::Version {}).await?;
    let target = must(&session, reply::Target {}).await?;
    let arch = arch(&target.arch, binary).ok_or_else(|| {
        Fault::Answer("query-target", format!("architecture {:?} is not known", target.arch))
    })?;
    let commands: BTreeSet<String> = names(must(&session, reply::Commands {}).await?);
    let mut accelerators = BTreeSet::new();
    if let Some(told) = ask_one(&session, reply::Accelerators {}).await? {
        accelerators.extend(told.present);
    } else {
        if ask_one(&session, reply::Kvm {}).await?.is_some_and(|kvm| kvm.present) {
            accelerators.insert("kvm".into());
        }
        // This command exists only where TCG is compiled in.
        if commands.contains("x-query-jit") {
            accelerators.insert("tcg".into());
        }
    }
    let mut netdevs = schema::netdevs(&must(&session, reply::Schema {}).await?);
    let human = |command_line| ask_one(&session, reply::HumanLine { command_line });
    if let Some(text) = human("netdev_add help").await? {
        let built_in = help::names(&text);
        netdevs.retain(|kind, _| built_in.contains(kind));
    }
    let chardevs = human("chardev-add help").await?.map(|text| help::names(&text)).unwrap_or_default();
    let mut probe = Probe {
        binary: binary.to_owned(),
        executable: executable(binary, child),
        version: Version {
            micro: version.qemu.micro,
            ..Version::new(version.qemu.major, version.qemu.minor)
        },
        package: version.package,
        arch,
        machines: machines(must(&session, reply::Machines {}).await?),
        cpu_models: cpu_models(ask_one(&session, reply::CpuModels {}).await?.unwrap_or_default()),
        devices: None,
        objects: None,
        accelerators,
        spice: commands.contains("query-spice"),
        commands,
        netdevs,
        chardevs,
        displays: BTreeSet::new(),
        audiodevs: BTreeSet::new(),
        options: ask_one(&session, reply::Options {})
            .await?
            .unwrap_or_default()
            .into_iter()
            .filter(|option| !option.option.is_empty())
            .map(|option| (option.option, names(option.parameters)))
            .collect(),
        identity: Vec::new(),
    };
    // Last, because it loads every module: QEMU aborts when it finds some that are of another build.
    if let Ok(Some(types)) = ask_one(&session, reply::Types { implements: "device" }).await {
        probe.devices = Some(names(types));
        probe.objects = ask_one(&session, reply::Types { implements: "user-creatable" }).await?.map(names);
        let accelerators = ask_one(&session, reply::Types { implements: "accel" }).await?.unwrap_or_default();
        probe.accelerators.extend(
            accelerators.iter().filter_map(|name| name.name.strip_suffix("-accel")).map(str::to_owned),
        );
        drop(ask_one(&session, reply::Quit {}).await);
    }
    Ok(probe)
}

/// The architecture. QEMU 11.1 tells the little-endian MIPS by the name of the big-endian one.
fn arch(told: &str, binary: &Path) -> Option<Arch> {
    let told = told.parse().ok()?;
    let name = binary.file_name()?.to_str()?;
    Some(match (told, name.rsplit('-').next()) {
        (Arch::Mips, Some("mipsel")) => Arch::Mipsel,
        (Arch::Mips64, Some("mips64el")) => Arch::Mips64el,
        _ => told,
    })
}

/// The file behind wrapper scripts and links.
fn executable(binary: &Path, child: &Child) -> PathBuf {
    let running = child.id().and_then(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok());
    running.or_else(|| binary.canonicalize().ok()).unwrap_or_else(|| binary.to_owned())
}

fn names(named: Vec<reply::Named>) -> BTreeSet<String> {
    named.into_iter().map(|named| named.name).collect()
}

fn machines(replies: Vec<reply::MachineReply>) -> Vec<Machine> {
    let mut machines: Vec<Machine> = replies
        .into_iter()
        .map(|machine| Machine {
            name: machine.name,
            alias: machine.alias,
            is_default: machine.is_default,
            max_cpus: machine.cpu_max,
            deprecated: machine.deprecated,
            hotpluggable_cpus: machine.hotpluggable_cpus,
            default_cpu_type: machine.default_cpu_type,
            default_ram_id: machine.default_ram_id,
        })
        .collect();
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    machines
}

fn cpu_models(replies: Vec<reply::CpuReply>) -> Vec<CpuModel> {
    let mut models: Vec<CpuModel> = replies
        .into_iter()
        .map(|model| CpuModel {
            name: model.name,
            deprecated: model.deprecated,
            complete_under_tcg: model.unavailable_features.map(|features| features.is_empty()),
        })
        .collect();
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_endian_mips_is_told_by_the_name_of_the_program() {
        let arch = |told, program| arch(told, Path::new(program));
        assert_eq!(arch("mips", "/usr/bin/qemu-system-mipsel"), Some(Arch::Mipsel));
        assert_eq!(arch("mipsel", "/usr/bin/qemu-system-mipsel"), Some(Arch::Mipsel));
        assert_eq!(arch("mips64", "/usr/bin/qemu-system-mips64el"), Some(Arch::Mips64el));
        assert_eq!(arch("x86_64", "/usr/libexec/qemu-kvm"), Some(Arch::X86_64));
        assert_eq!(arch("vax", "/usr/bin/qemu-system-vax"), None);
    }
}
