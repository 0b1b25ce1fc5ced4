//! The machine that a command is about: a config file or a disk image, and options that change it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use qemu_argv::{AccelChoice, Arch, Disk, HostForward, Network, Size, UserNet, VmConfig};
use qemuctl::config::ConfigFile;

use super::exit::Exit;
use super::failure::Failure;
use super::loaded::{LoadError, Loaded};

/// What the machine is. Options go before what the file says.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArgs {
    /// A config file (TOML or JSON), or a disk image to boot from
    #[arg(value_hint = ValueHint::FilePath, required_unless_present_any = ["kernel", "disk"])]
    file: Option<PathBuf>,

    /// The VM's name. Left out: the config's, or the image's file name
    #[arg(short, long, value_hint = ValueHint::Other)]
    name: Option<String>,

    /// Memory, such as 2G or 512M
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<Size>,

    /// The number of processors
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    cpus: Option<u32>,

    /// The CPU model, such as host, max or EPYC
    #[arg(long, value_name = "MODEL")]
    cpu: Option<String>,

    /// The guest's architecture, such as `x86_64` or `aarch64`
    #[arg(long)]
    arch: Option<Arch>,

    /// The machine type, such as q35, pc or virt
    #[arg(long, value_name = "TYPE")]
    machine: Option<String>,

    /// What executes the guest
    #[arg(long, value_parser = accel)]
    accel: Option<AccelChoice>,

    /// The QEMU program, or the directory it is in
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    qemu: Option<PathBuf>,

    /// A further disk image; may be given several times
    #[arg(long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    disk: Vec<PathBuf>,

    /// A port of this host that leads into the guest: [ADDRESS:]HOST:GUEST[/udp], such as 2222:22. Host port 0: any free one
    #[arg(short = 'p', long, value_name = "PORTS", value_parser = forward)]
    forward: Vec<HostForward>,

    /// A kernel to boot directly
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    kernel: Option<PathBuf>,

    /// The initial RAM disk of --kernel
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "kernel")]
    initrd: Option<PathBuf>,

    /// The command line of --kernel
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    append: Option<String>,

    /// Leave the guest frozen before its first instruction
    #[arg(long)]
    paused: bool,
}

impl MachineArgs {
    /// Reads the file and applies the options.
    pub(crate) fn load(&self) -> Result<Loaded, LoadError> {
        let (mut config, file) = match &self.file {
            Some(path) if is_image(path)? => (around_image(path)?, None),
            Some(path) => {
                let file = ConfigFile::read(path)?;
                (file.config().clone(), Some(file))
            }
            None => (plain(), None),
        };
        self.apply(&mut config)?;
        Ok(Loaded::new(config, file))
    }

    fn apply(&self, config: &mut VmConfig) -> Result<(), Failure> {
        let set = |field: &mut Option<String>, value: &Option<String>| {
            if value.is_some() {
                field.clone_from(value);
            }
        };
        set(&mut config.name, &self.name);
        set(&mut config.cpu.model, &self.cpu);
        set(&mut config.machine.kind, &self.machine);
        set(&mut config.boot.append, &self.append);
        if let Some(size) = self.memory {
            config.memory.size = size;
        }
        if let Some(count) = self.cpus {
            config.cpu.count = count;
        }
        if self.arch.is_some() {
            config.arch = self.arch;
        }
        if let Some(accel) = self.accel {
            config.machine.accel = accel;
        }
        if self.qemu.is_some() {
            config.qemu.clone_from(&self.qemu);
        }
        for (field, option) in
            [(&mut config.boot.kernel, &self.kernel), (&mut config.boot.initrd, &self.initrd)]
        {
            if let Some(path) = option {
                *field = Some(absolute(path)?);
            }
        }
        for path in &self.disk {
            config.disks.push(disk(path)?);
        }
        if !self.forward.is_empty() {
            forward_into(config, &self.forward)?;
        }
        config.paused |= self.paused;
        Ok(())
    }
}

/// The machine that most images want.
fn around_image(path: &Path) -> Result<VmConfig, Failure> {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(VmConfig { name, disks: vec![disk(path)?], ..plain() })
}

