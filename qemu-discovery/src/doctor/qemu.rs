//! QEMU itself, its accelerator and firmware.

use std::iter;
use std::path::Path;

use qemu_argv::{Accelerator, Arch};

use super::check::{Check, shown};
use crate::accel::{self, Standing};
use crate::error::in_full;
use crate::firmware::{self, Wanted};
use crate::{DiscoveryError, Obstacle, Places, Probe, all_binaries_in, find_binary_in, probe_in};

pub(super) async fn checks(places: &Places, explicit: Option<&Path>) -> Vec<Check> {
    let arch = Arch::host().unwrap_or(Arch::X86_64);
    let probed = match find_binary_in(places, arch, explicit) {
        Ok(binary) => probe_in(places, &binary).await,
        Err(error) => Err(error),
    };
    let probe = match probed {
        Ok(probe) => probe,
        Err(error) => {
            let problem = match error {
                DiscoveryError::NoBinary { hint, .. } => {
                    let others = others(places, None);
                    Check::problem("qemu", format!("no QEMU for {arch} guests{others}")).remedy(hint)
                }
                error => Check::problem("qemu", in_full(&error)),
            };
            return iter::once(problem).chain(device(places)).collect();
        }
    };
    let mut checks = vec![qemu(places, &probe), acceleration(places, &probe).await];
    checks.extend(firmware(places, &probe));
    checks.push(sandbox(&probe));
    checks
}

fn qemu(places: &Places, probe: &Probe) -> Check {
    /// The oldest release that the project is tried with.
    const OLDEST: qemu_argv::Version = qemu_argv::Version::new(7, 2);
    let package = if probe.package.is_empty() { String::new() } else { format!(" ({})", probe.package) };
    let others = others(places, Some(probe.arch));
    let detail = format!("{} {}{package}{others}", shown(places, &probe.binary), probe.version);
    if probe.version < OLDEST {
        return Check::warning("qemu", detail)
            .remedy(format!("use QEMU {}.{} or later", OLDEST.major, OLDEST.minor));
    }
    if probe.devices.is_none() {
        let detail =
            format!("{detail}; it crashes when its devices are listed, as with modules of a different build");
        return Check::warning("qemu", detail)
            .remedy("install QEMU's modules in the same version as QEMU, or remove them");
    }
    Check::ok("qemu", detail)
}

/// The other architectures that there is a QEMU for.
fn others(places: &Places, but: Option<Arch>) -> String {
    let mut names: Vec<&str> = all_binaries_in(places)
        .into_iter()
        .filter(|(arch, _)| Some(*arch) != but)
        .map(|(arch, _)| arch.qemu_name())
        .collect();
    names.dedup();
    if names.is_empty() { String::new() } else { format!("; also for {}", names.join(", ")) }
}

/// What a check of acceleration is called.
const ACCELERATION: &str = "acceleration";

/// The accelerator, as far as it can be looked at without a QEMU.
fn device(places: &Places) -> Option<Check> {
    Some(match accel::device(places)? {
        Ok(()) => Check::ok(ACCELERATION, "/dev/kvm can be opened; testing it further requires QEMU"),
        Err(obstacle) => slow(Accelerator::Kvm, obstacle),
    })
}

fn slow(accelerator: Accelerator, obstacle: Obstacle) -> Check {
    let detail = format!("{accelerator} is not usable, so guests run slowly (TCG): {}", obstacle.why);
    let check = Check::warning(ACCELERATION, detail);
    match obstacle.remedy {
        Some(remedy) => check.remedy(remedy),
        None => check,
    }
}

async fn acceleration(places: &Places, probe: &Probe) -> Check {
    let machine = probe.arch.default_machine();
    match accel::standing(places, probe, machine).await {
        Ok(Standing { accelerator, obstacle: None, why }) => {
            Check::ok(ACCELERATION, format!("{accelerator}: {why}"))
        }
        Ok(Standing { accelerator, obstacle: Some(obstacle), .. }) => slow(accelerator, obstacle),
        Err(error) => Check::problem(ACCELERATION, in_full(&error)),
    }
}

fn firmware(places: &Places, probe: &Probe) -> Vec<Check> {
    if !matches!(probe.arch, Arch::X86_64 | Arch::Aarch64 | Arch::Arm | Arch::Riscv64 | Arch::Loongarch64) {
        return Vec::new();
    }
    let default = probe.arch.default_machine();
    let machine = probe.machine(default).map_or(default, |machine| machine.name.as_str());
    let wanted = Wanted::uefi(probe.arch, machine);
    let look = |name, wanted: &Wanted| match firmware::find_in(places, wanted) {
        Ok(found) => {
            let origin = found.descriptor.as_deref().map(|path| shown(places, path));
            let origin = origin.unwrap_or_else(|| "a well-known path, without a descriptor".into());
            Check::ok(name, format!("{} ({origin})", shown(places, &found.code.path)))
        }
        Err(DiscoveryError::NoFirmware { wanted, hint }) => {
            Check::warning(name, format!("none for {wanted}")).remedy(hint)
        }
        Err(error) => Check::warning(name, in_full(&error)),
    };
    let mut checks = vec![look("uefi", &wanted)];
    if matches!(probe.arch, Arch::X86_64 | Arch::Aarch64) {
        checks.push(look("secure boot", &wanted.secure()));
    }
    checks
}

fn sandbox(probe: &Probe) -> Check {
    if probe.options.contains_key("sandbox") {
        Check::ok("sandbox", "this QEMU supports -sandbox")
    } else {
        Check::warning(
            "sandbox",
            "this QEMU was built without -sandbox, so its system calls cannot be restricted",
        )
        .remedy("use a build with seccomp")
    }
}
