//! The VM that a command is about: a config file or an image, and options that change it.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use clap_complete::{ArgValueCandidates, ArgValueCompleter};
use qemu_argv::{
    AccelChoice, Arch, BlockFormat, BridgeNet, Cdrom, CdromInterface, Disk, DiskInterface, Display, Firmware,
    GtkDisplay, GuestMount, HostForward, NetBackend, Network, NinePShare, SdlDisplay, Share, Size,
    UefiFirmware, UserNet, VmConfig, Vnc, VncListen,
};
use qemuctl::Error;
use qemuctl::config::ConfigFile;
use qemuctl::home::{Home, StoredMachine};

use super::boot::BootFrom;
use super::complete;
use super::exit::Exit;
use super::failure::Failure;
use super::image::{Kind, kind_of};
use super::loaded::Loaded;

/// The FILE argument and its options, which override the file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArgs {
    /// Machine name, config file (TOML or JSON), or image to boot: a disk image, an ISO image or a kernel
    #[arg(add = ArgValueCompleter::new(complete::machines_and_files), required_unless_present_any = ["kernel", "disk", "cdrom"])]
    file: Option<PathBuf>,

    #[command(flatten)]
    options: MachineOptions,
}

impl MachineArgs {
    /// Reads the file and applies the options.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        self.load_in_part()?.whole()
    }

    /// The same, but collects the problems of the file, so that the rest can be checked.
    pub(crate) fn load_in_part(&self) -> Result<Loaded, Failure> {
        self.options.load_in_part(self.file.as_deref())
    }

    /// Returns the same options for another machine.
    pub(crate) fn load_as(&self, file: &Path) -> Result<Loaded, Failure> {
        self.options.load(Some(file))
    }

    /// Returns the FILE argument.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// Options that describe the VM.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Machine")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct MachineOptions {
    /// VM name [default: from the config, or the image's file name]
    #[arg(long, value_hint = ValueHint::Other)]
    name: Option<String>,

    /// Memory size, such as 2G or 512M
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<Size>,

    /// Number of CPUs
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    cpus: Option<u32>,

    /// CPU model, such as host, max or EPYC
    #[arg(long, value_name = "MODEL")]
    cpu: Option<String>,

    /// Guest architecture, such as `x86_64` or `aarch64`
    #[arg(long)]
    arch: Option<Arch>,

    /// Machine type, such as q35, pc or virt
    #[arg(long, value_name = "TYPE")]
    machine: Option<String>,

    /// Accelerator: auto, kvm, hvf, whpx or tcg
    #[arg(long, value_parser = accel, add = ArgValueCandidates::new(|| complete::values("machine.accel")))]
    accel: Option<AccelChoice>,

    /// QEMU program, or the directory it is in
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    qemu: Option<PathBuf>,

    /// Add a disk with this image (repeatable)
    #[arg(long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    disk: Vec<PathBuf>,

    /// Add a CD-ROM drive with this image (repeatable)
    #[arg(long, visible_alias = "iso", value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    cdrom: Vec<PathBuf>,

    /// Format of the disk images given here, such as raw or qcow2 [default: by file name extension]
    #[arg(long, value_parser = super::image::format, add = ArgValueCandidates::new(|| complete::values("disks.format")))]
    format: Option<BlockFormat>,

    /// Discard all writes to the disks when the VM ends
    #[arg(long)]
    snapshot: bool,

    /// Boot from disk, cdrom, network, or the firmware's menu [default: FILE]
    #[arg(long, value_name = "DEVICE")]
    boot: Option<BootFrom>,

    /// Forward a host port to the guest: [ADDRESS:]HOST:GUEST[/udp], such as 2222:22; host port 0 takes any free port
    /// (repeatable)
    #[arg(short = 'p', long, value_name = "PORTS", value_parser = forward)]
    forward: Vec<HostForward>,

    /// Remove all network interfaces
    #[arg(long, conflicts_with = "forward")]
    no_network: bool,

    /// Serve the screen by VNC at this address, such as 5901, :1 or a socket path [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "", require_equals = true, value_parser = vnc)]
    vnc: Option<VncListen>,

    /// Set the guest up with a user that `qemuctl ssh` logs in as (images with cloud-init, or systemd 252 and later)
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    user: Option<String>,

    /// Boot with UEFI firmware
    #[arg(long)]
    uefi: bool,

    /// Boot with UEFI firmware that starts only signed programs
    #[arg(long)]
    secure_boot: bool,

    /// Share a directory of the host by 9p; the guest mounts it by its tag, with --user at /mnt/TAG (repeatable) [default
    /// tag: the directory's name]
    #[arg(long, value_name = "DIR[:TAG]", value_parser = share, value_hint = ValueHint::DirPath)]
    share: Vec<NinePShare>,

    /// Connect the first network interface to this bridge of the host, by QEMU's bridge helper
    #[arg(long, value_name = "NAME", conflicts_with_all = ["forward", "no_network"])]
    bridge: Option<String>,

    /// Show the screen in a window: gtk or sdl; or none
    #[arg(long, value_name = "KIND", value_parser = display)]
    display: Option<Display>,

    /// Kernel to boot directly
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    kernel: Option<PathBuf>,

    /// Initial RAM disk of the kernel
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    initrd: Option<PathBuf>,

    /// Kernel command line [default: from the config, or else options that select the serial console]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append: Option<String>,

    /// Do not start the guest's CPUs; `qemuctl resume` does
    #[arg(long)]
    paused: bool,
}

