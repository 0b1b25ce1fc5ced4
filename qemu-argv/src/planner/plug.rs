//! One more device for a machine that runs: the same renderers and the same planner as at start, and QMP commands instead
//! of arguments.
//!
//! Pure, as planning is: the result holds the commands and the plan as it will be once they were carried out.

use super::builder::Builder;
use super::sections;
use super::{NewDevice, place};
use crate::error::{Fault, PlanError, Problem};
use crate::plan::{HotplugPlan, Object, OptionValue, Owner, Plan};
use crate::value::Value;

impl Plan {
    /// Plans one more device while the machine runs. It gets a free place that takes hotplug; nothing else moves.
    ///
    /// ```
    /// use qemu_argv::{Arch, Disk, Endpoints, Target, Version, VmConfig, plan};
    ///
    /// let target = Target::new(Version::new(10, 0), Arch::X86_64);
    /// let plan = plan(&VmConfig::default(), &target, &Endpoints::default())?;
    /// let addition = plan.plug(&Disk::file("/vm/more.qcow2"))?;
    /// let names: Vec<_> = addition.commands().iter().map(|command| command.name).collect();
    /// assert_eq!(names, ["blockdev-add", "blockdev-add", "device_add"]);
    /// # Ok::<(), qemu_argv::PlanError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the device, with its place in the section that describes it; no free place; what
    /// can be had only from the start, such as memory that other processes see.
    pub fn plug<'a>(&self, device: impl Into<NewDevice<'a>>) -> Result<HotplugPlan, PlanError> {
        let mut builder = Builder::joining(self);
        sections::one(&mut builder, device.into());
        self.only_at_start(&mut builder);

        let mut topology = self.topology.clone();
        let mut controllers = Vec::new();
        // A device that is wrong anyway needs no place.
        let requests =
            if builder.problems.is_empty() { std::mem::take(&mut builder.requests) } else { Vec::new() };
        for (bundle, index, request) in requests {
            match topology.plug(&request) {
                Ok(plugged) => {
                    controllers.extend(plugged.controllers.iter().map(place::device));
                    builder.bundles[bundle].devices[index].place = plugged.placement;
                }
                Err(problem) => {
                    let path = String::new();
                    builder.problems.push(Problem { path, fault: Fault::NoPlace(problem) });
                }
            }
        }
        if !builder.problems.is_empty() {
            return Err(PlanError { problems: builder.problems });
        }

        let mut bundles = builder.bundles;
        let mut fds = Vec::new();
        // QEMU has them by name, and has used them up when the device is there.
        bundles[builder.there..].iter_mut().for_each(|bundle| fds.append(&mut bundle.fds));
        let added = bundles[builder.there..].to_vec();
        let id = added.iter().find_map(|bundle| bundle.main()).cloned().unwrap_or_default();
        if let Some(first) = bundles.iter_mut().find(|bundle| bundle.owner == Owner::Controllers) {
            first.devices.extend_from_slice(&controllers);
        }
        let plan = self.with(bundles, topology);
        Ok(HotplugPlan { id: id.to_string(), fds, controllers, bundles: added, plan })
    }

    /// Refuses what a running machine cannot be given any more.
    fn only_at_start(&self, builder: &mut Builder<'_>) {
        let mut refuse = |why: &str| {
            builder.problems.push(Problem {
                path: String::new(),
                fault: Fault::Conflict {
                    why: format!("{why}; add it to the config and restart the machine"),
                },
            });
        };
        let shared = |object: &Object| {
            object.qom_type.starts_with("memory-backend")
                && object.props.get("share") == Some(&Value::Bool(true))
        };
        if builder.shared_memory && !self.objects().any(shared) {
            refuse("it requires shared memory, and this machine's memory is private");
        }
        let denied = |key| {
            self.options.iter().any(|option| {
                let OptionValue::KeyValue(props) = &option.value else { return false };
                option.name == "-sandbox" && props.get_str(key) == Some("deny")
            })
        };
        let needs = builder.sandbox;
        if needs.spawn && denied("spawn") || needs.elevate && denied("elevateprivileges") {
            refuse("it starts a program, which this machine's sandbox denies");
        }
        if !builder.options.is_empty() || !builder.machine.is_empty() {
            refuse("it requires a command-line option");
        }
    }
}
