//! The types of well-known properties of devices: JSON has types, QEMU's other syntax and people's words have not.

use crate::value::{Props, Value};

/// Properties that are true or false.
pub(crate) const FLAGS: &[&str] = &[
    "ats",
    "config-wce",
    "disable-modern",
    "edid",
    "event_idx",
    "indirect_desc",
    "iommu_platform",
    "multifunction",
    "packed",
    "removable",
    "scsi",
    "share-rw",
    "ctrl_vq",
    "guest_csum",
    "csum",
    "gso",
    "mrg_rxbuf",
    "page-per-vq",
    "caching-mode",
    "data-be",
    "device-iotlb",
    "force-raw",
    "prealloc",
    "readonly",
    "share",
    "shpc",
    "unarmed",
];
/// Properties that are numbers.
pub(crate) const NUMBERS: &[&str] = &[
    "bootindex",
    "discard_granularity",
    "iobase",
    "iosize",
    "logical_block_size",
    "max_ports",
    "min_io_size",
    "mtu",
    "num-queues",
    "num_queues",
    "opt_io_size",
    "physical_block_size",
    "queue-size",
    "rombar",
    "rotation_rate",
    "rx_queue_size",
    "speed",
    "tx_queue_size",
    "vectors",
    "max-bytes",
    "period",
    "index",
    "addr",
    "bus_nr",
    "chassis",
    "chassis_nr",
    "cpu-num",
    "data",
    "data-len",
    "firstport",
    "fid",
    "io-reserve",
    "mem-reserve",
    "node",
    "num-ports",
    "numa_node",
    "p2",
    "p3",
    "port",
    "pref64-reserve",
    "slot",
    "uid",
];
/// Properties that are sizes.
#[cfg(feature = "import")]
pub(crate) const SIZES: &[&str] = &["align", "label-size", "size"];
/// Properties that are texts.
#[cfg(feature = "import")]
pub(crate) const TEXTS: &[&str] = &[
    "chardev",
    "device_id",
    "disable-legacy",
    "duplex",
    "product",
    "romfile",
    "serial",
    "vendor",
    "ver",
    "mac",
    "write-cache",
    "name",
    "audiodev",
    "evdev",
    "file",
    "intremap",
    "lsa",
    "masterbus",
    "mem-path",
    "memdev",
    "msi",
    "persistent-memdev",
    "target",
];

/// Properties that are words, of which some are also switches.
const SWITCHES: &[&str] = &["disable-legacy", "eim", "intremap", "msi", "msix", "write-cache"];

/// Gives well-known properties the type that QEMU wants: a switch or a number that was written as a text, and the other way round.
pub(crate) fn typed(props: &mut Props) {
    for (key, value) in props.iter_mut() {
        let better = match &*value {
            Value::Str(text) if FLAGS.contains(&key) => match text.as_str() {
                "on" | "yes" | "true" => Some(Value::Bool(true)),
                "off" | "no" | "false" => Some(Value::Bool(false)),
                _ => None,
            },
            Value::Str(text) if NUMBERS.contains(&key) => number(text),
            Value::Bool(on) if SWITCHES.contains(&key) => Some(Value::from(if *on { "on" } else { "off" })),
            _ => None,
        };
        if let Some(better) = better {
            *value = better;
        }
    }
}

fn number(text: &str) -> Option<Value> {
    let number = match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u64::from_str_radix(digits, 16).ok()
        }
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    number.map(Value::Uint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_properties_get_their_types() {
        let mut props = Props::new()
            .with("event_idx", "off")
            .with("iobase", "0x402")
            .with("queue-size", "64")
            .with("disable-legacy", true)
            .with("serial", "12")
            .with("csum", "perhaps");
        typed(&mut props);
        let expected = Props::new()
            .with("event_idx", false)
            .with("iobase", 0x402_u64)
            .with("queue-size", 64_u64)
            .with("disable-legacy", "on")
            .with("serial", "12")
            .with("csum", "perhaps");
        assert_eq!(props, expected);
    }
}
