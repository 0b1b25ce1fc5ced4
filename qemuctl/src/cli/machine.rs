//! The machine that a command is about: a config file or an image, and options that change it.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use qemu_argv::{
    AccelChoice, Arch, Cdrom, Disk, Firmware, HostForward, NetBackend, Network, Size, UefiFirmware, UserNet,
    VmConfig, Vnc, VncListen,
};
use qemuctl::config::ConfigFile;

use super::exit::Exit;
use super::failure::Failure;
use super::image::{Kind, kind_of};
use super::loaded::{LoadError, Loaded};

/// What the machine is. Options go before what the file says.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArgs {
    /// A config file (TOML or JSON), or what to boot: a disk image, an ISO image or a kernel
    #[arg(value_hint = ValueHint::FilePath, required_unless_present_any = ["kernel", "disk", "cdrom"])]
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

    /// An ISO image in a CD-ROM drive; may be given several times
    #[arg(long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    cdrom: Vec<PathBuf>,

    /// A port of this host that leads into the guest: [ADDRESS:]HOST:GUEST[/udp], such as 2222:22. Host port 0: any free one
    #[arg(short = 'p', long, value_name = "PORTS", value_parser = forward)]
    forward: Vec<HostForward>,

    /// No network at all
    #[arg(long, conflicts_with = "forward")]
    no_network: bool,

    /// Show the screen by VNC at this address. Left out after --vnc: the first free port from 127.0.0.1:5900 on
    #[arg(long, value_name = "[ADDRESS:]PORT", num_args = 0..=1, default_missing_value = "", require_equals = true, value_parser = vnc)]
    vnc: Option<VncListen>,

    /// Boot by UEFI
    #[arg(long)]
    uefi: bool,

    /// A kernel to boot directly
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    kernel: Option<PathBuf>,

    /// The kernel's initial RAM disk
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    initrd: Option<PathBuf>,

    /// The kernel's command line. Left out without a config file: what makes Linux use the serial console
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append: Option<String>,

    /// Leave the guest frozen before its first instruction
    #[arg(long)]
    paused: bool,
}

impl MachineArgs {
    /// Reads the file and applies the options.
    pub(crate) fn load(&self) -> Result<Loaded, LoadError> {
        let kind = self.file.as_deref().map(kind_of).transpose()?;
        let (mut config, file) = match (&self.file, kind) {
            (Some(path), Some(Kind::Config)) => {
                let file = ConfigFile::read(path)?;
                (file.config().clone(), Some(file))
            }
            (Some(path), Some(kind)) => (self.around(path, kind)?, None),
            _ => (self.plain(), None),
        };
        self.apply(&mut config)?;
        if file.is_none() && config.boot.kernel.is_some() && config.boot.append.is_none() {
            config.boot.append = config.arch.map(|arch| format!("console={}", arch.default_console()));
        }
        Ok(Loaded::new(config, file))
    }

    /// The machine that most images want.
    fn around(&self, path: &Path, kind: Kind) -> Result<VmConfig, Failure> {
        let mut config = self.plain();
        config.name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        match kind {
            Kind::Cdrom => config.cdroms.push(cdrom(path)?),
            Kind::Kernel => {
                config.boot.kernel = Some(absolute(path)?);
                config.firmware = None;
            }
            _ => config.disks.push(disk(path)?),
        }
        Ok(config)
    }

    /// What a machine has that no config describes: enough for a usual Linux.
    fn plain(&self) -> VmConfig {
        let arch = self.arch.or_else(Arch::host).unwrap_or(Arch::X86_64);
        let mut config = VmConfig::for_arch(arch);
        // These boards have no firmware of their own that starts from a disk.
        let is_bare = matches!(arch, Arch::Aarch64 | Arch::Arm | Arch::Riscv64 | Arch::Loongarch64);
        if is_bare && self.kernel.is_none() {
            config.firmware = Some(Firmware::Uefi(UefiFirmware::default()));
        }
        config
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
        for path in &self.cdrom {
            config.cdroms.push(cdrom(path)?);
        }
        for (option, given) in [("--initrd", self.initrd.is_some()), ("--append", self.append.is_some())] {
            if given && config.boot.kernel.is_none() {
                let text = format!("{option} is for a kernel, and there is none: an image brings its own");
                return Err(Failure::new(Exit::Usage, text).with_help("name the kernel with --kernel"));
            }
        }
        if self.no_network {
            config.networks.clear();
        }
        if let Some(listen) = &self.vnc {
            config.vnc.get_or_insert_with(Vnc::default).listen = listen.clone();
        }
        if self.uefi && !matches!(config.firmware, Some(Firmware::Uefi(_))) {
            config.firmware = Some(Firmware::Uefi(UefiFirmware::default()));
        }
        if !self.forward.is_empty() {
            forward_into(config, &self.forward)?;
        }
        config.paused |= self.paused;
        Ok(())
    }
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot find {}: {error}", path.display())))
}

/// A disk on an image whose name tells its format truly.
fn disk(path: &Path) -> Result<Disk, Failure> {
    super::image::check_format(path)?;
    Ok(Disk::file(absolute(path)?))
}

/// A drive with an image in it.
fn cdrom(path: &Path) -> Result<Cdrom, Failure> {
    super::image::check_format(path)?;
    let medium = qemu_argv::DiskBackend::file(absolute(path)?);
    Ok(Cdrom { medium: Some(medium), ..Cdrom::default() })
}

/// Puts ports into the first user-mode network, or into a new one.
fn forward_into(config: &mut VmConfig, forwards: &[HostForward]) -> Result<(), Failure> {
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

/// `[ADDRESS:]PORT`; nothing: a free port.
fn vnc(text: &str) -> Result<VncListen, String> {
    if text.is_empty() {
        return Ok(VncListen::Inet { host: None, port: 5900, last_port: Some(5999) });
    }
    let (host, port) = text.rsplit_once(':').map_or((None, text), |(host, port)| (Some(host), port));
    let host = host.filter(|host| !host.is_empty()).map(|host| host.trim_matches(['[', ']']).to_owned());
    match port.parse() {
        Ok(port @ 5900..) => Ok(VncListen::Inet { host, port, last_port: None }),
        _ => Err("an address looks like 5901 or 127.0.0.1:5901; VNC ports begin at 5900".to_owned()),
    }
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
