//! A whole virtual machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::{
    Actions, Audio, Balloon, Boot, Cdrom, Channel, Chardev, Cpu, DebugExit, Disk, Display, Firmware, FwCfg,
    HostDevice, Iothread, Machine, Memory, Network, NumaNode, OtherDevice, Pvpanic, Rng, Rtc, Sandbox,
    Secret, Serial, Share, Size, Smbios, Spice, Tls, Tpm, UsbController, UsbDevice, UsbKind, Video,
    VideoModel, Vnc, Vsock, Watchdog,
};
use crate::qemu_target::Arch;
use crate::topology::{Machine as Board, MachineOptions};

/// A virtual machine. Everything has a default; a file of three lines is a machine:
///
/// ```
/// let config: qemu_argv::VmConfig = toml::from_str(r#"
///     name = "web"
///     memory = "2GiB"
///     disks = ["/vm/web.qcow2"]
/// "#)?;
/// assert_eq!(config.memory.size, Some(qemu_argv::Size::gib(2)));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct VmConfig {
    /// The name, which also names the VM's sockets. Left out: `vm`.
    pub name: Option<String>,
    /// The UUID that the guest sees, as `8-4-4-4-12` hexadecimal digits. Left out: none.
    pub uuid: Option<String>,
    /// The guest's architecture. Left out: the target's.
    pub arch: Option<Arch>,
    /// The QEMU binary. Left out: found by the launcher.
    pub qemu: Option<PathBuf>,
    /// The directory of the VM's sockets. Left out: chosen by the launcher.
    pub socket_dir: Option<PathBuf>,
    /// Whether the guest stays frozen after the start until it is resumed.
    pub paused: bool,
    /// Whether the machine waits for a migration to come in (`migrate-incoming` over QMP).
    pub incoming: bool,
    /// The board. In files also just its type: `machine = "q35"`.
    #[serde(deserialize_with = "flexible::one")]
    pub machine: Machine,
    /// The processors. In files also just their number: `cpu = 4`.
    #[serde(deserialize_with = "flexible::one")]
    pub cpu: Cpu,
    /// Guest memory. In files also just its size: `memory = "2GiB"`.
    #[serde(deserialize_with = "flexible::one")]
    pub memory: Memory,
    /// NUMA nodes. Left out: all in one.
    pub numa: Vec<NumaNode>,
    /// Threads that serve disks. In files each also just its id.
    #[serde(deserialize_with = "flexible::list")]
    pub iothreads: Vec<Iothread>,
    /// The firmware. Left out: the board's own. In files also just `"uefi"`.
    #[serde(deserialize_with = "flexible::optional")]
    pub firmware: Option<Firmware>,
    /// What the guest starts from.
    pub boot: Boot,
    /// What the guest reads about its hardware. Left out: as the board has it. (Boxed: it is large, and rare.)
    pub smbios: Option<Box<Smbios>>,
    /// Files that the guest reads from the firmware configuration device.
    pub fw_cfg: Vec<FwCfg>,
    /// The real-time clock.
    pub rtc: Rtc,
    /// Passwords and keys that others refer to.
    pub secrets: Vec<Secret>,
    /// TLS credentials that others refer to.
    pub tls: Vec<Tls>,
    /// PCI Express root ports that are kept free for devices plugged in later. Left out: 4.
    pub hotplug_ports: Option<u8>,
    /// Disks. In files each also just the path of an image.
    #[serde(deserialize_with = "flexible::list")]
    pub disks: Vec<Disk>,
    /// CD-ROM drives. In files each also just the path of an image.
    #[serde(deserialize_with = "flexible::list")]
    pub cdroms: Vec<Cdrom>,
    /// Network interfaces. In files each also just `"user"`.
    #[serde(deserialize_with = "flexible::list")]
    pub networks: Vec<Network>,
    /// QEMU's own window for the screen. Left out: none.
    #[serde(deserialize_with = "flexible::one")]
    pub display: Display,
    /// A VNC server. In files also just where it listens: `vnc = ":1"`. Left out: none.
    #[serde(deserialize_with = "flexible::optional")]
    pub vnc: Option<Vnc>,
    /// A SPICE server. Left out: none.
    pub spice: Option<Spice>,
    /// Video devices. In files each also just its model. Left out: none.
    #[serde(deserialize_with = "flexible::list")]
    pub video: Vec<Video>,
    /// Sound devices and backends.
    pub audio: Vec<Audio>,
    /// Serial ports. Left out: one that the launcher serves; `[]`: none.
    #[serde(deserialize_with = "flexible::list")]
    pub serials: Vec<Serial>,
    /// Character devices that others refer to.
    pub chardevs: Vec<Chardev>,
    /// Whether there is a channel for the QEMU guest agent, which the launcher serves.
    pub guest_agent: bool,
    /// Whether there is a channel for the SPICE agent (clipboard, size of the screen). Needs `spice`.
    pub spice_agent: bool,
    /// Further channels over virtio-serial.
    pub channels: Vec<Channel>,
    /// USB controllers. One is made on demand where there is none. In files each also just its model.
    #[serde(deserialize_with = "flexible::list")]
    pub usb: Vec<UsbController>,
    /// USB devices. In files each also just its kind: `usb_devices = ["tablet"]`.
    #[serde(deserialize_with = "flexible::list")]
    pub usb_devices: Vec<UsbDevice>,
    /// A memory balloon. Left out: none.
    pub balloon: Option<Balloon>,
    /// A random number generator. Left out: none.
    pub rng: Option<Rng>,
    /// A watchdog. Left out: none.
    pub watchdog: Option<Watchdog>,
    /// The device by which the guest tells that it panicked. Left out: the launcher adds one where the board has a bus
    /// for it (`isa` on q35 and pc, `pci` on virt); `none` is none.
    pub pvpanic: Option<Pvpanic>,
    /// The generation id that tells the guest it was cloned (x86): `auto` or a UUID. Left out: none.
    pub vmgenid: Option<String>,
    /// A port by which the guest ends QEMU (x86). Left out: none.
    pub debug_exit: Option<DebugExit>,
    /// A Trusted Platform Module. Left out: none.
    pub tpm: Option<Tpm>,
    /// Sockets between host and guest. Left out: none.
    pub vsock: Option<Vsock>,
    /// Directories of the host in the guest.
    pub shares: Vec<Share>,
    /// PCI devices of the host given to the guest.
    pub host_devices: Vec<HostDevice>,
    /// Devices that have no section of their own.
    pub devices: Vec<OtherDevice>,
    /// What QEMU does when the guest panics, reboots, powers off or hangs.
    pub actions: Actions,
    /// The system calls that QEMU denies itself.
    pub sandbox: Sandbox,
    /// Further arguments, put last as they are. Only those are refused that would break the launcher, or that it makes void.
    pub extra_args: Vec<String>,
}

