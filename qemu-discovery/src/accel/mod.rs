//! The choice of an accelerator.
//!
//! An accelerator is usable if it *was seen to run a guest at speed* with this program, machine type and CPU model:
//! there are hosts where `/dev/kvm` can be opened and firmware runs slowly, but a kernel never boots. The test takes
//! about 0.1 s on success and about a second otherwise; its result is cached until the next boot, or until the program,
//! the kernel or `/dev/kvm` change.

mod guest;
mod kvm;
mod target;
#[cfg(test)]
mod tests;
mod trial;
mod verdict;

use qemu_argv::{AccelChoice, Accelerator, Arch, Cpu, TargetCpu};
use serde::{Deserialize, Serialize};

pub use guest::Stage;
pub use trial::Trial;

use crate::probe::Probe;
use crate::{DiscoveryError, Obstacle, Places};
use verdict::{Request, Verdict};

/// The accelerator to use, with the CPU model that works with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Acceleration {
    /// The accelerator.
    pub accelerator: Accelerator,
    /// What a CPU model that is left out, or `host`, became, with the features that make it work; those that were asked
    /// for come on top. `None`: the caller's own word stands, or the machine type's default is best.
    pub cpu: Option<TargetCpu>,
    /// Whether each virtual CPU has a thread of its own. False for TCG where the guest's memory model is stronger than
    /// the host's, such as x86 guests on an Arm host.
    pub multi_threaded: bool,
    /// Why this one, in words.
    pub why: String,
    /// What the user should see even if they asked for nothing: an expected accelerator that is not usable.
    pub warning: Option<String>,
}

/// Chooses an accelerator for guests of the probed binary.
///
/// `machine` is the machine type, as it will be given to QEMU; of `cpu` model and features count, and without a model, or
/// with `host`, one that works is found. A named accelerator is obeyed; if it looks unusable, that is the warning, and
/// QEMU's own words follow when it is started.
///
/// # Errors
///
/// [`DiscoveryError::Io`] if the trial cannot be started at all, as when the binary is gone.
///
/// # Cancel safety
///
/// A trial that is running is ended, and nothing is kept of it.
pub async fn choose(
    choice: AccelChoice,
    probe: &Probe,
    machine: &str,
    cpu: &Cpu,
) -> Result<Acceleration, DiscoveryError> {
    choose_in(&Places::host(), choice, probe, machine, cpu).await
}

/// [`choose`] on a given host.
///
/// # Errors
///
/// As [`choose`].
pub async fn choose_in(
    places: &Places,
    choice: AccelChoice,
    probe: &Probe,
    machine: &str,
    cpu: &Cpu,
) -> Result<Acceleration, DiscoveryError> {
    let request = Request { places, probe, machine, cpu };
    let named = match choice {
        AccelChoice::Kvm => Accelerator::Kvm,
        AccelChoice::Hvf => Accelerator::Hvf,
        AccelChoice::Whpx => Accelerator::Whpx,
        AccelChoice::Tcg => return Ok(request.tcg("asked for".into(), None)),
        _ => return request.automatic().await,
    };
    Ok(match request.examine(named).await? {
        Verdict::Usable { cpu, why } => hardware(named, cpu, format!("asked for; {why}"), None),
        Verdict::Unusable { cpu, obstacle } => {
            let warning = format!("{named} was asked for, but it looks unusable: {obstacle}");
            hardware(named, cpu, "asked for".into(), Some(warning))
        }
    })
}

/// Runs the small guest once with exactly this accelerator and CPU model, whatever is known from earlier.
///
/// # Errors
///
/// [`DiscoveryError::Io`] if QEMU cannot be started.
pub async fn run_trial(
    probe: &Probe,
    machine: &str,
    accelerator: Accelerator,
    cpu: Option<&TargetCpu>,
) -> Result<Trial, DiscoveryError> {
    trial::run(trial::Setup { binary: &probe.binary, arch: probe.arch, machine, accelerator, cpu }).await
}

/// The status of the host's accelerator for a program.
pub(crate) struct Standing {
    /// The accelerator of this kind of host.
    pub accelerator: Accelerator,
    /// Why it cannot be used.
    pub obstacle: Option<Obstacle>,
    /// What was measured, if it can be used.
    pub why: String,
}

/// Determines the status of the host's accelerator.
pub(crate) async fn standing(
    places: &Places,
    probe: &Probe,
    machine: &str,
) -> Result<Standing, DiscoveryError> {
    let accelerator = host_accelerator();
    let cpu = Cpu::default();
    let request = Request { places, probe, machine, cpu: &cpu };
    Ok(match request.examine(accelerator).await? {
        Verdict::Usable { why, .. } => Standing { accelerator, obstacle: None, why },
        Verdict::Unusable { obstacle, .. } => {
            Standing { accelerator, obstacle: Some(obstacle), why: String::new() }
        }
    })
}

/// Checks whether the host's accelerator can be opened, which is all that can be tested without QEMU. Returns `None` if
/// it has no device.
pub(crate) fn device(places: &Places) -> Option<Result<(), Obstacle>> {
    (host_accelerator() == Accelerator::Kvm).then(|| kvm::check(places))
}

/// Returns the accelerator of this kind of host, other than TCG.
const fn host_accelerator() -> Accelerator {
    if cfg!(target_os = "macos") {
        Accelerator::Hvf
    } else if cfg!(target_os = "windows") {
        Accelerator::Whpx
    } else {
        Accelerator::Kvm
    }
}

impl Request<'_> {
    async fn automatic(&self) -> Result<Acceleration, DiscoveryError> {
        let accelerator = host_accelerator();
        if let Some(why) = self.foreign(accelerator) {
            return Ok(self.tcg(why, None));
        }
        Ok(match self.examine(accelerator).await? {
            Verdict::Usable { cpu, why } => hardware(accelerator, cpu, why, None),
            Verdict::Unusable { obstacle, .. } => {
                // Kept short, since it is printed at every start. The obstacle is in `why`, and in the doctor's report.
                let warning = format!(
                    "no {}, the guest runs slowly (TCG); `qemuctl doctor` says why",
                    accelerator.qemu_name().to_uppercase()
                );
                self.tcg(obstacle.why, Some(warning))
            }
        })
    }

    /// Chooses TCG with the most capable CPU model, since it does not support `host`.
    fn tcg(&self, why: String, warning: Option<String>) -> Acceleration {
        let arch = self.probe.arch;
        let cpu =
            if self.is_free() { arch.default_cpu(self.probe.version).map(TargetCpu::new) } else { None };
        let multi_threaded = tcg_is_multi_threaded(arch, Arch::host());
        Acceleration { accelerator: Accelerator::Tcg, cpu, multi_threaded, why, warning }
    }
}

/// Chooses a hardware accelerator. Without a CPU model, the config's applies.
fn hardware(
    accelerator: Accelerator,
    cpu: Option<TargetCpu>,
    why: String,
    warning: Option<String>,
) -> Acceleration {
    Acceleration { accelerator, cpu, multi_threaded: true, why, warning }
}

/// QEMU's own rule: the guest's processors must promise no more about the order of memory accesses than the host's do.
/// x86 and s390x promise much, everybody else little.
fn tcg_is_multi_threaded(guest: Arch, host: Option<Arch>) -> bool {
    let strong = |arch| matches!(arch, Arch::X86_64 | Arch::I386 | Arch::S390x);
    !strong(guest) || host.is_some_and(strong)
}
