//! The short life of a QEMU that is asked about itself.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemu_argv::{Arch, Version};
use qmp_client::{ClientError, LineEnds, Options, Session};
use qmp_proto::Command as QmpCommand;
use tokio::time::timeout;

use super::abilities::{CpuModel, Machine, Probe, Property};
use super::{help, reply, schema};
use crate::DiscoveryError;
use crate::error::in_full;
use crate::process::{Brief, FdMapping, Program};
use crate::words::clean_words;

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
    let (running, ours) = start(binary).await?;
    let answer = converse(binary, running.pid(), ours).await;
    end(running, binary, answer).await
}

/// Asks for the properties of a device driver. `None`: there is no such driver.
pub(super) async fn properties(binary: &Path, driver: &str) -> Result<Option<Vec<Property>>, DiscoveryError> {
    let question = async {
        let (running, ours) = start(binary).await?;
        let answer = async {
            let session = open(ours).await?;
            ask_one(&session, reply::DeviceProperties { typename: driver }).await
        };
        let answer = answer.await;
        end(running, binary, answer).await
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

/// Starts a machine that does not run, and returns what QEMU says if it refuses to.
pub(super) async fn refusal(binary: &Path, args: &[OsString]) -> Result<Option<String>, DiscoveryError> {
    let question = async {
        let (running, ours) = start_with(binary, args).await?;
        // A QEMU with a bad machine may greet before it ends; the reply to `qmp_capabilities` says that the machine is built.
        let answer = open(ours).await.map(drop);
        match end(running, binary, answer).await {
            Ok(()) => Ok(None),
            Err(DiscoveryError::NotQemu { reason, .. }) => Ok(Some(reason)),
            Err(other) => Err(other),
        }
    };
    timeout(DEADLINE, question)
        .await
        .map_err(|_| DiscoveryError::Timeout { path: binary.to_owned(), after: DEADLINE })?
}

/// Starts a QEMU without a machine that waits for questions, and returns our end of its monitor.
async fn start(binary: &Path) -> Result<(Brief, UnixStream), DiscoveryError> {
    let args = ["-machine", "none", "-nodefaults", "-no-user-config"];
    // The second is for builds without TCG.
    let accelerators = ["-accel", "tcg", "-accel", "kvm"];
    let args: Vec<_> = args.iter().chain(&accelerators).map(OsString::from).collect();
    start_with(binary, &args).await
}

/// Starts a QEMU with these arguments whose guest does not run, and returns our end of its monitor.
async fn start_with(binary: &Path, args: &[OsString]) -> Result<(Brief, UnixStream), DiscoveryError> {
    let io = |source| DiscoveryError::Io { action: "start", path: binary.to_owned(), source };
    let (ours, theirs) = UnixStream::pair().map_err(io)?;
    let ends = ["-S", "-display", "none", "-chardev", "socket,id=qmp,fd=0", "-qmp", "chardev:qmp"];
    let program = Program {
        path: binary.to_owned(),
        args: args.iter().cloned().chain(ends.map(Into::into)).collect(),
        descriptors: vec![FdMapping { parent_fd: theirs.into(), child_fd: 0 }],
        ..Program::default()
    };
    Ok((Brief::start(program).await.map_err(io)?, ours))
}

/// Ends it, and adds what it said to an error.
async fn end<T>(mut running: Brief, binary: &Path, answer: Result<T, Fault>) -> Result<T, DiscoveryError> {
    let exit = running.kill();
    let mut reason = match answer {
        Ok(answer) => return Ok(answer),
        Err(Fault::Answer(command, reason)) => {
            return Err(DiscoveryError::Answer { path: binary.to_owned(), command, reason });
        }
        Err(Fault::Gone(reason)) => reason,
    };
    let words = clean_words(&running.last_words().await);
    if words.is_empty() {
        reason = format!("{reason} ({exit})");
    } else {
        reason = words;
    }
    Err(DiscoveryError::NotQemu { path: binary.to_owned(), reason })
}

async fn open(ours: UnixStream) -> Result<Session, Fault> {
    let options = Options { greeting: DEADLINE, line_ends: LineEnds::Never, ..Options::default() };
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
    ask_one(session, command).await?.ok_or_else(|| Fault::Answer(C::NAME, "it was rejected".into()))
}

async fn converse(binary: &Path, pid: u32, ours: UnixStream) -> Result<Probe, Fault> {
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
        executable: executable(binary, pid),
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

/// The architecture. QEMU 11.1 calls the twin with the other byte order by the same name, so the name of the program decides.
fn arch(told: &str, binary: &Path) -> Option<Arch> {
    let told = told.parse().ok()?;
    let name = binary.file_name()?.to_str()?;
    Some(match (told, name.rsplit('-').next()) {
        (Arch::Mips, Some("mipsel")) => Arch::Mipsel,
        (Arch::Mips64, Some("mips64el")) => Arch::Mips64el,
        (Arch::Sh4, Some("sh4eb")) => Arch::Sh4eb,
        (Arch::Xtensa, Some("xtensaeb")) => Arch::Xtensaeb,
        (Arch::Microblaze, Some("microblazeel")) => Arch::Microblazeel,
        _ => told,
    })
}

/// The file behind wrapper scripts and links.
fn executable(binary: &Path, pid: u32) -> PathBuf {
    let running = std::fs::read_link(format!("/proc/{pid}/exe"));
    running.or_else(|_| binary.canonicalize()).unwrap_or_else(|_| binary.to_owned())
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
