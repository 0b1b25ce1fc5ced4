//! Snapshots of a running machine.

use qmp_client::{JobEnd, JobError};
use qmp_proto::{
    BlockDeviceInfo, BlockdevSnapshotInternal, BlockdevSnapshotInternalWrapper, JobDismiss,
    QueryNamedBlockNodes, RunState, SnapshotDelete, SnapshotInfo, SnapshotLoad, SnapshotSave, Transaction,
    TransactionAction,
};

use crate::error::Error;
use crate::instance::Instance;
use crate::state::State;

use super::{Quiesce, Snapshot, SnapshotOptions, SnapshotReport, fault_of, merge};

/// The format with snapshots.
const QCOW2: &str = "qcow2";

/// Formats of a whole image. Nodes of other drivers are files, network connections and filters.
const FORMATS: [&str; 9] = ["raw", "vmdk", "vdi", "vhdx", "vpc", "qed", "luks", "qcow", "parallels"];

/// The id of our jobs. Two at a time are refused by QEMU, and could not work.
const JOB: &str = "qemuctl-snapshot";

/// # Snapshots
impl Instance {
    /// Returns the machine's snapshots, the oldest first.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        Ok(merged(&self.images("list the snapshots of").await?))
    }

    /// Takes a snapshot of the memory and all writable disks, or of the disks alone.
    ///
    /// # Errors
    ///
    /// - [`Error::Unsupported`] if a disk cannot have snapshots, the name is taken or invalid, or QEMU fails, for example
    ///   because there is no space. Nothing has changed then.
    /// - As [`Instance::freeze`] with [`Quiesce::Always`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, file systems are thawed, and QEMU completes what it has begun.
    #[doc(alias = "snapshot-save")]
    pub async fn create_snapshot(
        &self,
        tag: &str,
        options: &SnapshotOptions,
    ) -> Result<SnapshotReport, Error> {
        const ACTION: &str = "taking a snapshot of";
        let images = self.images(ACTION).await?;
        if let Some(fault) = fault_of(tag) {
            return Err(self.unsupported(ACTION, fault));
        }
        if merged(&images).iter().any(|snapshot| snapshot.tag == tag) {
            return Err(self.unsupported(ACTION, format!("there is a snapshot called {tag:?} already")));
        }
        // The memory is stored in one of the images.
        let Some(largest) = images.iter().max_by_key(|image| image.image.virtual_size) else {
            return Err(self.unsupported(ACTION, "it has no writable disk"));
        };
        let mut quiesced = false;
        if options.memory {
            let command = SnapshotSave::new(JOB, tag, node(largest), images.iter().map(node).collect());
            self.work(ACTION, command).await?;
        } else {
            let frozen = match options.quiesce {
                Quiesce::Never => None,
                Quiesce::Always => Some(self.freeze(None).await?),
                Quiesce::Auto => self.freeze(None).await.ok(),
            };
            quiesced = frozen.is_some();
            let taken = self.take_of_disks(&images, tag).await;
            if let Some(frozen) = frozen {
                // On failure it is thawed once more when the handle is dropped.
                let _ = frozen.thaw().await;
            }
            taken?;
        }
        match self.snapshots().await?.into_iter().find(|snapshot| snapshot.tag == tag) {
            Some(snapshot) => Ok(SnapshotReport { snapshot, quiesced }),
            None => Err(self.unsupported(ACTION, "QEMU reported success, but there is no snapshot")),
        }
    }

    /// Reverts memory and disks to a snapshot. Everything since then is lost. The guest continues as it was: running or
    /// paused.
    ///
    /// # Errors
    ///
    /// - [`Error::Missing`] if there is no such snapshot.
    /// - [`Error::Unsupported`] if it does not contain the memory, or not every disk. Nothing has changed then.
    /// - [`Error::Unsupported`] if QEMU cannot load it, such as when devices were added since. The machine can no longer
    ///   run then; stop it, and revert its disks with a [`DiskSet`](super::DiskSet).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, QEMU completes what it has begun.
    #[doc(alias = "snapshot-load")]
    pub async fn revert_to_snapshot(&self, tag: &str) -> Result<Snapshot, Error> {
        const ACTION: &str = "reverting";
        let images = self.images(ACTION).await?;
        let snapshot = self.known(&images, tag)?;
        if !snapshot.missing.is_empty() {
            let disks = snapshot.missing.join(", ");
            return Err(self.unsupported(ACTION, format!("the snapshot {tag:?} does not contain {disks}")));
        }
        // QEMU reads the memory from where it is said to be.
        let has_memory = |image: &&BlockDeviceInfo| {
            snapshots_of(image).iter().any(|info| info.name == tag && info.vm_state_size > 0)
        };
        let Some(memory) = images.iter().find(has_memory) else {
            let reason = format!("the snapshot {tag:?} does not contain the memory; stop the machine first");
            return Err(self.unsupported(ACTION, reason));
        };
        let command = SnapshotLoad::new(JOB, tag, node(memory), images.iter().map(node).collect());
        let loaded = self.work(ACTION, command).await;
        if let Err(Error::Unsupported { action, name, reason }) = loaded {
            let broken =
                matches!(self.query_state().await, Ok(state) if state == State::from(RunState::RestoreVm));
            let rest =
                if broken { "; the machine can no longer run, stop it and revert it then" } else { "" };
            return Err(Error::Unsupported { action, name, reason: format!("{reason}{rest}") });
        }
        loaded.map(|()| snapshot)
    }

    /// Deletes a snapshot from all disks that have it. The machine keeps running.
    ///
    /// # Errors
    ///
    /// - [`Error::Missing`] if there is no such snapshot.
    /// - [`Error::Unsupported`] if QEMU fails. It can be repeated.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, QEMU completes what it has begun.
    #[doc(alias = "snapshot-delete")]
    pub async fn delete_snapshot(&self, tag: &str) -> Result<Snapshot, Error> {
        const ACTION: &str = "deleting a snapshot of";
        let images = self.images(ACTION).await?;
        let snapshot = self.known(&images, tag)?;
        self.work(ACTION, SnapshotDelete::new(JOB, tag, snapshot.disks.clone())).await?;
        Ok(snapshot)
    }

    /// All of them at one instant, or none.
    async fn take_of_disks(&self, images: &[BlockDeviceInfo], tag: &str) -> Result<(), Error> {
        // QEMU wants the topmost node, which is a filter if the disk has one, as for its I/O limits.
        let tops = self.block_devices().await?.into_iter().filter_map(|block| block.inserted);
        let filters: Vec<_> = tops.filter(|top| top.drv != QCOW2).collect();
        let top = |image: &BlockDeviceInfo| {
            let is_above = |filter: &&BlockDeviceInfo| {
                let filtered = filter.image.backing_image.as_ref();
                filtered.is_some_and(|filtered| filtered.filename == image.image.filename)
            };
            node(filters.iter().find(is_above).unwrap_or(image))
        };
        let actions = images.iter().map(|image| {
            let data = BlockdevSnapshotInternal::new(top(image), tag);
            TransactionAction::BlockdevSnapshotInternalSync(BlockdevSnapshotInternalWrapper::new(data))
        });
        self.execute(Transaction::new(actions.collect())).await.map(drop)
    }

    fn known(&self, images: &[BlockDeviceInfo], tag: &str) -> Result<Snapshot, Error> {
        let found = merged(images).into_iter().find(|snapshot| snapshot.tag == tag);
        found.ok_or_else(|| self.missing(&format!("snapshot called {tag:?}")))
    }

    /// The writable images, by node name.
    async fn images(&self, action: &'static str) -> Result<Vec<BlockDeviceInfo>, Error> {
        let nodes = self.execute(QueryNamedBlockNodes { flat: Some(true) }).await?;
        let mut images = Vec::new();
        for node in nodes.into_iter().filter(|node| !node.ro && node.node_name.is_some()) {
            if node.drv == QCOW2 {
                images.push(node);
            } else if FORMATS.contains(&&node.drv[..]) {
                let (id, format) = (node.node_name.unwrap_or_default(), node.drv);
                let reason = format!(
                    "{id} is in the format {format}, which has no snapshots; convert it to qcow2 or make it read-only"
                );
                return Err(self.unsupported(action, reason));
            }
        }
        images.sort_by(|one, other| one.node_name.cmp(&other.node_name));
        Ok(images)
    }

    /// Has QEMU do a job to its end.
    async fn work<C>(&self, action: &'static str, command: C) -> Result<(), Error>
    where
        C: qmp_proto::Command + Send + Sync,
    {
        let mut job = self.job(JOB);
        self.execute(command).await?;
        let end = job.wait().await;
        // It keeps its name until then.
        let dismissed = self.execute(JobDismiss::new(JOB)).await;
        match end {
            Ok(JobEnd::Done) => dismissed.map(drop),
            Ok(JobEnd::Failed(words)) => Err(self.unsupported(action, words)),
            Ok(_) => Err(self.unsupported(action, "it was cancelled")),
            Err(JobError::Client(error)) => Err(self.explain(action, error)),
            Err(error) => Err(self.unsupported(action, error.to_string())),
        }
    }

    fn unsupported(&self, action: &'static str, reason: impl Into<String>) -> Error {
        Error::Unsupported { action, name: self.name().to_owned(), reason: reason.into() }
    }
}

fn node(image: &BlockDeviceInfo) -> String {
    image.node_name.clone().unwrap_or_default()
}

fn snapshots_of(image: &BlockDeviceInfo) -> &[SnapshotInfo] {
    image.image.snapshots.as_deref().unwrap_or_default()
}

fn merged(images: &[BlockDeviceInfo]) -> Vec<Snapshot> {
    let disks =
        images.iter().map(|image| (image.node_name.as_deref().unwrap_or_default(), snapshots_of(image)));
    merge(&disks.collect::<Vec<_>>())
}
