//! Drivers that bring a bus along, and those that must be there before others.

use crate::config::{OtherBus, OtherDevice, VmConfig};
use crate::topology::Provides;
use crate::value::{Props, Value};

/// The bus that a device brings along for others.
pub(crate) fn provides(driver: &str, props: &Props) -> Option<Provides> {
    let number = |key: &str| match props.get(key) {
        Some(Value::Uint(number)) => u16::try_from(*number).ok(),
        _ => None,
    };
    let pci = |first, last, hotplug| Some(Provides::Pci { first, last, hotplug });
    match driver {
        "pcie-root-port" | "ioh3420" | "cxl-rp" | "xio3130-downstream" | "cxl-downstream" => pci(0, 0, true),
        "x3130-upstream" | "cxl-upstream" | "pxb" | "pxb-pcie" | "pxb-cxl" | "i82801b11-bridge" => {
            pci(0, 31, false)
        }
        // Slot 0 is for their hotplug controller, if they have one.
        "pci-bridge" | "pci-bridge-seat" | "pcie-pci-bridge" => {
            let without = matches!(props.get("shpc"), Some(Value::Bool(false)))
                || matches!(props.get_str("shpc"), Some("off"));
            pci(u8::from(!without), 31, !without)
        }
        "virtio-scsi" | "virtio-scsi-pci" | "virtio-scsi-ccw" | "virtio-scsi-device" => {
            Some(Provides::Scsi { targets: 256 })
        }
        "lsi" | "lsi53c895a" | "lsi53c810" | "am53c974" | "dc390" => Some(Provides::OtherScsi { targets: 7 }),
        "mptsas1068" => Some(Provides::OtherScsi { targets: 8 }),
        "megasas" | "megasas-gen2" | "pvscsi" => Some(Provides::OtherScsi { targets: 64 }),
        "spapr-vscsi" => Some(Provides::OtherScsi { targets: 63 }),
        "ahci" | "ich9-ahci" => Some(Provides::Sata { ports: 6 }),
        "qemu-xhci" | "nec-usb-xhci" => {
            Some(Provides::Usb { ports: number("p2").unwrap_or(4).max(number("p3").unwrap_or(4)) })
        }
        "usb-ehci" | "ich9-usb-ehci1" | "ich9-usb-ehci2" => Some(Provides::Usb { ports: 6 }),
        "pci-ohci" => Some(Provides::Usb { ports: number("num-ports").unwrap_or(3) }),
        // A companion's ports are those of its master.
        _ if driver.contains("-usb-uhci") && props.get("masterbus").is_none() => {
            Some(Provides::Usb { ports: 2 })
        }
        "virtio-serial" | "virtio-serial-pci" | "virtio-serial-ccw" | "virtio-serial-device" => {
            Some(Provides::VirtioSerial { ports: number("max_ports").unwrap_or(31) })
        }
        _ => None,
    }
}

/// Whether it must be there before all devices that it is for: IOMMUs, and what names a PCI device on s390x.
pub(super) fn is_first(driver: &str) -> bool {
    driver.starts_with("virtio-iommu")
        || matches!(driver, "intel-iommu" | "amd-iommu" | "arm-smmuv3" | "riscv-iommu-pci" | "zpci")
}

/// Whether it must be there before what is on its bus, or refers to such a device.
pub(super) fn is_early(driver: &str, props: &Props) -> bool {
    provides(driver, props).is_some() || props.get("masterbus").is_some()
}

/// Whether the configuration has a SCSI controller of another kind than `virtio-scsi`.
pub(super) fn has_other_scsi(config: &VmConfig) -> bool {
    let is_one = |device: &OtherDevice| {
        matches!(provides(&device.driver, &device.properties), Some(Provides::OtherScsi { .. }))
    };
    config.devices.iter().any(is_one)
}

/// Where a device goes whose bus is left out, by its driver.
pub(super) fn usual_bus(driver: &str, props: &Props) -> OtherBus {
    match provides(driver, props) {
        None => OtherBus::None,
        // Not on PCI.
        Some(_) if driver == "spapr-vscsi" => OtherBus::None,
        Some(Provides::Scsi { .. } | Provides::VirtioSerial { .. }) => OtherBus::Virtio,
        Some(_) => OtherBus::Pci,
    }
}