impl MachineOptions {
    /// Reads a file and applies the options.
    pub(crate) fn load(&self, file: Option<&Path>) -> Result<Loaded, Failure> {
        self.load_in_part(file)?.whole()
    }

    /// The same, but collects the problems of the file, so that the rest can be checked.
    pub(crate) fn load_in_part(&self, named: Option<&Path>) -> Result<Loaded, Failure> {
        if let Some(machine) = named.map(stored).transpose()?.flatten() {
            return self.load_stored(machine);
        }
        let kind = named.map(kind_of).transpose()?;
        let mut faults = Vec::new();
        let (mut config, file) = match (named, kind) {
            (Some(path), Some(Kind::Config)) => {
                let (file, found) = ConfigFile::read_in_part(path)?;
                faults = found;
                let Some(file) = file else {
                    return Ok(Loaded::in_part(VmConfig::default(), None, faults));
                };
                (file.config().clone(), Some(file))
            }
            (Some(path), Some(kind)) => (self.around(path, kind)?, None),
            _ => (self.plain(), None),
        };
        self.apply(&mut config, file.is_none() && named.is_some())?;
        if file.is_none() && config.boot.kernel.is_some() && config.boot.append.is_none() {
            config.boot.append = config.arch.map(|arch| format!("console={}", arch.default_console()));
        }
        Ok(Loaded::in_part(config, file, faults))
    }

    /// Returns the guest's architecture.
    pub(crate) fn arch(&self) -> Arch {
        self.arch.or_else(Arch::host).unwrap_or(Arch::X86_64)
    }

    /// Whether an option sets the name.
    pub(crate) fn has_name(&self) -> bool {
        self.name.is_some()
    }

    /// Whether an option selects what to boot.
    pub(crate) fn has_boot(&self) -> bool {
        self.boot.is_some()
    }

    /// Removes and returns the disks given as a size, such as `20GiB`, instead of a path.
    pub(crate) fn take_sizes(&mut self) -> Vec<Size> {
        let size = |path: &PathBuf| path.to_str().and_then(|text| text.parse().ok());
        let sizes = self.disk.iter().filter_map(size).collect();
        self.disk.retain(|path| size(path).is_none());
        sizes
    }

    /// Reads a machine.
    fn load_stored(&self, machine: StoredMachine) -> Result<Loaded, Failure> {
        if self.name.is_some() {
            let text =
                format!("--name has no effect: {} is a machine and has a name already", machine.name());
            return Err(Failure::new(Exit::Usage, text)
                .with_help("use `qemuctl rename` to rename it, or `qemuctl clone` to copy it"));
        }
        let path = machine.config_path();
        let (file, faults) = ConfigFile::read_in_part(&path)?;
        let Some(file) = file else {
            return Ok(Loaded::in_part(VmConfig::default(), None, faults));
        };
        if faults.is_empty() {
            // Only the folder determines the name.
            machine.parse(file.text())?;
        }
        let mut config = file.config().clone();
        self.apply(&mut config, false)?;
        config.name = Some(machine.name().to_owned());
        Ok(Loaded::in_part(config, Some(file), faults).of_home(machine))
    }

