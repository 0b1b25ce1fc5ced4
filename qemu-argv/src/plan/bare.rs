//! The board of a plan alone.

use crate::plan::{CliOption, OptionValue, Plan};
use crate::qemu_target::Version;

/// The options that say what the board is, and what it starts by itself.
const OPTIONS: [&str; 17] = [
    "-L",
    "-g",
    "-machine",
    "-accel",
    "-cpu",
    "-smp",
    "-m",
    "-nodefaults",
    "-no-user-config",
    "-nic",
    "-audio",
    "-bios",
    "-kernel",
    "-initrd",
    "-append",
    "-dtb",
    "-sandbox",
];

/// Properties of `-machine` that name another part.
const REFERENCES: [&str; 8] = [
    "memory-backend",
    "pflash0",
    "pflash1",
    "audiodev",
    "pcspk-audiodev",
    "memory-encryption",
    "confidential-guest-support",
    "sgx-epc",
];

impl Plan {
    /// The same machine without any device, disk, network or object: the board, its processors, the size of its memory, and the
    /// kernel or firmware that it starts from. Whether a QEMU starts that shows whether it knows the machine type, the processor and
    /// their properties.
    #[must_use]
    pub fn bare_board(&self) -> Self {
        let mut bare = self.with(Vec::new(), self.topology.clone());
        bare.extra_args.clear();
        bare.options.retain(|option| OPTIONS.iter().any(|name| option.name == *name));
        let mut has_sound = false;
        for CliOption { name, value } in &mut bare.options {
            if let OptionValue::KeyValue(props) = value
                && name == "-machine"
            {
                has_sound |= props.get("audiodev").is_some();
                for key in REFERENCES {
                    props.remove(key);
                }
                // Windows of memory into expanders, which are devices.
                let windows: Vec<String> = props.iter().map(|(key, _)| key.to_owned()).collect();
                for key in windows.iter().filter(|key| key.starts_with("cxl-fmw")) {
                    props.remove(key);
                }
            }
        }
        // Without its backend, the board's sound would go to the host.
        if has_sound && bare.target.version >= Version::new(8, 2) {
            bare.options.push(CliOption { name: "-audio".into(), value: OptionValue::Plain("none".into()) });
        }
        bare
    }
}
