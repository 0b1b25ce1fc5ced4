//! Devices that come and go while the VM runs.
//!
//! The plan decides where a device goes, as it did at the start, and is kept in the VM's record. One surprising rule: on
//! most machines it is the guest that lets go of a device. QEMU only asks it, and a guest without a running system never
//! answers.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use qemu_argv::{FdRole, NewDevice, Plan, QmpCommand, Removal, Size};
use qmp_client::{ClientError, Events, EventsError, Session};
use qmp_proto::{AnyEvent, DeviceAdd, ErrorClass, QomList, QueryHotpluggableCpus};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::instance::Instance;
use crate::runtime::Plans;

/// Where QEMU keeps the devices that have an id.
const DEVICES: &str = "/machine/peripheral";

impl Instance {
    /// Adds a device to the running VM, as its configuration would describe it: a [`Disk`](qemu_argv::Disk), a
    /// [`Network`](qemu_argv::Network), and so on. Returns its id, by which [`unplug`](Self::unplug) removes it.
    ///
    /// It gets a free place that takes hotplug (see [`VmConfig::hotplug_ports`](qemu_argv::VmConfig::hotplug_ports)); no
    /// other device moves.
    ///
    /// ```no_run
    /// # async fn example(vm: &qemuctl::Instance) -> Result<(), qemuctl::Error> {
    /// use std::time::Duration;
    /// use qemuctl::Disk;
    ///
    /// let id = vm.plug(&Disk::file("/vm/more.qcow2")).await?;
    /// vm.unplug(&id, Duration::from_secs(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::Plan`] lists everything that is wrong with the device; nothing was sent to QEMU then.
    /// - [`Error::Unsupported`] if the VM was launched by something else: its plan is not known. Send it the command
    ///   `device_add` with [`execute`](Self::execute).
    /// - [`Error::Qmp`] if QEMU refuses a part; those before it are taken back.
    ///
    /// # Cancel safety
    ///
    /// Once begun it is carried out to its end, or taken back, even if the future is dropped.
    #[doc(alias = "device_add")]
    #[doc(alias = "add_disk")]
    #[doc(alias = "add_nic")]
    pub async fn plug<'d>(&self, device: impl Into<NewDevice<'d>>) -> Result<String, Error> {
        self.plug_with(device, Vec::new()).await
    }

    /// Like [`plug`](Self::plug), with descriptors that QEMU gets for the device, such as the queues of a tap
    /// interface, by what the plan wants them for.
    ///
    /// # Errors
    ///
    /// As [`plug`](Self::plug), and [`Error::Missing`] if a descriptor that the device needs is not among them.
    ///
    /// # Cancel safety
    ///
    /// As [`plug`](Self::plug).
    pub async fn plug_with<'d>(
        &self,
        device: impl Into<NewDevice<'d>>,
        descriptors: Vec<(FdRole, OwnedFd)>,
    ) -> Result<String, Error> {
        let changing = self.plans().change().await?;
        let plan = self.plan().ok_or_else(|| self.unplanned())?;
        let addition = plan.plug(device)?;
        let mut descriptors = descriptors;
        let mut passed = Vec::new();
        for slot in &addition.fds {
            let found = descriptors.iter().position(|(role, _)| *role == slot.role);
            let at = found.ok_or_else(|| self.missing(&format!("descriptor for {:?}", slot.role)))?;
            passed.push((slot.monitor_name(), descriptors.swap_remove(at).1));
        }
        for socket in &addition.sockets {
            crate::runtime::check_socket_path(&socket.path)?;
        }
        self.vm().own_files(addition.sockets.iter().map(|socket| socket.path.clone()));
        // A place that is written down and not used is no harm; one used and not written down would be.
        let (id, commands) = (addition.id.clone(), addition.commands());
        self.plans().set(addition.plan)?;
        let (session, plans) = (self.qmp().clone(), self.plans().clone());
        let task = tokio::spawn(async move {
            let added = add(&session, commands, passed).await;
            if added.is_err() {
                // The error of the device is the one to tell.
                let _ = plans.set(plan.as_ref().clone());
            }
            drop(changing);
            added
        });
        match task.await {
            Ok(Ok(())) => Ok(id),
            Ok(Err(error)) => Err(self.explain("device_add", error)),
            Err(error) => Err(task_ended(error)),
        }
    }

    /// Removes a device from the running VM, and what is behind it: a disk's image is closed, a network's backend ends.
    /// Waits at most `limit` for the guest to let go of it.
    ///
    /// # Errors
    ///
    /// - [`Error::Topology`] if the device cannot be removed from where it is, or there is none.
    /// - [`Error::StillPlugged`] if the guest refuses, or has not let go of it in time: it may be in use there, or no
    ///   system runs that would answer. The device is still there then, and may go later; ask again to find out.
    /// - [`Error::Qmp`] if QEMU refuses.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the guest has been asked nevertheless, and what was behind the device is cleared away.
    #[doc(alias = "device_del")]
    #[doc(alias = "remove_disk")]
    #[doc(alias = "remove_nic")]
    pub async fn unplug(&self, id: &str, limit: Duration) -> Result<(), Error> {
        let changing = self.plans().change().await?;
        let removal = match self.plan() {
            Some(plan) if has(&plan, id) => Some(plan.unplug(id)?),
            _ => None,
        };
        let (session, plans, device) = (self.qmp().clone(), self.plans().clone(), id.to_owned());
        let deadline = Instant::now() + limit;
        let task = tokio::spawn(async move {
            let removed = remove(&session, &plans, &device, removal, deadline).await;
            drop(changing);
            removed
        });
        let keeps =
            |why: String| Error::StillPlugged { name: self.name().to_owned(), device: id.to_owned(), why };
        match task.await {
            Ok(Ok(Outcome::Gone)) => Ok(()),
            Ok(Ok(Outcome::Refused)) => Err(keeps("its guest refuses to let go of it".to_owned())),
            Ok(Ok(Outcome::Late)) => Err(keeps(format!("its guest has not let go of it within {limit:?}"))),
            Ok(Ok(Outcome::NoSuch)) => Err(self.missing(&format!("device {id}"))),
            Ok(Err(Failure::Client(error))) => Err(self.explain("device_del", error)),
            Ok(Err(Failure::Other(error))) => Err(error),
            Err(error) => Err(task_ended(error)),
        }
    }

    /// Adds `count` processors to those the VM started with, up to the configuration's
    /// [`Cpu::max`](qemu_argv::Cpu::max), and returns their ids.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if there is no room for so many; none is added then. Else as
    /// [`execute`](Self::execute).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some of them may have been added.
    pub async fn plug_cpus(&self, count: usize) -> Result<Vec<String>, Error> {
        let _changing = self.plans().change().await?;
        let mut free = self.execute(QueryHotpluggableCpus {}).await?;
        free.retain(|cpu| cpu.qom_path.is_none());
        // QEMU lists the last one first.
        free.reverse();
        if count > free.len() {
            return Err(Error::Unsupported {
                action: "adding processors",
                name: self.name().to_owned(),
                reason: format!("there is room for {}, not for {count}: raise `cpu.max`", free.len()),
            });
        }
        let taken = self.device_ids().await?;
        let mut names = (0..).map(|number| format!("cpu{number}")).filter(|name| !taken.contains(name));
        let mut ids = Vec::new();
        for cpu in free.into_iter().take(count) {
            let mut command = DeviceAdd::new(cpu.r#type);
            let id = names.next().unwrap_or_default();
            command.id = Some(id.clone());
            let props = &cpu.props;
            let numbers = [
                ("node-id", props.node_id),
                ("drawer-id", props.drawer_id),
                ("book-id", props.book_id),
                ("socket-id", props.socket_id),
                ("die-id", props.die_id),
                ("cluster-id", props.cluster_id),
                ("module-id", props.module_id),
                ("core-id", props.core_id),
                ("thread-id", props.thread_id),
            ];
            let given =
                numbers.into_iter().filter_map(|(key, number)| Some((key.to_owned(), number?.into())));
            command.properties.extend(given);
            self.execute(command).await?;
            ids.push(id);
        }
        Ok(ids)
    }

    /// Adds memory to the running VM, up to the configuration's [`Memory::max`](qemu_argv::Memory::max), and returns the
    /// module's id. QEMU wants a multiple of 2 MiB, a Linux guest on x86 of 128 MiB.
    ///
    /// # Errors
    ///
    /// [`Error::Qmp`] if there is no room or no free slot, in QEMU's words; nothing is left then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the memory may have been made without being added.
    pub async fn plug_memory(&self, size: Size) -> Result<String, Error> {
        let _changing = self.plans().change().await?;
        let taken = self.device_ids().await?;
        let mut names = (0..).map(|number| format!("dimm{number}")).filter(|name| !taken.contains(name));
        let id = names.next().unwrap_or_default();
        let backend = memory_of(&id);
        let object = json!({ "qom-type": "memory-backend-ram", "id": backend, "size": size.to_bytes() });
        self.execute_raw("object-add", Some(object)).await?;
        let mut command = DeviceAdd::new("pc-dimm");
        command.id = Some(id.clone());
        command.properties.insert("memdev".to_owned(), backend.clone().into());
        if let Err(error) = self.execute(command).await {
            // The error of the device is the one to tell.
            let _ = self.execute_raw("object-del", Some(json!({ "id": backend }))).await;
            return Err(error);
        }
        Ok(id)
    }

    /// The ids of the devices that have one.
    async fn device_ids(&self) -> Result<Vec<String>, Error> {
        let listed = self.execute(QomList::new(DEVICES)).await?;
        Ok(listed.into_iter().map(|property| property.name).collect())
    }

    fn unplanned(&self) -> Error {
        Error::Unsupported {
            action: "adding a device",
            name: self.name().to_owned(),
            reason: "it was launched by something else, which keeps its plan to itself".to_owned(),
        }
    }
}