    /// Makes a config that suits most images.
    fn around(&self, path: &Path, kind: Kind) -> Result<VmConfig, Failure> {
        let mut config = self.plain();
        config.name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        match kind {
            Kind::Cdrom => config.cdroms.push(cdrom(path, CdromInterface::Auto)?),
            Kind::Kernel => {
                config.boot.kernel = Some(absolute(path)?);
                config.firmware = None;
            }
            _ => config.disks.push(self.image(path)?),
        }
        Ok(config)
    }

    /// The default devices if there is no config: enough for a common Linux.
    fn plain(&self) -> VmConfig {
        let arch = self.arch.or_else(Arch::host).unwrap_or(Arch::X86_64);
        let mut config = VmConfig::for_arch(arch);
        // These boards have no default firmware that boots from a disk.
        let is_bare = matches!(arch, Arch::Aarch64 | Arch::Arm | Arch::Riscv64 | Arch::Loongarch64);
        if is_bare && self.kernel.is_none() {
            config.firmware = Some(Firmware::Uefi(UefiFirmware::default()));
        }
        config
    }

    /// A disk with an image.
    fn image(&self, path: &Path) -> Result<Disk, Failure> {
        super::image::check_format(path, self.format)?;
        Ok(Disk { format: self.format, ..Disk::file(absolute(path)?) })
    }

    /// Returns the bus of an added CD-ROM drive. A guest that boots from a virtio disk has virtio drivers, but not
    /// always AHCI: the kernel of Debian's cloud images has none.
    fn drive(&self, config: &VmConfig) -> CdromInterface {
        let starts_from_virtio =
            config.disks.first().is_some_and(|disk| disk.interface == DiskInterface::Virtio);
        if starts_from_virtio && self.boot != Some(BootFrom::Cdrom) {
            CdromInterface::VirtioScsi
        } else {
            CdromInterface::Auto
        }
    }

    fn apply(&self, config: &mut VmConfig, is_image: bool) -> Result<(), Failure> {
        // If FILE is an image, it comes first; the options below add further ones.
        let booted = super::boot::image_of(config).filter(|_| is_image);
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
            config.memory.size = Some(size);
        }
        if let Some(count) = self.cpus {
            config.cpu.count = Some(count);
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
            config.disks.push(self.image(path)?);
        }
        for path in &self.cdrom {
            config.cdroms.push(cdrom(path, self.drive(config))?);
        }
        if self.snapshot {
            let written = config.disks.iter_mut().filter(|disk| !disk.read_only);
            written.for_each(|disk| disk.snapshot = true);
        }
        for (option, given) in [("--initrd", self.initrd.is_some()), ("--append", self.append.is_some())] {
            if given && config.boot.kernel.is_none() {
                let text = format!("{option} requires a kernel; a disk image boots its own");
                return Err(Failure::new(Exit::Usage, text).with_help("give the kernel with --kernel"));
            }
        }
        if self.no_network {
            config.networks.clear();
        }
        if let Some(listen) = &self.vnc {
            config.vnc.get_or_insert_with(Vnc::default).listen = listen.clone();
        }
        if self.secure_boot {
            match &mut config.firmware {
                Some(Firmware::Uefi(uefi)) => uefi.secure_boot = true,
                firmware => {
                    *firmware =
                        Some(Firmware::Uefi(UefiFirmware { secure_boot: true, ..UefiFirmware::default() }));
                }
            }
        }
        if let Some(bridge) = &self.bridge {
            let backend = NetBackend::Bridge(BridgeNet::new(bridge));
            match config.networks.first_mut() {
                Some(first) => first.backend = backend,
                None => config.networks.push(Network::new(backend)),
            }
        }
        if let Some(display) = &self.display {
            config.display = display.clone();
        }
        if self.uefi && !matches!(config.firmware, Some(Firmware::Uefi(_))) {
            config.firmware = Some(Firmware::Uefi(UefiFirmware::default()));
        }
        if !self.forward.is_empty() {
            forward_into(config, &self.forward)?;
        }
        if self.user.is_some() {
            config.guest.get_or_insert_default().user.clone_from(&self.user);
        }
        for share in &self.share {
            config.shares.push(Share::NineP(NinePShare { path: absolute(&share.path)?, ..share.clone() }));
            // A guest that is set up mounts it at /mnt/TAG.
            if let Some(guest) = &mut config.guest {
                guest.mounts.push(GuestMount::new(&share.tag));
            }
        }
        config.paused |= self.paused;
        super::boot::order(config, self.boot, booted)?;
        Ok(())
    }
}