impl Default for VmConfig {
    fn default() -> Self {
        Self {
            name: None,
            uuid: None,
            arch: None,
            qemu: None,
            socket_dir: None,
            paused: false,
            incoming: false,
            machine: Machine::default(),
            cpu: Cpu::default(),
            memory: Memory::default(),
            numa: Vec::new(),
            iothreads: Vec::new(),
            firmware: None,
            boot: Boot::default(),
            smbios: None,
            fw_cfg: Vec::new(),
            rtc: Rtc::default(),
            secrets: Vec::new(),
            tls: Vec::new(),
            hotplug_ports: None,
            disks: Vec::new(),
            cdroms: Vec::new(),
            networks: Vec::new(),
            display: Display::None,
            vnc: None,
            spice: None,
            video: Vec::new(),
            audio: Vec::new(),
            serials: vec![Serial::default()],
            chardevs: Vec::new(),
            guest_agent: false,
            spice_agent: false,
            channels: Vec::new(),
            usb: Vec::new(),
            usb_devices: Vec::new(),
            balloon: None,
            rng: None,
            watchdog: None,
            pvpanic: None,
            vmgenid: None,
            debug_exit: None,
            tpm: None,
            vsock: None,
            shares: Vec::new(),
            host_devices: Vec::new(),
            devices: Vec::new(),
            actions: Actions::default(),
            sandbox: Sandbox::default(),
            extra_args: Vec::new(),
        }
    }
}

impl VmConfig {
    /// Whether the board takes any number of processors, and memory of any size.
    fn is_flexible(&self) -> bool {
        let arch = self.arch.or(Arch::host()).unwrap_or(Arch::X86_64);
        let kind = self.machine.kind.as_deref().unwrap_or_else(|| arch.default_machine());
        !Board::new(arch.qemu_name(), kind, MachineOptions::default()).decides_itself()
    }

    /// The size of the memory at boot. `None`: the board decides it.
    pub fn memory_size(&self) -> Option<Size> {
        self.memory.size.or_else(|| self.is_flexible().then_some(Memory::DEFAULT_SIZE))
    }

    /// The number of processors at boot. `None`: the board decides it.
    pub fn cpu_count(&self) -> Option<u32> {
        self.cpu.count.or_else(|| self.is_flexible().then_some(1))
    }

    /// A sensible machine for `arch`: its best board, a video device where guests have a driver for it at once, a random
    /// number generator, the guest agent's channel and a NAT network.
    pub fn for_arch(arch: Arch) -> Self {
        let video = match arch {
            Arch::X86_64 | Arch::I386 => vec![Video::new(VideoModel::Vga)],
            Arch::Aarch64 | Arch::Arm | Arch::Riscv64 | Arch::Loongarch64 => {
                vec![Video::new(VideoModel::VirtioGpu)]
            }
            _ => Vec::new(),
        };
        let has_virtio = !matches!(arch, Arch::Ppc | Arch::Sparc64);
        Self {
            arch: Some(arch),
            memory: Memory::new(Size::gib(1)),
            networks: vec![Network::default()],
            video,
            guest_agent: has_virtio,
            rng: has_virtio.then(Rng::default),
            ..Self::default()
        }
    }

    /// Adds a pointer with absolute positions, so that the mouse follows that of VNC and SPICE clients.
    #[must_use]
    pub fn with_usb_tablet(mut self) -> Self {
        self.usb_devices.push(UsbDevice::new(UsbKind::Tablet));
        self
    }

    /// Adds the channel of the SPICE agent.
    #[must_use]
    pub fn with_spice_agent(mut self) -> Self {
        self.spice_agent = true;
        self
    }

    /// Adds the channel of the QEMU guest agent.
    #[must_use]
    pub fn with_guest_agent(mut self) -> Self {
        self.guest_agent = true;
        self
    }
}
