//! Groups of throughput limits, and the filter that puts a disk into one.

use std::borrow::Cow;

use smol_str::{SmolStr, format_smolstr};

use crate::config::{Rate, Size, Throttle};
use crate::draft::{Draft, Space};
use crate::error::At;
use crate::value::Props;

/// The limits of all groups that name themselves. Groups of a disk's own come with the disk.
pub(super) fn groups(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let config = draft.config;
    let mut seen: Vec<(&str, Throttle)> = Vec::new();
    for (index, disk) in config.disks.iter().enumerate() {
        let Some((throttle, group)) =
            disk.throttle.as_ref().and_then(|throttle| Some((throttle, throttle.group.as_deref()?)))
        else {
            continue;
        };
        let at = root.item("disks", index);
        let at = at.field("throttle");
        if !draft.check_id(at.field("group"), group) || !has_limits(throttle) {
            continue;
        }
        match seen.iter().find(|(name, _)| *name == group) {
            Some((_, first)) if first != throttle => {
                draft.conflict(at, format!("the group {group:?} has other limits above; give them once"));
            }
            Some(_) => {}
            None => {
                let limits = limits(draft, at, throttle);
                draft.object(at, "throttle-group", group, Props::new().with("limits", limits));
                seen.push((group, throttle.clone()));
            }
        }
    }
}

/// Puts the node `below` into its group and returns the name of the node to use instead.
pub(super) fn filter(
    draft: &mut Draft<'_>,
    at: At<'_>,
    id: &str,
    throttle: &Throttle,
    below: SmolStr,
) -> SmolStr {
    let at = at.field("throttle");
    let group: Cow<'_, str> = if let Some(group) = &throttle.group {
        if !draft.has(Space::Object, group) {
            let groups: Vec<_> = draft
                .objects
                .iter()
                .filter(|object| object.qom_type == "throttle-group")
                .map(|object| object.id.clone())
                .collect();
            draft.refer(at.field("group"), "throttle group", group, groups.iter().map(SmolStr::as_str));
        }
        Cow::Borrowed(group)
    } else {
        if !has_limits(throttle) {
            draft.conflict(at, "neither a limit nor a group is given");
        }
        let group = format!("{id}-throttle");
        let limits = limits(draft, at, throttle);
        draft.object(at, "throttle-group", group.as_str(), Props::new().with("limits", limits));
        Cow::Owned(group)
    };
    let name = format_smolstr!("{id}-throttle");
    let props = Props::new().with("throttle-group", &*group).with("file", below);
    draft.node(at, "throttle", name.clone(), props);
    name
}

fn has_limits(throttle: &Throttle) -> bool {
    let Throttle { group: _, bps, bps_read, bps_write, iops, iops_read, iops_write, iops_size } = throttle;
    [bps, bps_read, bps_write, iops, iops_read, iops_write].into_iter().any(Option::is_some)
        || iops_size.is_some()
}

fn limits(draft: &mut Draft<'_>, at: At<'_>, throttle: &Throttle) -> Props {
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
            draft.invalid(at, &limit.to_string(), "is no limit: 1 to 10^15 a second");
        }
        if burst.is_some_and(|burst| burst < limit) {
            draft.conflict(at.field("burst"), "a burst is not lower than the limit");
        }
        if burst_s.is_some() && burst.is_none() {
            draft.conflict(at.field("burst_s"), "the length of a burst needs `burst`");
        }
        if burst_s == Some(0) {
            draft.conflict(at.field("burst_s"), "a burst lasts at least a second");
        }
        props.set(limit_key, limit.to_bytes());
        props = props.with_some(burst_key, burst.map(Size::to_bytes)).with_some(length_key, burst_s);
    }
    for (field, total, read, write) in [
        ("bps", throttle.bps, throttle.bps_read, throttle.bps_write),
        ("iops", throttle.iops, throttle.iops_read, throttle.iops_write),
    ] {
        if total.is_some() && (read.is_some() || write.is_some()) {
            draft.conflict(at.field(field), "a total limit excludes limits of reads and writes alone");
        }
    }
    if let Some(size) = throttle.iops_size {
        if throttle.iops.is_none() && throttle.iops_read.is_none() && throttle.iops_write.is_none() {
            draft.conflict(at.field("iops_size"), "the size of a request needs a limit of requests");
        }
        props.set("iops-size", size.to_bytes());
    }
    props
}
