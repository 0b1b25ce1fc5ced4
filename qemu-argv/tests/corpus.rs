//! Machines that people run: their command lines, from the sources that the files name, said as configurations. All of them are
//! planned without `extra_args`; what still cannot be said is named in the file.

#[path = "support/corpus.rs"]
mod corpus;

use qemu_argv::{Arch, Endpoints, Target, Version, plan};

/// Machines of which something is left, at most.
const MOST_NOT_WHOLE: usize = 1;
/// Options that are typed, in percent, at least.
const LEAST_TYPED: usize = 97;

#[test]
fn nearly_everything_is_said() {
    let (mut options, mut left, mut not_whole, mut faults) = (0, 0, Vec::new(), Vec::new());
    for case in corpus::cases() {
        let target = Target::new(Version::new(11, 1), case.config.arch.unwrap_or(Arch::X86_64));
        let mut config = case.config;
        // What only a launcher finds.
        if let Some(qemu_argv::Firmware::Uefi(uefi)) = &mut config.firmware {
            uefi.code.get_or_insert_with(|| "code.fd".into());
        }
        if let Err(error) = plan(&config, &target, &Endpoints::default()) {
            faults.push(format!("{}: {error}", case.name));
        }
        if !config.extra_args.is_empty() {
            faults.push(format!("{}: it has `extra_args`", case.name));
        }
        options += case.options;
        left += case.left.len();
        if !case.left.is_empty() {
            not_whole.push(case.name);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(not_whole.len() <= MOST_NOT_WHOLE, "{not_whole:?}");
    assert!((options - left) * 100 >= options * LEAST_TYPED, "{left} of {options} options are left");
}
