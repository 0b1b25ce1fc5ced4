//! The verdict about an accelerator: the obstacle, or the CPU model that works.

use std::time::Duration;

use qemu_argv::{Accelerator, Arch, Cpu, Props, TargetCpu};

use super::{Trial, kvm, trial};
use crate::cache::Slot;
use crate::{DiscoveryError, Obstacle, Places, Probe};

/// What is to be run, and where.
pub(super) struct Request<'a> {
    pub(super) places: &'a Places,
    pub(super) probe: &'a Probe,
    pub(super) machine: &'a str,
    pub(super) cpu: &'a Cpu,
}

/// What is known about one accelerator.
pub(super) enum Verdict {
    /// It runs guests at speed, with this CPU model.
    Usable { cpu: Option<TargetCpu>, why: String },
    /// It does not; the model is the one that got furthest.
    Unusable { cpu: Option<TargetCpu>, obstacle: Obstacle },
}

/// A feature that stands for a register of the processor.
const ARCH_CAPABILITIES: &str = "arch-capabilities";

/// A CPU model worth trying.
struct Candidate {
    /// What a model that is left out, or `host`, becomes. `None`: the caller's own word stands.
    answer: Option<TargetCpu>,
    /// What is tried: with the features that were asked for.
    tried: TargetCpu,
}

impl Request<'_> {
    /// Returns why there is no acceleration, if the guest's architecture is not the host's.
    pub(super) fn foreign(&self, accelerator: Accelerator) -> Option<String> {
        let host = Arch::host();
        let native = match self.probe.arch {
            Arch::I386 => host == Some(Arch::X86_64) || host == Some(Arch::I386),
            arch => host == Some(arch),
        };
        let host = host.map_or_else(|| "this".into(), |host| host.to_string());
        (!native).then(|| format!("no {accelerator} for {} guests on {host} hosts", self.probe.arch))
    }

    /// Whether the CPU model can be chosen freely.
    pub(super) fn is_free(&self) -> bool {
        self.cpu.model.as_deref().is_none_or(|model| model == "host")
    }

    pub(super) async fn examine(&self, accelerator: Accelerator) -> Result<Verdict, DiscoveryError> {
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

    /// Tries CPU models, the best first, until one works.
    ///
    /// A guest that starts but makes no progress is the fault of the accelerator, not of the model, so no more are
    /// tried.
    async fn climb(&self, accelerator: Accelerator) -> Result<Verdict, DiscoveryError> {
        let mut first = None;
        for Candidate { answer, tried } in self.candidates() {
            let trial = self.tried(accelerator, &tried).await?;
            let fault = match trial {
                Trial::Passed { cpu_ms } => {
                    let why = format!("{accelerator} ran a test guest with -cpu {tried} in {cpu_ms} ms");
                    return Ok(Verdict::Usable { cpu: answer, why });
                }
                Trial::NoGuest => {
                    let why =
                        format!("{accelerator} is available; its speed was not tested on this architecture");
                    return Ok(Verdict::Usable { cpu: answer, why });
                }
                Trial::Slow { .. } | Trial::Stuck { .. } => {
                    return Ok(Verdict::Unusable { cpu: answer, obstacle: self.no_progress(&trial) });
                }
                Trial::Died { signal, words, .. } => {
                    let verb = if signal.is_some() { "aborts" } else { "fails" };
                    Obstacle::new(format!("-cpu {tried} {verb}: {words}"))
                }
            };
            first.get_or_insert((answer, fault));
        }
        let (cpu, obstacle) = first.unwrap_or_else(|| (None, Obstacle::new("no CPU model to try")));
        Ok(Verdict::Unusable { cpu, obstacle })
    }

    /// Returns the models to try, the best first. A model chosen by the user is the only one, except for `host`, which
    /// may be adapted.
    fn candidates(&self) -> Vec<Candidate> {
        let features = &self.cpu.features;
        let free =
            |answer: TargetCpu| Candidate { tried: answer.clone().with(features), answer: Some(answer) };
        if let Some(named) = self.cpu.model.as_deref().filter(|_| !self.is_free()) {
            return vec![Candidate { answer: None, tried: TargetCpu::new(named).with(features) }];
        }
        let mut candidates = vec![free(TargetCpu::new("host"))];
        let is_x86 = matches!(self.probe.arch, Arch::X86_64 | Arch::I386);
        if is_x86 && features.get(ARCH_CAPABILITIES).is_none() {
            // QEMU up to 10.0 aborts where the host shows the register and refuses to set it.
            let without = Props::new().with(ARCH_CAPABILITIES, false);
            candidates.push(free(TargetCpu::new("host").with(&without)));
        }
        if self.cpu.model.is_none() {
            candidates.push(free(TargetCpu::new("max")));
            candidates.extend(self.board_model().map(TargetCpu::new).map(free));
        }
        candidates
    }

    /// The machine type's own model: on x86 a plain one that every host can imitate.
    fn board_model(&self) -> Option<&str> {
        let kind = self.probe.machine(self.machine)?.default_cpu_type.as_deref()?;
        // `qemu64-x86_64-cpu`; Arm's end in `-arm-cpu` for both word sizes.
        let arch = if self.probe.arch == Arch::Aarch64 { "arm" } else { self.probe.arch.qemu_name() };
        kind.strip_suffix("-cpu")?.strip_suffix(arch)?.strip_suffix('-')
    }

    /// The outcome of a trial: from the cache, or fresh.
    async fn tried(&self, accelerator: Accelerator, cpu: &TargetCpu) -> Result<Trial, DiscoveryError> {
        let probe = self.probe;
        let subject = (&probe.binary, self.machine, accelerator.qemu_name(), cpu.to_string());
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
        let setup = trial::Setup {
            binary: &probe.binary,
            arch: probe.arch,
            machine: self.machine,
            accelerator,
            cpu: Some(cpu),
        };
        let trial = trial::run(setup).await?;
        if trial.is_lasting() {
            slot.store(&key, &trial);
        }
        Ok(trial)
    }

    fn no_progress(&self, trial: &Trial) -> Obstacle {
        let how = match trial {
            Trial::Slow { stage, cpu_ms } => format!("{stage} in {cpu_ms} ms of CPU time"),
            Trial::Stuck { stage } => format!("{stage}, and then hung"),
            _ => String::new(),
        };
        let obstacle = Obstacle::new(format!("a test guest makes no progress: {how}"));
        if kvm::virtualization_flag(self.places) == Some(false) {
            let why = format!("{}; the CPU has neither vmx nor svm, so KVM only emulates", obstacle.why);
            Obstacle::new(why)
                .remedy("run on a host with hardware virtualization, or with nested virtualization allowed")
        } else {
            obstacle
        }
    }
}
