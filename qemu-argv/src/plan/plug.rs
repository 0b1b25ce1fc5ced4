//! One more device for a machine that runs: the same renderers and the same planner as at start, and QMP commands instead
//! of arguments.
//!
//! Pure, as planning is: the result holds the commands and the plan as it will be once they were carried out.

use std::path::PathBuf;

use super::{Addition, NewDevice, Plan, place};
use crate::config::{CharBackend, Chardev, Iothread, Secret, Spice, Tls, TlsEndpoint, TlsKind, VmConfig};
use crate::draft::{Draft, Space};
use crate::endpoints::Endpoints;
use crate::error::{Fault, PlanError, Problem};
use crate::parts::{Device, Object, OptionValue};
use crate::render;
use crate::target::Target;
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
    pub fn plug<'a>(&self, device: impl Into<NewDevice<'a>>) -> Result<Addition, PlanError> {
        let device = device.into();
        let (config, list) = self.around(device);
        let target = Target { accel: self.accel, ..Target::new(self.version, self.arch) };
        let directory = self.sockets.first().and_then(|socket| socket.path.parent());
        let endpoints = Endpoints { qmp_fd: None, socket_dir: directory.map(PathBuf::from) };
        let mut draft = Draft::joining(self, &config, &target, &endpoints);
        render::one(&mut draft, device);
        self.only_at_start(&mut draft);
        self.unlike_the_others(&mut draft);

        let mut topology = self.topology.clone();
        let mut controllers = Vec::new();
        // A device that is wrong anyway needs no place.
        let requests =
            if draft.problems.is_empty() { std::mem::take(&mut draft.requests) } else { Vec::new() };
        for (index, request) in requests {
            match topology.plug(&request) {
                Ok(plugged) => {
                    controllers.extend(plugged.controllers.iter().map(place::device));
                    draft.devices[index].place = plugged.placement;
                }
                Err(problem) => {
                    let path = draft.where_named(Space::Device, &request.id).unwrap_or_default().to_owned();
                    draft.problems.push(Problem { path, fault: Fault::NoPlace(problem) });
                }
            }
        }
        if !draft.problems.is_empty() {
            let mut problems = draft.problems;
            for problem in &mut problems {
                let inside = problem.path.strip_prefix(list).and_then(|path| path.strip_prefix("[0]"));
                if let Some(inside) = inside {
                    problem.path = inside.trim_start_matches('.').to_owned();
                }
            }
            return Err(PlanError { problems });
        }
        let id = draft.devices.last().map(|device| &device.id);
        let id = id.or_else(|| draft.netdevs.last().map(|netdev| &netdev.id)).cloned().unwrap_or_default();
        controllers.append(&mut draft.devices);

        let mut plan = Self { topology, ..self.clone() };
        plan.objects.extend_from_slice(&draft.objects);
        plan.chardevs.extend_from_slice(&draft.chardevs);
        plan.block_nodes.extend_from_slice(&draft.nodes);
        plan.netdevs.extend_from_slice(&draft.netdevs);
        plan.devices.extend_from_slice(&controllers);
        plan.sockets.extend_from_slice(&draft.sockets);
        plan.own_ids.append(&mut draft.own_ids);
        Ok(Addition {
            id: id.to_string(),
            fds: draft.fds,
            sockets: draft.sockets,
            objects: draft.objects,
            chardevs: draft.chardevs,
            block_nodes: draft.nodes,
            netdevs: draft.netdevs,
            devices: controllers,
            plan,
        })
    }

    /// A configuration with this device alone, beside what it may refer to; and the list that the device is in.
    fn around(&self, device: NewDevice<'_>) -> (VmConfig, &'static str) {
        let objects =
            |kind: &'static str| self.objects.iter().filter(move |object| object.qom_type.starts_with(kind));
        let tls = objects("tls-creds-").map(|object| Tls {
            id: object.id.to_string(),
            dir: PathBuf::new(),
            endpoint: match object.props.get_str("endpoint") {
                Some("server") => TlsEndpoint::Server,
                _ => TlsEndpoint::Client,
            },
            kind: TlsKind::default(),
            verify_peer: None,
            password_secret: None,
            username: None,
            priority: None,
        });
        let has_spice = self.options.iter().any(|option| option.name == "-spice");
        let mut config = VmConfig {
            name: Some(self.name.clone()),
            secrets: objects("secret").map(|object| Secret::file(object.id.as_str(), "")).collect(),
            tls: tls.collect(),
            iothreads: objects("iothread").map(|object| Iothread::new(object.id.as_str())).collect(),
            chardevs: self
                .chardevs
                .iter()
                .map(|node| Chardev::new(node.id.as_str(), CharBackend::Null))
                .collect(),
            spice: has_spice.then(Spice::default),
            ..VmConfig::default()
        };
        let list = match device {
            NewDevice::Disk(disk) => {
                config.disks.push(disk.clone());
                "disks"
            }
            NewDevice::Cdrom(cdrom) => {
                config.cdroms.push(cdrom.clone());
                "cdroms"
            }
            NewDevice::Network(network) => {
                config.networks.push(network.clone());
                "networks"
            }
            NewDevice::Usb(usb) => {
                config.usb_devices.push(usb.clone());
                "usb_devices"
            }
            NewDevice::Channel(channel) => {
                config.channels.push(channel.clone());
                "channels"
            }
            NewDevice::Host(host) => {
                config.host_devices.push(host.clone());
                "host_devices"
            }
            NewDevice::Other(other) => {
                config.devices.push(other.clone());
                "devices"
            }
        };
        (config, list)
    }

    /// Refuses what a running machine cannot be given any more.
    fn only_at_start(&self, draft: &mut Draft<'_>) {
        let mut refuse = |why: &str| {
            draft.problems.push(Problem {
                path: String::new(),
                fault: Fault::Conflict {
                    why: format!("{why}: add it to the configuration, and start the machine again"),
                },
            });
        };
        let shared = |object: &Object| {
            object.qom_type.starts_with("memory-backend")
                && object.props.get("share") == Some(&Value::Bool(true))
        };
        if draft.shared_memory && !self.objects.iter().any(shared) {
            refuse("it needs memory that other processes see, and this machine's is its own");
        }
        let denied = |key| {
            self.options.iter().any(|option| {
                let OptionValue::KeyValue(props) = &option.value else { return false };
                option.name == "-sandbox" && props.get_str(key) == Some("deny")
            })
        };
        let needs = draft.sandbox;
        if needs.spawn && denied("spawn") || needs.elevate && denied("elevateprivileges") {
            refuse("it starts a program, and this machine's sandbox denies that");
        }
        if !draft.options.is_empty() || !draft.machine.is_empty() {
            refuse("it needs an option of the command line");
        }
    }

    /// Refuses a MAC address that an interface has already, and texts that QMP cannot carry.
    fn unlike_the_others(&self, draft: &mut Draft<'_>) {
        let mut fault = |path: &str, fault| draft.problems.push(Problem { path: path.to_owned(), fault });
        for mac in draft.devices.iter().filter_map(|device| device.props.get_str("mac")) {
            let same = |device: &&Device| device.props.get_str("mac").is_some_and(|other| other == mac);
            if let Some(first) = self.devices.iter().find(same) {
                let first = first.id.to_string();
                fault("mac", Fault::Duplicate { what: "the MAC address", value: mac.to_owned(), first });
            }
        }
        if draft.chardevs.iter().any(|node| node.props.iter().any(|(_, value)| value.has_bytes())) {
            let why = "a path that is not UTF-8 stands where QEMU takes only text".to_owned();
            fault("", Fault::Conflict { why });
        }
    }
}
