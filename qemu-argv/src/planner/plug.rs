//! Plans hotplug: the same sections and topology as at start, but QMP commands instead of arguments.
//!
//! No I/O: the result contains the commands and the plan that is valid after they were executed.

use super::builder::Builder;
use super::sections;
use super::{NewDevice, place};
use crate::error::{Fault, PlanError, Problem};
use crate::plan::{HotplugPlan, Object, OptionValue, Owner, Plan};
use crate::value::Value;

impl Plan {
    /// Plans to add a device to the running machine. It is placed on a free hotplug port; no other device moves.
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
    /// All problems of the device, with their places in its description; no free place; features that are only
    /// available at the start, such as shared memory.
    pub fn plug<'a>(&self, device: impl Into<NewDevice<'a>>) -> Result<HotplugPlan, PlanError> {
        let mut builder = Builder::joining(self);
        sections::one(&mut builder, device.into());
        self.only_at_start(&mut builder);

        let mut topology = self.topology.clone();
        let mut controllers = Vec::new();
        // An invalid device needs no place.
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
        // QEMU receives them by name, and uses them up when it creates the device.
        bundles[builder.there..].iter_mut().for_each(|bundle| fds.append(&mut bundle.fds));
        let added = bundles[builder.there..].to_vec();
        let id = added.iter().find_map(|bundle| bundle.main()).cloned().unwrap_or_default();
        if let Some(first) = bundles.iter_mut().find(|bundle| bundle.owner == Owner::Controllers) {
            first.devices.extend_from_slice(&controllers);
        }
        let plan = self.with(bundles, topology);
        Ok(HotplugPlan { id: id.to_string(), fds, controllers, bundles: added, plan })
    }

    /// Rejects what cannot be changed on a running machine.
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