/// Returns the machine that is meant, unless there is a file of that name.
fn stored(named: &Path) -> Result<Option<StoredMachine>, Failure> {
    let Some(name) = named.to_str().filter(|name| !name.contains('/')) else { return Ok(None) };
    if std::fs::metadata(named).is_ok_and(|facts| !facts.is_dir()) {
        return Ok(None);
    }
    let Ok(home) = Home::open() else { return Ok(None) };
    match home.machine(name) {
        Ok(machine) => Ok(Some(machine)),
        Err(Error::NoSuchMachine { .. } | Error::InvalidName { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot find {}: {error}", path.display())))
}

/// A CD-ROM drive with an image.
fn cdrom(path: &Path, interface: CdromInterface) -> Result<Cdrom, Failure> {
    // Media of drives are raw, whatever the file name says.
    super::image::check_medium(path, None)?;
    let medium = qemu_argv::DiskBackend::file(absolute(path)?);
    Ok(Cdrom { medium: Some(medium), interface, ..Cdrom::default() })
}

/// Adds forwarded ports to the first user-mode network, or to a new one.
fn forward_into(config: &mut VmConfig, forwards: &[HostForward]) -> Result<(), Failure> {
    if config.networks.is_empty() {
        config.networks.push(Network::new(NetBackend::User(UserNet::default())));
    }
    let user = config.networks.iter_mut().find_map(|network| match &mut network.backend {
        NetBackend::User(user) => Some(user),
        _ => None,
    });
    let none =
        || Failure::new(Exit::BadConfig, "--forward requires a user-mode network, but the config has none");
    user.ok_or_else(none)?.forwards.extend_from_slice(forwards);
    Ok(())
}

/// Parses `DIR[:TAG]`. The tag defaults to the directory's name.
fn share(text: &str) -> Result<NinePShare, String> {
    let (dir, tag) = match text.rsplit_once(':') {
        Some((dir, tag)) if !dir.is_empty() && !tag.is_empty() && !tag.contains('/') => (dir, Some(tag)),
        _ => (text, None),
    };
    let dir = Path::new(dir);
    let named = || std::path::absolute(dir).ok()?.file_name()?.to_str().map(str::to_owned);
    let tag = tag.map(str::to_owned).or_else(named);
    let tag = tag.ok_or_else(|| format!("{} has no name to use as the tag; give DIR:TAG", dir.display()))?;
    if !dir.is_dir() {
        return Err(format!("{} is not a directory", dir.display()));
    }
    Ok(NinePShare::new(tag, dir))
}

fn display(text: &str) -> Result<Display, String> {
    match text {
        "none" => Ok(Display::None),
        "gtk" => Ok(Display::Gtk(GtkDisplay::default())),
        "sdl" => Ok(Display::Sdl(SdlDisplay::default())),
        _ => Err("possible values: gtk, sdl, none; for VNC use --vnc".to_owned()),
    }
}

fn accel(text: &str) -> Result<AccelChoice, String> {
    serde_json::from_value(text.into()).map_err(|_| "possible values: auto, kvm, hvf, whpx, tcg".to_owned())
}

/// Parses `[ADDRESS:]HOST:GUEST[/tcp|/udp]`, as container tools write it.
pub(super) fn forward(text: &str) -> Result<HostForward, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (host, guest) = ports.rsplit_once(':').unwrap_or((ports, ports));
    let (address, host) = host.rsplit_once(':').unwrap_or(("", host));
    format!("{protocol}:{address}:{host}-:{guest}")
        .parse()
        .map_err(|_| "expected for example 2222:22, 127.0.0.1:8080:80 or 5353:53/udp".to_owned())
}

/// Parses where VNC listens; an empty text means a free port.
fn vnc(text: &str) -> Result<VncListen, String> {
    if text.is_empty() { Ok(VncListen::default()) } else { text.parse() }
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
        x:22 = expected for example 2222:22, 127.0.0.1:8080:80 or 5353:53/udp
        1:2:3:4 = expected for example 2222:22, 127.0.0.1:8080:80 or 5353:53/udp
        22:22/sctp = expected for example 2222:22, 127.0.0.1:8080:80 or 5353:53/udp
         = expected for example 2222:22, 127.0.0.1:8080:80 or 5353:53/udp
        ");
    }
}
