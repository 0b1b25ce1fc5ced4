//! `clone`: copies a machine.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use qemu_argv::{BlockFormat, Disk, DiskBackend, FileDisk, HostDeviceDisk};
use qemuctl::home::{Draft, StoredMachine};
use qemuctl::image::{CreateOptions, Image, QemuImg};
use toml_edit::{DocumentMut, Item, TableLike};

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::progress::Progress;
use super::Named;
use super::create::refused;
use super::set::document;

/// Copy a stopped machine
///
/// The copy gets its own disks, firmware variables, UUID and MAC addresses. With --linked, the disks are not copied:
/// their content becomes a read-only base that both machines share, which takes neither time nor space.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,

    /// Name of the new machine
    #[arg(value_hint = ValueHint::Other)]
    new: String,

    /// Share the disks' current content instead of copying it
    #[arg(long)]
    linked: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let machine = args.named.machine()?;
    // Locked, so that it is neither changed nor started during the copy.
    let _lock = machine.lock()?;
    let _hold = machine.hold()?;
    let file = machine.config()?;
    let disks = own_disks(&machine, &file.config().disks)?;
    let mut text = document(file.text())?;
    renew(&mut text)?;
    let draft = machine.home().draft(&args.new).map_err(refused)?;
    let tool = QemuImg::find()?;
    for disk in &disks {
        let target = draft.folder().join(&disk.within);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if args.linked {
            link(&machine, disk, &target, &tool).await?;
        } else {
            copy(disk, target, &tool, context).await?;
        }
    }
    copy_state(&machine, &draft)?;
    let clone = draft.finish(&text.to_string()).map_err(refused)?;
    context.note(format_args!("cloned {} as {}", machine.name(), clone.name()));
    Ok(Exit::Done)
}

/// A disk in the machine's folder.
struct Own {
    path: PathBuf,
    /// The path relative to that folder.
    within: PathBuf,
    format: BlockFormat,
}

/// Returns the disks in the machine's folder. A writable disk elsewhere is refused, since both machines would write to
/// it.
fn own_disks(machine: &StoredMachine, disks: &[Disk]) -> Result<Vec<Own>, Failure> {
    let mut own = Vec::new();
    for (index, disk) in disks.iter().enumerate() {
        let (DiskBackend::File(FileDisk { path }) | DiskBackend::HostDevice(HostDeviceDisk { path })) =
            &disk.backend
        else {
            continue;
        };
        match path.strip_prefix(machine.folder()) {
            Ok(within) => own.push(Own {
                path: path.clone(),
                within: within.to_owned(),
                format: disk.format.or_else(|| BlockFormat::of_name(path)).unwrap_or(BlockFormat::Raw),
            }),
            Err(_) if disk.read_only => {}
            Err(_) => {
                let text = format!(
                    "disk {index} of {} is {}, outside its folder: both machines would write to it",
                    machine.name(),
                    path.display()
                );
                return Err(Failure::new(Exit::Failed, text)
                    .with_help(format!("move it to {}, or make it read-only", machine.disks().display())));
            }
        }
    }
    Ok(own)
}

async fn copy(disk: &Own, target: PathBuf, tool: &QemuImg, context: &Context) -> Result<(), Failure> {
    let progress = Progress::percent(context, format!("copying {}", disk.path.display()));
    let tool = tool.clone().on_progress(move |percent| progress.reach(percent.into()));
    let source = Image::new(&disk.path, disk.format);
    Ok(tool.copy(&source, &Image::new(target, disk.format), false).await?)
}

/// Turns the disk into a base with one overlay for each machine. If this is interrupted, the old machine still has its
/// content, as the disk itself or as an overlay.
async fn link(machine: &StoredMachine, disk: &Own, target: &Path, tool: &QemuImg) -> Result<(), Failure> {
    if disk.format != BlockFormat::Qcow2 {
        let text = format!("{} is not a qcow2 image, so it cannot be shared", disk.path.display());
        return Err(Failure::new(Exit::Failed, text)
            .with_help("remove --linked, or convert the image with `qemuctl image convert`"));
    }
    let bases = machine.home().path().join("bases");
    std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700)
        .create(&bases)?;
    let stem = disk.path.file_stem().unwrap_or_default().to_string_lossy();
    let base = bases.join(format!(
        "{}-{stem}-{}.qcow2",
        machine.name(),
        uuid()?.split('-').next().unwrap_or_default()
    ));
    // A second hard link to the file, until the overlay takes over the first name.
    std::fs::hard_link(&disk.path, &base)?;
    let overlay = CreateOptions::overlay(Image::new(&base, BlockFormat::Qcow2));
    tool.create(&Image::new(target, BlockFormat::Qcow2), &overlay).await?;
    let own = Image::new(&disk.path, BlockFormat::Qcow2);
    tool.create(&own, &CreateOptions { replace: true, ..overlay }).await?;
    // From now on it must not be written to.
    std::fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o400))?;
    Ok(())
}

/// Copies the plan and the firmware variables.
fn copy_state(machine: &StoredMachine, draft: &Draft) -> Result<(), Failure> {
    for name in ["plan.json", "vars.fd", "vars.qcow2"] {
        match std::fs::copy(machine.file(name), draft.folder().join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied?),
        }
    }
    Ok(())
}

/// Replaces the values that must be unique.
fn renew(document: &mut DocumentMut) -> Result<(), Failure> {
    let table = document.as_table_mut();
    for key in ["uuid", "vmgenid"] {
        if let Some(Item::Value(value)) = table.get_mut(key)
            && value.as_str() != Some("auto")
        {
            *value = uuid()?.into();
        }
    }
    // Without one, the MAC address is derived from the machine's name.
    let without_mac = |network: &mut dyn TableLike| drop(network.remove("mac"));
    match table.get_mut("networks") {
        Some(Item::ArrayOfTables(networks)) => networks.iter_mut().for_each(|network| without_mac(network)),
        Some(Item::Value(networks)) => {
            let networks = networks.as_array_mut().into_iter().flat_map(|list| list.iter_mut());
            networks
                .filter_map(toml_edit::Value::as_inline_table_mut)
                .for_each(|network| without_mac(network));
        }
        _ => {}
    }
    Ok(())
}

fn uuid() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_another_machine() {
        let text = "# mine\nuuid = \"11111111-1111-1111-1111-111111111111\"\nvmgenid = \"auto\"\nnetworks = [{ mac = \"52:54:00:00:00:01\", id = \"lan\" }, \"user\"]\n";
        let mut renewed = document(text).expect("TOML");
        renew(&mut renewed).expect("renewed");
        let uuid = renewed["uuid"].as_str().expect("a text").to_owned();
        assert_ne!(uuid, "11111111-1111-1111-1111-111111111111");
        insta::assert_snapshot!(renewed.to_string().replace(&uuid, "UUID"), @r#"
        # mine
        uuid = "UUID"
        vmgenid = "auto"
        networks = [{ id = "lan" }, "user"]
        "#);
        let mut tables = document("[[networks]]\nmac = \"52:54:00:00:00:01\"\nid = \"lan\"\n").expect("TOML");
        renew(&mut tables).expect("renewed");
        assert_eq!(tables.to_string(), "[[networks]]\nid = \"lan\"\n");
    }
}
