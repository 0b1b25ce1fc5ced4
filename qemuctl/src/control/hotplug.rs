//! Device hotplug.
//!
//! As at the start, the plan decides where a device is placed; it is stored in the VM's record. Note that on most
//! machines the guest has to release a device: QEMU only asks it to, and a guest without a running operating system
//! never does.

mod capacity;
mod commands;

use std::os::fd::OwnedFd;
use std::time::Duration;

use qemu_argv::{FdRole, NetBackend, Network, NewDevice, Plan};
use tokio::time::Instant;

use crate::error::Error;
use crate::instance::Instance;
use crate::launch::{self, Plugged};

use commands::{Failure, Outcome, add, remove};

/// # Adding and removing devices
impl Instance {
    /// Adds a device to the running VM, described as in a config: a [`Disk`](qemu_argv::Disk), a
    /// [`Network`](qemu_argv::Network), and so on. Returns its id, for [`unplug`](Self::unplug).
    ///
    /// It is placed on a free hotplug port (see [`VmConfig::hotplug_ports`](qemu_argv::VmConfig::hotplug_ports)); no
    /// other device moves.
    ///
    /// ```no_run
    /// # async fn example(vm: &qemuctl::Instance) -> Result<(), qemuctl::Error> {
    /// use std::time::Duration;
    /// use qemuctl::config::Disk;
    ///
    /// let id = vm.plug(&Disk::file("/vm/more.qcow2")).await?;
    /// vm.unplug(&id, Duration::from_secs(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::Plan`] with all problems of the device; nothing was sent to QEMU then.
    /// - [`Error::Unsupported`] if the VM was not started by this library, so its plan is unknown. Use the command
    ///   `device_add` with [`execute`](Self::execute) instead.
    /// - [`Error::Qmp`] if QEMU rejects a part; the parts before it are removed again.
    ///
    /// # Cancel safety
    ///
    /// Once begun, the operation is completed or undone, even if the future is dropped.
    #[doc(alias = "device_add")]
    #[doc(alias = "add_disk")]
    #[doc(alias = "add_nic")]
    pub async fn plug<'d>(&self, device: impl Into<NewDevice<'d>>) -> Result<String, Error> {
        self.plug_with(device, Vec::new()).await
    }

    /// Like [`plug`](Self::plug), with file descriptors for the device, such as the queues of a TAP interface, by the
    /// role they have in the plan.
    ///
    /// # Errors
    ///
    /// As [`plug`](Self::plug), and [`Error::Missing`] if a required file descriptor is missing.
    ///
    /// # Cancel safety
    ///
    /// As [`plug`](Self::plug).
    pub async fn plug_with<'d>(
        &self,
        device: impl Into<NewDevice<'d>>,
        descriptors: Vec<(FdRole, OwnedFd)>,
    ) -> Result<String, Error> {
        let device = device.into();
        let checked = Plugged::look(&device)?;
        let changing = self.plans().change().await?;
        let plan = self.plan().ok_or_else(|| self.unplanned())?;
        let passt = match &device {
            NewDevice::Network(Network { backend: NetBackend::Passt(net), .. }) => Some(net.clone()),
            _ => None,
        };
        let addition = plan.plug(checked.device(device))?;
        let mut descriptors = descriptors;
        let mut passed = Vec::new();
        for slot in &addition.fds {
            let found = descriptors.iter().position(|(role, _)| *role == slot.role);
            let descriptor = match (found, &passt) {
                (Some(at), _) => descriptors.swap_remove(at).1,
                (None, Some(net)) => launch::passt::start(net).await?,
                (None, None) => return Err(self.missing(&format!("descriptor for {:?}", slot.role))),
            };
            passed.push((slot.monitor_name(), descriptor));
        }
        for socket in addition.sockets() {
            crate::runtime::check_socket_path(&socket.path)?;
        }
        self.vm().own_files(addition.sockets().map(|socket| socket.path.clone()));
        // Record the place first: a recorded place that is not used is harmless, unlike a used one that is not
        // recorded.
        let (id, commands) = (addition.id.clone(), addition.commands());
        self.plans().set(addition.plan)?;
        let (session, plans) = (self.qmp().clone(), self.plans().clone());
        let task = tokio::spawn(async move {
            let added = add(&session, commands, passed).await;
            // If QEMU may have the device, its place stays reserved.
            if added.as_ref().is_err_and(|failed| failed.is_undone) {
                // Report the error of the device.
                let _ = plans.set(plan.as_ref().clone());
            }
            drop(changing);
            added
        });
        match task.await {
            Ok(Ok(())) => Ok(id),
            Ok(Err(failed)) => Err(self.explain("device_add", failed.error)),
            Err(error) => Err(task_ended(error)),
        }
    }

    /// Removes a device from the running VM together with its backend: a disk's image is closed, a network's backend is
    /// stopped. Waits at most `timeout` for the guest to release it.
    ///
    /// # Errors
    ///
    /// - [`Error::Topology`] if the device cannot be removed from its bus, or does not exist.
    /// - [`Error::StillPlugged`] if the guest refuses to release the device or does not do so in time: it may be in
    ///   use, or no operating system is running. The guest may still release it later; call this again to find out.
    /// - [`Error::Qmp`] if QEMU rejects the command.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the guest is still asked to release the device, and the backend is removed after that.
    #[doc(alias = "device_del")]
    #[doc(alias = "remove_disk")]
    #[doc(alias = "remove_nic")]
    pub async fn unplug(&self, id: &str, timeout: Duration) -> Result<(), Error> {
        let changing = self.plans().change().await?;
        let removal = match self.plan() {
            Some(plan) if has(&plan, id) => Some(plan.unplug(id)?),
            _ => None,
        };
        let (session, plans, device) = (self.qmp().clone(), self.plans().clone(), id.to_owned());
        let deadline = Instant::now() + timeout;
        let task = tokio::spawn(async move {
            let removed = remove(&session, &plans, &device, removal, deadline).await;
            drop(changing);
            removed
        });
        let keeps =
            |why: String| Error::StillPlugged { name: self.name().to_owned(), device: id.to_owned(), why };
        match task.await {
            Ok(Ok(Outcome::Gone)) => Ok(()),
            Ok(Ok(Outcome::Refused)) => Err(keeps("the guest refused to release it".to_owned())),
            Ok(Ok(Outcome::Late)) => Err(keeps(format!("the guest did not release it within {timeout:?}"))),
            Ok(Ok(Outcome::NoSuch)) => Err(self.missing(&format!("device {id}"))),
            Ok(Err(Failure::Client(error))) => Err(self.explain("device_del", error)),
            Ok(Err(Failure::Other(error))) => Err(error),
            Err(error) => Err(task_ended(error)),
        }
    }

    fn unplanned(&self) -> Error {
        Error::Unsupported {
            action: "adding a device to",
            name: self.name().to_owned(),
            reason: "it was not started by qemuctl, so its device plan is unknown".to_owned(),
        }
    }
}

/// Whether the plan has this device, or a network backend without a device.
fn has(plan: &Plan, id: &str) -> bool {
    plan.devices().any(|device| device.id == id) || plan.netdevs().any(|netdev| netdev.id == id)
}

/// The runtime is shutting down.
fn task_ended(error: tokio::task::JoinError) -> Error {
    Error::Io { action: "wait for", path: "the change of devices".into(), source: error.into() }
}
