//! A whole virtual machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::{
    Actions, Audio, Balloon, Boot, Cdrom, Channel, Chardev, Cpu, Debug, DebugExit, Disk, Display, Firmware,
    FwCfg, Guest, Hmat, HostDevice, Iothread, Machine, Memory, Monitor, Network, NumaNode, OtherDevice,
    OtherObject, Pvpanic, Rng, Rtc, Sandbox, Secret, Serial, Share, Size, Smbios, Spice, Tls, Tpm,
    UsbController, UsbDevice, UsbKind, Video, VideoModel, Vnc, Vsock, Watchdog,
};
use crate::qemu_target::Arch;
use crate::topology::{Machine as Board, MachineOptions};
use crate::value::Props;

/// A virtual machine. All fields have defaults, so three lines describe a machine:
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
    /// The name, which is also used in the names of the VM's sockets. Defaults to `vm`.
    pub name: Option<String>,
    /// The UUID that the guest sees, as `8-4-4-4-12` hexadecimal digits. Defaults to none.
    pub uuid: Option<String>,
    /// The guest's architecture. Defaults to the target's.
    pub arch: Option<Arch>,
    /// The QEMU program. Defaults to what the launcher finds.
    pub qemu: Option<PathBuf>,
    /// The directory of the VM's sockets. Defaults to the launcher's choice.
    pub socket_dir: Option<PathBuf>,
    /// Directories in which QEMU looks for firmware, keymaps and ROMs before its own (`-L`).
    pub data_dirs: Vec<PathBuf>,
    /// The user that QEMU becomes after it has opened everything (`-run-with user=`, and `-runas` before QEMU 9.1). Requires root.
    /// Defaults to the user that starts it.
    pub run_as: Option<String>,
    /// Whether the guest is paused after the start, until it is resumed.
    pub paused: bool,
    /// Whether the machine waits for an incoming migration (`migrate-incoming` over QMP).
    pub incoming: bool,
    /// The address at which the machine waits for an incoming migration, in the words of QEMU's option `-incoming`, such as
    /// `tcp:0:4444` or `unix:/run/web.mig`. Defaults to none.
    pub incoming_from: Option<String>,
    /// Whether writes to all disks are discarded when the VM ends: `snapshot` of every disk that is not `read_only`.
    pub snapshot: bool,
    /// The name of the snapshot (`savevm`) with which the guest continues (`-loadvm`). Its disks must be `qcow2` images. Defaults to none.
    pub load_snapshot: Option<String>,
    /// The board. In config files, may be given as just its type: `machine = "q35"`.
    #[serde(deserialize_with = "flexible::one")]
    pub machine: Machine,
    /// The virtual CPUs. In config files, may be given as just their number: `cpu = 4`.
    #[serde(deserialize_with = "flexible::one")]
    pub cpu: Cpu,
    /// Guest memory. In config files, may be given as just its size: `memory = "2GiB"`.
    #[serde(deserialize_with = "flexible::one")]
    pub memory: Memory,
    /// NUMA nodes. Defaults to a single node.
    pub numa: Vec<NumaNode>,
    /// The speed of memory between NUMA nodes. Defaults to unknown.
    pub hmat: Hmat,
    /// Threads that serve disks. In config files, an entry may be just the id.
    #[serde(deserialize_with = "flexible::list")]
    pub iothreads: Vec<Iothread>,
    /// The firmware. Defaults to the board's own. In config files, may be given as just `"uefi"`, `"none"`, or the path of a BIOS.
    #[serde(deserialize_with = "flexible::optional")]
    pub firmware: Option<Firmware>,
    /// Boot settings.
    pub boot: Boot,
    /// SMBIOS tables, which describe the hardware to the guest. Defaults to the board's own. (Boxed, since it is large
    /// and rarely used.)
    pub smbios: Option<Box<Smbios>>,
    /// Files on the firmware configuration device (`fw_cfg`).
    pub fw_cfg: Vec<FwCfg>,
    /// What the guest's operating system sets up when it boots: a user, SSH keys, files, packages. Defaults to none.
    /// (Boxed, since it is large.)
    pub guest: Option<Box<Guest>>,
    /// The real-time clock.
    pub rtc: Rtc,
    /// Passwords and keys that other parts refer to.
    pub secrets: Vec<Secret>,
    /// TLS credentials that other parts refer to.
    pub tls: Vec<Tls>,
    /// PCI Express root ports to reserve for hotplug. Defaults to 4.
    pub hotplug_ports: Option<u8>,
    /// Disks. In config files, an entry may be just the path of an image.
    #[serde(deserialize_with = "flexible::list")]
    pub disks: Vec<Disk>,
    /// CD-ROM drives. In config files, an entry may be just the path of an image.
    #[serde(deserialize_with = "flexible::list")]
    pub cdroms: Vec<Cdrom>,
    /// Network interfaces. In config files, an entry may be just `"user"`.
    #[serde(deserialize_with = "flexible::list")]
    pub networks: Vec<Network>,
    /// QEMU's own display. Defaults to none.
    #[serde(deserialize_with = "flexible::one")]
    pub display: Display,
    /// A VNC server. In config files, may be given as just its address: `vnc = ":1"`. Defaults to none.
    #[serde(deserialize_with = "flexible::optional")]
    pub vnc: Option<Vnc>,
    /// A SPICE server. Defaults to none.
    pub spice: Option<Spice>,
    /// The layout of the host's keyboard for windows, SPICE and VNC, such as `en-us` or `de` (`-k`). Defaults to `en-us`.
    pub keyboard_layout: Option<String>,
    /// Video devices. In config files, an entry may be just the model. Defaults to none.
    #[serde(deserialize_with = "flexible::list")]
    pub video: Vec<Video>,
    /// Sound devices and backends.
    pub audio: Vec<Audio>,
    /// Serial ports. Defaults to one that the launcher serves; `[]` means none.
    #[serde(deserialize_with = "flexible::list")]
    pub serials: Vec<Serial>,
    /// Character devices that other parts refer to.
    pub chardevs: Vec<Chardev>,
    /// Monitors besides the launcher's, for other programs and for people.
    pub monitors: Vec<Monitor>,
    /// Whether to add a channel for the QEMU guest agent, served by the launcher.
    pub guest_agent: bool,
    /// Whether to add a channel for the SPICE agent (clipboard, screen size). Requires `spice`.
    pub spice_agent: bool,
    /// Additional virtio-serial channels.
    pub channels: Vec<Channel>,
    /// USB controllers. One is added on demand. In config files, an entry may be just the model.
    #[serde(deserialize_with = "flexible::list")]
    pub usb: Vec<UsbController>,
    /// USB devices. In config files, an entry may be just the kind: `usb_devices = ["tablet"]`.
    #[serde(deserialize_with = "flexible::list")]
    pub usb_devices: Vec<UsbDevice>,
    /// A memory balloon. Defaults to none.
    pub balloon: Option<Balloon>,
    /// A random number generator. Defaults to none.
    pub rng: Option<Rng>,
    /// A watchdog. Defaults to none.
    pub watchdog: Option<Watchdog>,
    /// The device by which the guest reports a panic. By default the launcher adds one if the board has a bus for it
    /// (`isa` on q35 and pc, `pci` on virt); `none` turns it off.
    pub pvpanic: Option<Pvpanic>,
    /// The generation id, by which the guest detects that it was cloned (x86): `auto` or a UUID. Defaults to none.
    pub vmgenid: Option<String>,
    /// A port by which the guest can end QEMU (x86). Defaults to none.
    pub debug_exit: Option<DebugExit>,
    /// A Trusted Platform Module. Defaults to none.
    pub tpm: Option<Tpm>,
    /// Sockets between host and guest. Defaults to none.
    pub vsock: Option<Vsock>,
    /// Directories of the host to share with the guest.
    pub shares: Vec<Share>,
    /// PCI devices of the host to pass through to the guest.
    pub host_devices: Vec<HostDevice>,
    /// Devices without a section of their own.
    pub devices: Vec<OtherDevice>,
    /// Objects without a section of their own.
    pub objects: Vec<OtherObject>,
    /// Defaults for properties of all devices of a driver (`-global`): `[globals.virtio-mmio]` with `force-legacy = false`.
    pub globals: BTreeMap<String, Props>,
    /// Debugging of the guest.
    pub debug: Debug,
    /// What QEMU does when the guest panics, reboots, powers off or hangs.
    pub actions: Actions,
    /// The system calls that QEMU gives up.
    pub sandbox: Sandbox,
    /// Additional arguments, appended unchanged. Only those that would break the launcher or have no effect are
    /// refused.
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
            data_dirs: Vec::new(),
            run_as: None,
            paused: false,
            incoming: false,
            incoming_from: None,
            snapshot: false,
            load_snapshot: None,
            machine: Machine::default(),
            cpu: Cpu::default(),
            memory: Memory::default(),
            numa: Vec::new(),
            hmat: Hmat::default(),
            iothreads: Vec::new(),
            firmware: None,
            boot: Boot::default(),
            smbios: None,
            fw_cfg: Vec::new(),
            guest: None,
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
            keyboard_layout: None,
            video: Vec::new(),
            audio: Vec::new(),
            serials: vec![Serial::default()],
            chardevs: Vec::new(),
            monitors: Vec::new(),
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
            objects: Vec::new(),
            globals: BTreeMap::new(),
            debug: Debug::default(),
            actions: Actions::default(),
            sandbox: Sandbox::default(),
            extra_args: Vec::new(),
        }
    }
}

impl VmConfig {
    /// Returns the board and the architecture, which is the host's if the config does not say it.
    fn board(&self) -> (Board, Arch) {
        let arch = self.arch.or(Arch::host()).unwrap_or(Arch::X86_64);
        let kind = self.machine.kind.as_deref().unwrap_or_else(|| arch.default_machine());
        (Board::new(arch.qemu_name(), kind, MachineOptions::default()), arch)
    }

    /// Returns the memory size at boot, or `None` if the board decides it.
    pub fn memory_size(&self) -> Option<Size> {
        let (board, arch) = self.board();
        self.memory.size_on(board, arch)
    }

    /// Returns the number of CPUs at boot, or `None` if the board decides it.
    pub fn cpu_count(&self) -> Option<u32> {
        self.cpu.count_on(self.board().0)
    }

    /// Makes a sensible machine for `arch`: its best board, a video device if guests commonly have a driver for it, a
    /// random number generator, the guest agent's channel and a NAT network.
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

    /// Adds a pointer with absolute coordinates, so that it follows the mouse of VNC and SPICE clients.
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
