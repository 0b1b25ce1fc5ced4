//! A whole tree, drawn as text and as SVG.

use qemu_argv::{
    AccelChoice, Arch, Disk, DiskBackend, DiskInterface, Endpoints, Machine, Network, NicModel, NullDisk,
    Size, Target, Version, VmConfig, plan,
};

use super::picture::Picture;
use super::{svg, text};

fn picture() -> Picture {
    let disk =
        |interface| Disk { interface, ..Disk::new(DiskBackend::Null(NullDisk { size: Size::mib(1) })) };
    let config = VmConfig {
        name: Some("web".into()),
        arch: Some(Arch::X86_64),
        machine: Machine { kind: Some("q35".into()), accel: AccelChoice::Tcg, ..Machine::default() },
        disks: vec![
            disk(DiskInterface::Virtio),
            disk(DiskInterface::VirtioScsi),
            disk(DiskInterface::VirtioScsi),
            disk(DiskInterface::Sata),
        ],
        networks: vec![
            Network::default(),
            Network { model: NicModel::E1000, hotplug: Some(true), ..Network::default() },
        ],
        ..VmConfig::default()
    };
    let target = Target::new(Version::new(10, 0), Arch::X86_64);
    Picture::of(&plan(&config, &target, &Endpoints::default()).expect("it fits"))
}

#[test]
fn in_letters() {
    assert_eq!(
        text::draw(&picture()),
        "\
web  q35 with 6 devices
├── pcie.0  PCI Express
│   ├── 00.0  the host bridge
│   ├── 02.0  rp1  pcie-root-port
│   │   └── 00.0  disk0  virtio-blk-pci
│   ├── 02.1  rp2  pcie-root-port
│   │   └── 00.0  scsi0  virtio-scsi-pci
│   │       ├── 0:0  disk1  scsi-hd
│   │       └── 1:0  disk2  scsi-hd
│   ├── 02.2  rp3  pcie-root-port
│   │   └── 00.0  net0  virtio-net-pci
│   ├── 02.3  rp4  pcie-root-port
│   │   └── 00.0  bridge1  pcie-pci-bridge
│   │       └── 01.0  net1  e1000
│   ├── 02.4  rp5  free for hotplug
│   ├── 02.5  rp6  free for hotplug
│   ├── 02.6  rp7  free for hotplug
│   ├── 02.7  rp8  free for hotplug
│   ├── 1f.0  the ISA bridge
│   ├── 1f.2  the SATA controller
│   └── 1f.3  the SMBus controller
└── ide  the board's own disks
    └── ide.0  disk3  ide-hd"
    );
}

#[test]
fn in_boxes() {
    let drawn = svg::draw(&picture());
    // Every box of the tree and of the legend has its words, and no two boxes are in one place.
    let places: Vec<&str> =
        drawn.lines().filter(|line| line.contains("<rect") && line.contains("rx=")).collect();
    let mut different = places.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), places.len());
    assert_eq!(places.len(), text::draw(&picture()).lines().count() + 8);
    assert_eq!(drawn.matches("<text").count(), places.len());
    assert_eq!(drawn.matches("<path").count(), text::draw(&picture()).lines().count() - 1);
}
