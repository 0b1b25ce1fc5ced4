//! Which accelerator a guest gets, and why.
//!
//! Usable means *seen to run a guest at speed* with this very binary, machine type and CPU model: a `/dev/kvm` may open
//! and a firmware crawl along under it where a kernel never comes up. The trial costs about 0.1 s where all is well and
//! about a second where it is not; its outcome is kept until the next boot or until binary, kernel or `/dev/kvm` change.

mod guest;
mod kvm;
#[cfg(test)]
mod tests;
mod trial;

use std::time::Duration;

use qemu_argv::{AccelChoice, Accelerator, Arch};
use serde::{Deserialize, Serialize};

pub use guest::Stage;
pub use trial::Trial;

use crate::cache::Slot;
use crate::probe::Probe;
use crate::{DiscoveryError, Obstacle, Places};

/// The accelerator to use, with the CPU model that works with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Acceleration {
    /// The accelerator.
    pub accelerator: Accelerator,
    /// What a CPU model that is left out, or `host`, became. `None`: the caller's own word stands, or the machine type's
    /// default is best.
    pub cpu: Option<String>,
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
/// `machine` is the machine type and `cpu` the CPU model with its features, both as they will be given to QEMU; without
/// `cpu`, or with `host`, a model that works is found. A named accelerator is obeyed; if it looks unusable, that is the
/// warning, and QEMU's own words follow when it is started.
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
    cpu: Option<&str>,
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
    cpu: Option<&str>,
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
    cpu: Option<&str>,
) -> Result<Trial, DiscoveryError> {
    trial::run(trial::Setup { binary: &probe.binary, arch: probe.arch, machine, accelerator, cpu }).await
}

/// How it stands with the host's accelerator for a binary.
pub(crate) struct Standing {
    /// The accelerator that a host of this kind has.
    pub accelerator: Accelerator,
    /// What keeps it from being used.
    pub obstacle: Option<Obstacle>,
    /// What was seen, if nothing does.
    pub why: String,
}

/// Finds out how it stands with the host's accelerator.
pub(crate) async fn standing(
    places: &Places,
    probe: &Probe,
    machine: &str,
) -> Result<Standing, DiscoveryError> {
    let accelerator = host_accelerator();
    let request = Request { places, probe, machine, cpu: None };
    Ok(match request.examine(accelerator).await? {
        Verdict::Usable { why, .. } => Standing { accelerator, obstacle: None, why },
        Verdict::Unusable { obstacle, .. } => {
            Standing { accelerator, obstacle: Some(obstacle), why: String::new() }
        }
    })
}

/// The accelerator that a host of this kind has, TCG apart.
const fn host_accelerator() -> Accelerator {
    if cfg!(target_os = "macos") {
        Accelerator::Hvf
    } else if cfg!(target_os = "windows") {
        Accelerator::Whpx
    } else {
        Accelerator::Kvm
    }
}

/// What is to be run, and where.
struct Request<'a> {
    places: &'a Places,
    probe: &'a Probe,
    machine: &'a str,
    cpu: Option<&'a str>,
}

