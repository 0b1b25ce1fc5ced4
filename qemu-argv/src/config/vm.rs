//! A whole virtual machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::{Boot, Chardev, Cpu, Disk, Iothread, Machine, Memory, Network, Rng, Secret, Serial, Tls, Video};
use crate::target::Arch;

/// A virtual machine. Everything has a default; a file of three lines is a machine:
///
/// ```
/// let config: qemu_argv::VmConfig = toml::from_str(r#"
///     name = "web"
///     memory = "2GiB"
///     disks = ["/vm/web.qcow2"]
/// "#)?;
/// assert_eq!(config.memory.size, qemu_argv::Size::gib(2));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    /// The board. In files also just its type: `machine = "q35"`.
    #[serde(deserialize_with = "flexible::one")]
    pub machine: Machine,
    /// The processors. In files also just their number: `cpu = 4`.
    #[serde(deserialize_with = "flexible::one")]
    pub cpu: Cpu,
    /// Guest memory. In files also just its size: `memory = "2GiB"`.
    #[serde(deserialize_with = "flexible::one")]
    pub memory: Memory,
    /// Threads that serve disks. In files each also just its id.
    #[serde(deserialize_with = "flexible::list")]
    pub iothreads: Vec<Iothread>,
    /// What the guest starts from.
    pub boot: Boot,
    /// Passwords and keys that others refer to.
    pub secrets: Vec<Secret>,
    /// TLS credentials that others refer to.
    pub tls: Vec<Tls>,
    /// PCI Express root ports that are kept free for devices plugged in later. Left out: 4.
    pub hotplug_ports: Option<u8>,
    /// Disks. In files each also just the path of an image.
    #[serde(deserialize_with = "flexible::list")]
    pub disks: Vec<Disk>,
    /// Network interfaces. In files each also just `"user"`.
    #[serde(deserialize_with = "flexible::list")]
    pub networks: Vec<Network>,
    /// Video devices. In files each also just its model. Left out: none.
    #[serde(deserialize_with = "flexible::list")]
    pub video: Vec<Video>,
    /// Serial ports. Left out: one that the launcher serves; `[]`: none.
    #[serde(deserialize_with = "flexible::list")]
    pub serials: Vec<Serial>,
    /// Character devices that others refer to.
    pub chardevs: Vec<Chardev>,
    /// Whether there is a channel for the QEMU guest agent, which the launcher serves.
    pub guest_agent: bool,
    /// A random number generator. Left out: none.
    pub rng: Option<Rng>,
    /// Further arguments, put last as they are. Nothing in them is checked.
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
            machine: Machine::default(),
            cpu: Cpu::default(),
            memory: Memory::default(),
            iothreads: Vec::new(),
            boot: Boot::default(),
            secrets: Vec::new(),
            tls: Vec::new(),
            hotplug_ports: None,
            disks: Vec::new(),
            networks: Vec::new(),
            video: Vec::new(),
            serials: vec![Serial::default()],
            chardevs: Vec::new(),
            guest_agent: false,
            rng: None,
            extra_args: Vec::new(),
        }
    }
}

impl VmConfig {
    /// Adds the channel of the QEMU guest agent.
    #[must_use]
    pub fn with_guest_agent(mut self) -> Self {
        self.guest_agent = true;
        self
    }
}
