//! Folders of the host: 9p and virtiofs.

use super::bag::{Bag, Why};
use super::chardev;
use super::line::Line;
use crate::config::{NinePSecurity, NinePShare, Share, VirtiofsShare, VmConfig};
use crate::topology::Address;

fn security(bag: &mut Bag) -> Result<NinePSecurity, Why> {
    let words = [
        ("mapped-xattr", NinePSecurity::MappedXattr),
        ("mapped", NinePSecurity::MappedXattr),
        ("mapped-file", NinePSecurity::MappedFile),
        ("passthrough", NinePSecurity::Passthrough),
        ("none", NinePSecurity::None),
    ];
    bag.word("security_model", &words)?.ok_or_else(|| "`security_model` is missing".into())
}

/// What `-fsdev` and `-virtfs` have in common.
fn shared(bag: &mut Bag, tag: String) -> Result<NinePShare, Why> {
    if bag.needed("fsdriver")? != "local" {
        return Err("a config shares a folder of this host".into());
    }
    Ok(NinePShare {
        security: security(bag)?,
        read_only: bag.flag("readonly")?.unwrap_or_default(),
        remap_devices: bag.word("multidevs", &[("remap", true), ("warn", false)])?.unwrap_or_default(),
        ..NinePShare::new(tag, bag.needed("path")?)
    })
}

pub(super) fn nine_p(
    line: &Line,
    config: &mut VmConfig,
    id: Option<String>,
    address: Option<Address>,
    mut bag: Bag,
) -> Result<Option<usize>, Why> {
    let name = bag.needed("fsdev")?;
    let tag = bag.needed("mount_tag")?;
    bag.done()?;
    let at = line.definition("fsdev", &name).ok_or("its folder is not on the command line")?;
    let mut folder = line.bag(at);
    folder.take("id");
    let share = shared(&mut folder, tag)?;
    folder.done()?;
    config.shares.push(Share::NineP(NinePShare { id: id.or(Some(name)), address, ..share }));
    Ok(Some(at))
}

/// `-virtfs`: a folder and its device in one.
pub(super) fn virtfs(line: &mut Line, config: &mut VmConfig) {
    line.each("virtfs", |_, _, mut bag| {
        let tag = bag.needed("mount_tag")?;
        let id = bag.text("id")?;
        let share = shared(&mut bag, tag)?;
        bag.done()?;
        config.shares.push(Share::NineP(NinePShare { id, ..share }));
        Ok(())
    });
}

pub(super) fn virtiofs(
    line: &Line,
    config: &mut VmConfig,
    id: Option<String>,
    address: Option<Address>,
    mut bag: Bag,
) -> Result<Option<usize>, Why> {
    let (at, socket, server) = chardev::unix_client(line, config, &bag.needed("chardev")?)?;
    let tag = bag.needed("tag")?;
    let queue_size = bag.number("queue-size")?;
    bag.done()?;
    if server {
        return Err("virtiofsd listens, and QEMU connects".into());
    }
    config.shares.push(Share::Virtiofs(VirtiofsShare {
        id,
        queue_size,
        address,
        ..VirtiofsShare::new(tag, socket)
    }));
    Ok(Some(at))
}