/// What is known about one accelerator.
enum Verdict {
    /// It runs guests at speed, with this CPU model.
    Usable { cpu: Option<String>, why: String },
    /// It does not; the model is the one that got furthest.
    Unusable { cpu: Option<String>, obstacle: Obstacle },
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
                let warning =
                    format!("{accelerator} is not usable, so the guest runs under TCG, slowly: {obstacle}");
                self.tcg(obstacle.why, Some(warning))
            }
        })
    }

    /// Why nobody would expect acceleration: the guest's architecture is not the host's.
    fn foreign(&self, accelerator: Accelerator) -> Option<String> {
        let host = Arch::host();
        let native = match self.probe.arch {
            Arch::I386 => host == Some(Arch::X86_64) || host == Some(Arch::I386),
            arch => host == Some(arch),
        };
        let host = host.map_or_else(|| "this".into(), |host| host.to_string());
        (!native).then(|| format!("no {accelerator} for {} guests on {host} hosts", self.probe.arch))
    }

    async fn examine(&self, accelerator: Accelerator) -> Result<Verdict, DiscoveryError> {
        let unusable = |obstacle| Ok(Verdict::Unusable { cpu: None, obstacle });
        if let Some(why) = self.foreign(accelerator) {
            return unusable(Obstacle::new(why));
        }
        if !self.probe.accelerators.contains(accelerator.qemu_name()) {
            let binary = self.places.inside(&self.probe.binary).display().to_string();
            return unusable(
                Obstacle::new(format!("{binary} was built without {accelerator}"))
                    .remedy("install another build of QEMU"),
            );
        }
        if accelerator == Accelerator::Kvm
            && let Err(obstacle) = kvm::check(self.places)
        {
            return unusable(obstacle);
        }
        self.climb(accelerator).await
    }

    /// Tries one CPU model after the other, from the best down, until one works.
    ///
    /// A guest that runs and does not get on is the accelerator's fault, not the model's: that ends the climb.
    async fn climb(&self, accelerator: Accelerator) -> Result<Verdict, DiscoveryError> {
        let models = self.models();
        let mut first_fault = None;
        for model in &models {
            let trial = self.tried(accelerator, model.as_deref()).await?;
            let fault = match trial {
                Trial::Passed { cpu_ms } => {
                    let why =
                        format!("{accelerator} ran a guest{} in {cpu_ms} ms", with_cpu(model.as_deref()));
                    return Ok(Verdict::Usable { cpu: self.answer(model.as_deref()), why });
                }
                Trial::NoGuest => {
                    let why =
                        format!("{accelerator} opens; whether it is fast was not tried on this architecture");
                    return Ok(Verdict::Usable { cpu: self.answer(model.as_deref()), why });
                }
                Trial::Slow { .. } | Trial::Stuck { .. } => {
                    let obstacle = self.no_progress(&trial);
                    return Ok(Verdict::Unusable { cpu: self.answer(model.as_deref()), obstacle });
                }
                Trial::Died { signal, words, .. } => {
                    let verb = if signal.is_some() { "aborts" } else { "fails" };
                    let option = model
                        .as_deref()
                        .map_or_else(|| accelerator.to_string(), |model| format!("-cpu {model}"));
                    Obstacle::new(format!("{option} {verb}: {words}"))
                }
            };
            first_fault.get_or_insert(fault);
        }
        let obstacle = first_fault.unwrap_or_else(|| Obstacle::new("no CPU model to try"));
        let cpu = self.answer(models.first().and_then(Option::as_deref));
        Ok(Verdict::Unusable { cpu, obstacle })
    }

    /// The models worth trying. One that the user named is the only one; `host` may be amended.
    fn models(&self) -> Vec<Option<String>> {
        match self.cpu {
            Some(cpu) if cpu == "host" || cpu.starts_with("host,") => self.host_models(cpu),
            Some(cpu) => vec![Some(cpu.to_owned())],
            None => {
                let mut models = self.host_models("host");
                models.push(Some("max".into()));
                // The machine type's own model: a plain one that every host can imitate.
                models.push(None);
                models
            }
        }
    }

    fn host_models(&self, cpu: &str) -> Vec<Option<String>> {
        let mut models = vec![Some(cpu.to_owned())];
        if matches!(self.probe.arch, Arch::X86_64 | Arch::I386) && !cpu.contains("arch-capabilities") {
            // QEMU up to 10.0 aborts where the host shows the register and refuses to set it.
            models.push(Some(format!("{cpu},-arch-capabilities")));
        }
        models
    }

    /// The CPU model for the answer: nothing if the caller named one and it was left as it is.
    fn answer(&self, model: Option<&str>) -> Option<String> {
        model.filter(|model| self.cpu != Some(model) || model.starts_with("host")).map(str::to_owned)
    }

    /// The outcome of a trial: from the cache, or fresh.
    async fn tried(&self, accelerator: Accelerator, cpu: Option<&str>) -> Result<Trial, DiscoveryError> {
        let probe = self.probe;
        let subject = (&probe.binary, self.machine, accelerator.qemu_name(), cpu);
        let slot = Slot::new(self.places, "accel", subject);
        let key = (kvm::Identity::of(self.places), probe.identity.clone());
        if let Some(trial) = slot.load(&key) {
            return Ok(trial);
        }
        let lock = slot.lock(Duration::from_secs(30)).await;
        if lock.is_some()
            && let Some(trial) = slot.load(&key)
        {
            return Ok(trial);
        }
        let setup =
            trial::Setup { binary: &probe.binary, arch: probe.arch, machine: self.machine, accelerator, cpu };
        let trial = trial::run(setup).await?;
        if trial.is_lasting() {
            slot.store(&key, &trial);
        }
        Ok(trial)
    }

    fn no_progress(&self, trial: &Trial) -> Obstacle {
        let how = match trial {
            Trial::Slow { stage, cpu_ms } => format!("{stage} in {cpu_ms} ms of processor time"),
            Trial::Stuck { stage } => format!("{stage}, and then nothing happened"),
            _ => String::new(),
        };
        let obstacle = Obstacle::new(format!("guest does not make progress: {how}"));
        if kvm::virtualization_flag(self.places) == Some(false) {
            let why =
                format!("{}; the processor offers neither vmx nor svm, so KVM only emulates", obstacle.why);
            Obstacle::new(why)
                .remedy("run on a host with hardware virtualization, or with nested virtualization allowed")
        } else {
            obstacle
        }
    }

    /// TCG with the most capable model: `host` means nothing to it.
    fn tcg(&self, why: String, warning: Option<String>) -> Acceleration {
        let probe = self.probe;
        let wants_best = self.cpu.is_none_or(|cpu| cpu == "host" || cpu.starts_with("host,"));
        let features = self.cpu.and_then(|cpu| cpu.strip_prefix("host")).unwrap_or_default();
        let best = probe.arch.default_cpu(probe.version).map(|model| format!("{model}{features}"));
        Acceleration {
            accelerator: Accelerator::Tcg,
            cpu: best.filter(|_| wants_best),
            multi_threaded: tcg_is_multi_threaded(probe.arch, Arch::host()),
            why,
            warning,
        }
    }
}

/// An accelerator that runs guests on the processor. Without a CPU model, what was asked for is obeyed.
fn hardware(
    accelerator: Accelerator,
    cpu: Option<String>,
    why: String,
    warning: Option<String>,
) -> Acceleration {
    Acceleration { accelerator, cpu, multi_threaded: true, why, warning }
}

fn with_cpu(cpu: Option<&str>) -> String {
    cpu.map(|cpu| format!(" with -cpu {cpu}")).unwrap_or_default()
}

/// QEMU's own rule: the guest's processors must promise no more about the order of memory accesses than the host's do.
/// x86 and s390x promise much, everybody else little.
fn tcg_is_multi_threaded(guest: Arch, host: Option<Arch>) -> bool {
    let strong = |arch| matches!(arch, Arch::X86_64 | Arch::I386 | Arch::S390x);
    !strong(guest) || host.is_some_and(strong)
}
