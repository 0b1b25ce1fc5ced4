//! The disks and drives of a VM.

use qemuctl::Instance;
use qmp_proto::BlockInfo;
use serde::Serialize;

use super::super::failure::Failure;

/// A disk or drive. `block list --json` prints an array of them, `status --json` contains one.
#[derive(Serialize)]
pub(crate) struct Disk {
    pub(crate) id: String,
    /// The image file; null if the drive is empty.
    pub(crate) file: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) read_only: bool,
    /// Whether its medium can be changed.
    pub(crate) removable: bool,
    /// The size the guest sees, in bytes.
    pub(crate) size_bytes: Option<u64>,
    /// The space used on the host, in bytes.
    pub(crate) used_bytes: Option<u64>,
    /// Whether its throughput is limited.
    pub(crate) throttled: bool,
    /// QEMU's name of its block node.
    #[serde(skip)]
    pub(super) node: Option<String>,
}

impl From<BlockInfo> for Disk {
    fn from(block: BlockInfo) -> Self {
        // `device` is empty for what is made by -blockdev; the device's path ends in its id.
        let path = block.qdev.unwrap_or_default();
        let id = path.trim_start_matches("/machine/peripheral/").split('/').next().unwrap_or_default();
        let medium = block.inserted;
        let node = medium.as_ref().and_then(|medium| medium.node_name.clone());
        // The flash memory of firmware has neither.
        let id = match (id, block.device) {
            ("", device) if device.is_empty() => node.clone().unwrap_or_default(),
            ("", device) => device,
            (id, _) => id.to_owned(),
        };
        let number = |value: i64| u64::try_from(value).ok();
        Self {
            id,
            format: medium.as_ref().map(|medium| medium.drv.clone()),
            read_only: medium.as_ref().is_none_or(|medium| medium.ro),
            removable: block.removable,
            size_bytes: medium.as_ref().and_then(|medium| number(medium.image.virtual_size)),
            used_bytes: medium.as_ref().and_then(|medium| number(medium.image.actual_size?)),
            throttled: medium.as_ref().is_some_and(|medium| {
                [medium.bps, medium.bps_rd, medium.bps_wr, medium.iops, medium.iops_rd, medium.iops_wr]
                    .iter()
                    .any(|&limit| limit > 0)
            }),
            node,
            file: medium.map(|medium| medium.file),
        }
    }
}

/// Returns the disks and drives of a VM.
pub(crate) async fn disks(vm: &Instance) -> Result<Vec<Disk>, Failure> {
    Ok(vm.block_devices().await?.into_iter().map(Disk::from).collect())
}

/// Adds a suggestion to the failure of a command about a disk: the nearest name, or all that exist.
pub(crate) async fn explain(error: qemuctl::Error, vm: &Instance, name: &str) -> Failure {
    let missing = matches!(error, qemuctl::Error::Missing { .. });
    let failure = Failure::from(error);
    if missing { missing_disk(failure, &disks(vm).await.unwrap_or_default(), name) } else { failure }
}

pub(super) fn missing_disk(failure: Failure, disks: &[Disk], name: &str) -> Failure {
    let names: Vec<&str> = disks.iter().map(|disk| &disk.id[..]).collect();
    match qemuctl::config::nearest(name, names.iter().copied()) {
        Some(nearest) => failure.with_help(format!("did you mean `{nearest}`?")),
        None if names.is_empty() => failure.with_help("it has no disks"),
        None => failure.with_help(format!("its disks are {}", names.join(", "))),
    }
}
