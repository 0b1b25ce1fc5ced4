//! Groups of throughput limits, and the filter that puts a disk into one.

use smol_str::{SmolStr, format_smolstr};

use crate::config::{Disk, Rate, Size, Throttle, VmConfig};
use crate::plan::{Owner, PartKind};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

/// The groups that have a name. Groups of a disk's own come with the disk.
pub(super) fn groups(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, disk) in config.disks.iter().enumerate() {
        group(builder, At::entry("disks", index), disk);
    }
}

/// The group that a disk gives limits to: a bundle of its own, as other disks may give it too.
pub(super) fn group(builder: &mut Builder<'_>, at: At<'_>, disk: &Disk) {
    let Some(throttle) = &disk.throttle else { return };
    let Some(group) = &throttle.group else { return };
    let at = at.field("throttle");
    if !builder.check_id(at.field("group"), group) || !has_limits(throttle) {
        return;
    }
    let group = SmolStr::from(group);
    let props = Props::new().with("limits", limits(builder, at, throttle));
    let owner = Owner::ThrottleGroup(group.clone());
    let known = builder.bundle_named(PartKind::Object, &group).filter(|bundle| bundle.owner == owner);
    match known.map(|bundle| bundle.objects.iter().any(|object| object.props == props)) {
        None => builder.shared_object(at, owner, "throttle-group", group, props),
        Some(true) => {}
        Some(false) => {
            builder.conflict(at, format!("the group {group:?} has different limits already; set them once"));
        }
    }
}

/// Puts the node `below` into its group and returns the name of the node to use instead.
pub(super) fn filter(
    builder: &mut Builder<'_>,
    at: At<'_>,
    id: &str,
    throttle: &Throttle,
    below: SmolStr,
) -> SmolStr {
    let at = at.field("throttle");
    let name = format_smolstr!("{id}-throttle");
    let group: SmolStr = if let Some(group) = &throttle.group {
        builder.throttle_group(at.field("group"), group);
        group.into()
    } else {
        if !has_limits(throttle) {
            builder.conflict(at, "set a limit or a group");
        }
        let limits = limits(builder, at, throttle);
        builder.object(at, "throttle-group", name.clone(), Props::new().with("limits", limits));
        name.clone()
    };
    let props = Props::new().with("throttle-group", group).with("file", below);
    builder.node(at, "throttle", name.clone(), props);
    name
}

fn has_limits(throttle: &Throttle) -> bool {
    let Throttle { group: _, bps, bps_read, bps_write, iops, iops_read, iops_write, iops_size } = throttle;
    [bps, bps_read, bps_write, iops, iops_read, iops_write].into_iter().any(Option::is_some)
        || iops_size.is_some()
}

fn limits(builder: &mut Builder<'_>, at: At<'_>, throttle: &Throttle) -> Props {
    let mut props = Props::new();
    let kinds = [
        ("bps", throttle.bps, "bps-total", "bps-total-max", "bps-total-max-length"),
        ("bps_read", throttle.bps_read, "bps-read", "bps-read-max", "bps-read-max-length"),
        ("bps_write", throttle.bps_write, "bps-write", "bps-write-max", "bps-write-max-length"),
        ("iops", throttle.iops, "iops-total", "iops-total-max", "iops-total-max-length"),
        ("iops_read", throttle.iops_read, "iops-read", "iops-read-max", "iops-read-max-length"),
        ("iops_write", throttle.iops_write, "iops-write", "iops-write-max", "iops-write-max-length"),
    ];
    for (field, rate, limit_key, burst_key, length_key) in kinds {
        let Some(Rate { limit, burst, burst_s }) = rate else { continue };
        let at = at.field(field);
        // QEMU's own ceiling, a thousand million million a second.
        if limit.to_bytes() == 0 || burst.unwrap_or(limit).to_bytes() > 1_000_000_000_000_000 {
            builder.invalid(at, &limit.to_string(), "is not a valid limit; expected 1 to 10^15 per second");
        }
        if burst.is_some_and(|burst| burst < limit) {
            builder.conflict(at.field("burst"), "a burst must not be lower than the limit");
        }
        if burst_s.is_some() && burst.is_none() {
            builder.conflict(at.field("burst_s"), "`burst_s` requires `burst`");
        }
        if burst_s == Some(0) {
            builder.conflict(at.field("burst_s"), "a burst must last at least 1 second");
        }
        props.set(limit_key, limit.to_bytes());
        props = props.with_some(burst_key, burst.map(Size::to_bytes)).with_some(length_key, burst_s);
    }
    for (field, total, read, write) in [
        ("bps", throttle.bps, throttle.bps_read, throttle.bps_write),
        ("iops", throttle.iops, throttle.iops_read, throttle.iops_write),
    ] {
        if total.is_some() && (read.is_some() || write.is_some()) {
            builder
                .conflict(at.field(field), "a total limit cannot be combined with limits of reads or writes");
        }
    }
    if let Some(size) = throttle.iops_size {
        if throttle.iops.is_none() && throttle.iops_read.is_none() && throttle.iops_write.is_none() {
            builder.conflict(at.field("iops_size"), "`iops_size` requires an `iops` limit");
        }
        props.set("iops-size", size.to_bytes());
    }
    props
}
