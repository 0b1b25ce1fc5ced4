//! Devices that come and go while the VM runs.
//!
//! The plan decides where a device goes, as it did at the start, and is kept in the VM's record. One surprising rule: on
//! most machines it is the guest that lets go of a device. QEMU only asks it, and a guest without a running system never
//! answers.

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
        // A place that is written down and not used is no harm; one used and not written down would be.
        let (id, commands) = (addition.id.clone(), addition.commands());
        self.plans().set(addition.plan)?;
        let (session, plans) = (self.qmp().clone(), self.plans().clone());
        let task = tokio::spawn(async move {
            let added = add(&session, commands, passed).await;
            // What QEMU may have keeps its place.
            if added.as_ref().is_err_and(|failed| failed.is_undone) {
                // The error of the device is the one to tell.
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
            Ok(Ok(Outcome::Refused)) => Err(keeps("the guest refused to release it".to_owned())),
            Ok(Ok(Outcome::Late)) => Err(keeps(format!("the guest did not release it within {limit:?}"))),
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

/// Whether a device is planned, or a network backend without one.
fn has(plan: &Plan, id: &str) -> bool {
    plan.devices().any(|device| device.id == id) || plan.netdevs().any(|netdev| netdev.id == id)
}

/// The runtime shuts down.
fn task_ended(error: tokio::task::JoinError) -> Error {
    Error::Io { action: "wait for", path: "the change of devices".into(), source: error.into() }
}