/// Whether a device is planned, or a network backend without one.
fn has(plan: &Plan, id: &str) -> bool {
    plan.devices().iter().any(|device| device.id == id) || plan.netdevs().iter().any(|netdev| netdev.id == id)
}

/// The memory behind a module.
fn memory_of(dimm: &str) -> String {
    format!("{dimm}-memory")
}

/// The runtime shuts down.
fn task_ended(error: tokio::task::JoinError) -> Error {
    Error::Io { action: "wait for", path: "the change of devices".into(), source: error.into() }
}

/// Sends the commands; takes those back that succeeded before one that does not.
async fn add(
    session: &Session,
    commands: Vec<QmpCommand>,
    descriptors: Vec<(String, OwnedFd)>,
) -> Result<(), ClientError> {
    let mut undo = Vec::new();
    let mut added = Ok(());
    for (name, fd) in &descriptors {
        let named = json!({ "fdname": name });
        undo.push(("closefd", named.clone()));
        added = session.call_raw("getfd", Some(named)).with_fd(fd).send().await.map(drop);
        if added.is_err() {
            break;
        }
    }
    if added.is_ok() {
        for command in commands {
            added = session.execute_raw(command.name, Some(arguments(&command))).await.map(drop);
            if added.is_err() {
                break;
            }
            undo.extend(command.inverse().map(|inverse| (inverse.name, arguments(&inverse))));
        }
    }
    if added.is_err() {
        for (name, arguments) in undo.into_iter().rev() {
            // What cannot be taken back stays; the first error tells more.
            let _ = session.execute_raw(name, Some(arguments)).await;
        }
    }
    added
}