/// What a machine has that no config describes: enough for a usual Linux.
fn plain() -> VmConfig {
    let mut config = VmConfig { networks: vec![Network::default()], ..VmConfig::default() };
    config.memory.size = Size::gib(1);
    config.with_guest_agent()
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot find {}: {error}", path.display())))
}

/// A disk on an image whose name tells its format truly.
fn disk(path: &Path) -> Result<Disk, Failure> {
    let mut magic = [0; 4];
    let opened = File::open(path).and_then(|mut file| file.read(&mut magic));
    opened.map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot open the disk image {}: {error}", path.display()))
    })?;
    let named = path.extension().and_then(|extension| extension.to_str());
    if &magic == b"QFI\xfb" && named != Some("qcow2") {
        let text = format!("{} holds a qcow2 image, but its name does not say so", path.display());
        return Err(Failure::new(Exit::BadConfig, text).with_help(
            "rename it to end in .qcow2, or write a config with `format = \"qcow2\"`; \
             formats are never guessed, since a guest can write any header into a raw disk",
        ));
    }
    Ok(Disk::file(absolute(path)?))
}

/// Puts ports into the first user-mode network, or into a new one.
fn forward_into(config: &mut VmConfig, forwards: &[HostForward]) -> Result<(), Failure> {
    use qemu_argv::NetBackend;
    if config.networks.is_empty() {
        config.networks.push(Network::new(NetBackend::User(UserNet::default())));
    }
    let user = config.networks.iter_mut().find_map(|network| match &mut network.backend {
        NetBackend::User(user) => Some(user),
        _ => None,
    });
    let none =
        || Failure::new(Exit::BadConfig, "--forward needs a user-mode network, and the config has none");
    user.ok_or_else(none)?.forwards.extend_from_slice(forwards);
    Ok(())
}

/// Whether the file is an image rather than a config: by its name, else by whether it is text.
fn is_image(path: &Path) -> Result<bool, Failure> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml" | "json") => return Ok(false),
        Some("qcow2" | "img" | "raw" | "vmdk" | "vdi" | "vhdx" | "vhd" | "qed" | "iso") => return Ok(true),
        _ => {}
    }
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(4096).read_to_end(&mut head)).map_err(|error| {
        let failure = Failure::new(Exit::Failed, format!("cannot open {}: {error}", path.display()));
        failure.with_help("give a config file (.toml, .json) or a disk image")
    })?;
    // The cut may have split a character.
    let is_text = match std::str::from_utf8(&head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    Ok(!is_text || head.contains(&0))
}

fn accel(text: &str) -> Result<AccelChoice, String> {
    serde_json::from_value(text.into()).map_err(|_| "one of auto, kvm, hvf, whpx, tcg is needed".to_owned())
}

/// `[ADDRESS:]HOST:GUEST[/tcp|/udp]`, as containers have it.
fn forward(text: &str) -> Result<HostForward, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (host, guest) = ports.rsplit_once(':').unwrap_or((ports, ports));
    let (address, host) = host.rsplit_once(':').unwrap_or(("", host));
    format!("{protocol}:{address}:{host}-:{guest}")
        .parse()
        .map_err(|_| "ports look like 2222:22, 127.0.0.1:8080:80 or 5353:53/udp".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_as_for_containers() {
        let read = |text: &str| forward(text).map_or_else(|error| error, |forward| forward.to_string());
        let texts = ["2222:22", "0.0.0.0:80:8080", "53:53/udp", "80", "x:22", "1:2:3:4", "22:22/sctp", ""];
        insta::assert_snapshot!(texts.map(|text| format!("{text} = {}", read(text))).join("\n"), @"
        2222:22 = tcp:127.0.0.1:2222-:22
        0.0.0.0:80:8080 = tcp:0.0.0.0:80-:8080
        53:53/udp = udp:127.0.0.1:53-:53
        80 = tcp:127.0.0.1:80-:80
        x:22 = ports look like 2222:22, 127.0.0.1:8080:80 or 5353:53/udp
        1:2:3:4 = ports look like 2222:22, 127.0.0.1:8080:80 or 5353:53/udp
        22:22/sctp = ports look like 2222:22, 127.0.0.1:8080:80 or 5353:53/udp
         = ports look like 2222:22, 127.0.0.1:8080:80 or 5353:53/udp
        ");
    }
}
