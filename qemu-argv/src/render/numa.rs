//! `-numa`: a memory object for each node, its processors, the distances.

use super::memory;
use crate::config::{NumaNode, NumaPolicy, Size};
use crate::draft::Draft;
use crate::error::At;
use crate::value::{Props, Value};

pub(super) fn nodes(draft: &mut Draft<'_>) {
    let config = draft.config;
    if config.numa.is_empty() {
        return;
    }
    let root = At::ROOT;
    let total = config.numa.iter().fold(0_u64, |total, node| total.saturating_add(node.memory.to_bytes()));
    if total != config.memory.size.to_bytes() {
        let why = format!(
            "the nodes have {} together, but the machine has {}",
            Size::bytes(total),
            config.memory.size
        );
        draft.conflict(root.field("numa"), why);
    }
    for (index, node) in config.numa.iter().enumerate() {
        one(draft, root.item("numa", index), index, node);
    }
    for (index, node) in config.numa.iter().enumerate() {
        let at = root.item("numa", index);
        let at = at.field("distances");
        if node.distances.is_empty() {
            continue;
        }
        if node.distances.len() != config.numa.len() {
            draft.conflict(at, format!("there are {} nodes to be far from", config.numa.len()));
        }
        for (other, distance) in node.distances.iter().enumerate() {
            if (other == index) != (*distance == 10) || *distance < 10 {
                draft.invalid(
                    at,
                    &distance.to_string(),
                    "is no distance: 10 for the node itself, more for others",
                );
            }
            let props = Props::new()
                .with("type", "dist")
                .with("src", index as u64)
                .with("dst", other as u64)
                .with("val", *distance);
            draft.option(at, "-numa", props);
        }
    }
}

fn one(draft: &mut Draft<'_>, at: At<'_>, index: usize, node: &NumaNode) {
    let mut object = Props::new();
    if !node.host_nodes.is_empty() {
        let list: Vec<_> = node.host_nodes.iter().map(|node| Value::from(*node)).collect();
        let policy = match node.policy.unwrap_or(NumaPolicy::Bind) {
            NumaPolicy::Preferred => "preferred",
            NumaPolicy::Bind => "bind",
            NumaPolicy::Interleave => "interleave",
        };
        object = object.with("host-nodes", list).with("policy", policy);
    } else if node.policy.is_some() {
        draft.conflict(at.field("policy"), "a policy needs `host_nodes`");
    }
    let id = format!("ram-node{index}");
    let mut props = Props::new().with("type", "node").with("nodeid", index as u64);
    for (position, range) in node.cpus.iter().enumerate() {
        check_range(draft, at.item("cpus", position), range);
        props.repeat("cpus", range);
    }
    if node.memory > Size::bytes(0) {
        memory::object(draft, at, &id, node.memory, object);
        props.set("memdev", id);
    }
    draft.option(at, "-numa", props);
}

fn check_range(draft: &mut Draft<'_>, at: At<'_>, range: &str) {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let most = draft.config.cpu.max.unwrap_or(draft.config.cpu.count);
    let good = match (first.parse::<u32>(), last.parse::<u32>()) {
        (Ok(first), Ok(last)) => first <= last && last < most,
        _ => false,
    };
    if !good {
        draft.invalid(at, range, format!("is no range of processors: numbers below {most}, such as 0-3"));
    }
}