fn arguments(command: &QmpCommand) -> Value {
    serde_json::to_value(&command.arguments).unwrap_or_default()
}

/// How the removal of a device ended.
enum Outcome {
    Gone,
    Refused,
    Late,
    NoSuch,
}

enum Failure {
    Client(ClientError),
    Other(Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

async fn remove(
    session: &Session,
    plans: &Arc<Plans>,
    id: &str,
    removal: Option<Removal>,
    deadline: Instant,
) -> Result<Outcome, Failure> {
    let events = session.events_named(["DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR", "MEM_UNPLUG_ERROR"]);
    let is_device = removal.as_ref().is_none_or(|removal| removal.device.is_some());
    if is_device {
        match session.execute_raw("device_del", Some(json!({ "id": id }))).await {
            Ok(_) => match released(session, events, id, deadline).await? {
                Outcome::Gone => {}
                other => return Ok(other),
            },
            Err(ClientError::Refused { class: ErrorClass::DeviceNotFound, .. }) if removal.is_some() => {
                // It has gone since it was asked to.
            }
            Err(ClientError::Refused { class: ErrorClass::DeviceNotFound, .. }) => {
                return Ok(Outcome::NoSuch);
            }
            Err(ClientError::Refused { desc, .. }) if desc.contains("in the process of unplug") => {
                match released(session, events, id, deadline).await? {
                    Outcome::Gone => {}
                    other => return Ok(other),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    let Some(removal) = removal else {
        // Only memory has a part behind it that no plan knows.
        let _ = session.execute_raw("object-del", Some(json!({ "id": memory_of(id) }))).await;
        return Ok(Outcome::Gone);
    };
    let mut failed = None;
    for command in &removal.backends {
        if let Err(error) = session.execute_raw(command.name, Some(arguments(command))).await {
            failed.get_or_insert(error);
        }
    }
    plans.set(removal.plan).map_err(Failure::Other)?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(Outcome::Gone),
    }
}

/// Waits until the guest has let go of a device.
#[allow(
    deprecated,
    reason = "QEMU before 9.1 says MEM_UNPLUG_ERROR where newer ones say DEVICE_UNPLUG_GUEST_ERROR"
)]
async fn released(
    session: &Session,
    mut events: Events,
    id: &str,
    deadline: Instant,
) -> Result<Outcome, ClientError> {
    loop {
        let event = match timeout_at(deadline, events.recv()).await {
            Ok(Ok(event)) => event.event,
            Err(_) if is_there(session, id).await? => return Ok(Outcome::Late),
            Ok(Err(EventsError::Missed(_))) if is_there(session, id).await? => continue,
            Err(_) | Ok(Err(EventsError::Missed(_))) => return Ok(Outcome::Gone),
            // The answer is the error that says why.
            Ok(Err(_)) => {
                is_there(session, id).await?;
                return Ok(Outcome::Late);
            }
        };
        match event {
            AnyEvent::DeviceDeleted(event) if event.device.as_deref() == Some(id) => {
                return Ok(Outcome::Gone);
            }
            AnyEvent::DeviceUnplugGuestError(event) if event.device.as_deref() == Some(id) => {
                return Ok(Outcome::Refused);
            }
            AnyEvent::MemUnplugError(event) if event.device == id => return Ok(Outcome::Refused),
            _ => {}
        }
    }
}

async fn is_there(session: &Session, id: &str) -> Result<bool, ClientError> {
    let listed = session.execute(QomList::new(DEVICES)).await?;
    Ok(listed.iter().any(|property| property.name == id))
}
