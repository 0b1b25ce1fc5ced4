//! `-numa`: a memory object for each node, its processors, the distances.

use super::memory;
use crate::config::{NumaNode, NumaPolicy, Size, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

pub(super) fn nodes(builder: &mut Builder<'_>, config: &VmConfig) {
    if config.numa.is_empty() {
        return;
    }
    let total = config.numa.iter().fold(0_u64, |total, node| total.saturating_add(node.memory.to_bytes()));
    match memory::size(builder, config) {
        Some(size) if total != size.to_bytes() => {
            let why = format!("the nodes have {} in total, but the machine has {size}", Size::bytes(total));
            builder.conflict(At::section("numa"), why);
        }
        Some(_) => {}
        None => builder
            .conflict(At::section("memory").field("size"), "NUMA nodes require `memory.size` on this board"),
    }
    for (index, node) in config.numa.iter().enumerate() {
        one(builder, config, index, node);
    }
    for (index, node) in config.numa.iter().enumerate() {
        let at = At::entry("numa", index);
        for (position, place) in node.cpu_places.iter().enumerate() {
            let at = at.item("cpu_places", position);
            builder.check_keys(at, place);
            let mut props = Props::new().with("type", "cpu").with("node-id", index as u64);
            for (key, value) in place.iter() {
                if !matches!(value, Value::Uint(_)) || !key.ends_with("-id") {
                    builder.invalid(
                        at,
                        key,
                        "is not a place of a CPU; expected numbers such as socket-id = 0",
                    );
                }
                props.set(key.to_owned(), value.clone());
            }
            builder.option(at, "-numa", props);
        }
        let at = at.field("distances");
        if node.distances.is_empty() {
            continue;
        }
        if node.distances.len() != config.numa.len() {
            builder.conflict(at, format!("expected {} distances, one for each node", config.numa.len()));
        }
        for (other, distance) in node.distances.iter().enumerate() {
            if (other == index) != (*distance == 10) || *distance < 10 {
                builder.invalid(
                    at,
                    &distance.to_string(),
                    "is not a valid distance; expected 10 for the node itself, and more for others",
                );
            }
            let props = Props::new()
                .with("type", "dist")
                .with("src", index as u64)
                .with("dst", other as u64)
                .with("val", *distance);
            builder.option(at, "-numa", props);
        }
    }
}

fn one(builder: &mut Builder<'_>, config: &VmConfig, index: usize, node: &NumaNode) {
    let at = At::entry("numa", index);
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
        builder.conflict(at.field("policy"), "`policy` requires `host_nodes`");
    }
    let id = format!("ram-node{index}");
    let mut props = Props::new().with("type", "node").with("nodeid", index as u64);
    for (position, range) in node.cpus.iter().enumerate() {
        check_range(builder, at.item("cpus", position), config, range);
        props.repeat("cpus", range);
    }
    if let Some(initiator) = node.initiator {
        if usize::from(initiator) >= config.numa.len() {
            builder.invalid(at.field("initiator"), &initiator.to_string(), "is not the number of a node");
        }
        props.set("initiator", initiator);
    }
    if node.memory > Size::bytes(0) {
        memory::object(builder, at, config, &id, node.memory, object);
        props.set("memdev", id);
    }
    builder.option(at, "-numa", props);
}

/// `-numa hmat-lb` and `-numa hmat-cache`.
pub(super) fn speeds(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("hmat");
    for (index, speed) in config.hmat.speeds.iter().enumerate() {
        let at = at.item("speeds", index);
        for (field, node) in [("initiator", speed.initiator), ("target", speed.target)] {
            check_node(builder, at.field(field), config, node);
        }
        let good = ["memory", "first-level", "second-level", "third-level"];
        check_one_of(builder, at.field("hierarchy"), &speed.hierarchy, &good);
        check_one_of(builder, at.field("access"), &speed.access, &["access", "read", "write"]);
        let props = Props::new()
            .with("type", "hmat-lb")
            .with("initiator", speed.initiator)
            .with("target", speed.target)
            .with("hierarchy", &speed.hierarchy);
        let props = match (speed.latency_ns, speed.bandwidth) {
            (Some(latency), None) => {
                props.with("data-type", format!("{}-latency", speed.access)).with("latency", latency)
            }
            (None, Some(bandwidth)) => props
                .with("data-type", format!("{}-bandwidth", speed.access))
                .with("bandwidth", bandwidth.to_bytes()),
            _ => {
                builder.conflict(at, "set either `latency_ns` or `bandwidth`");
                continue;
            }
        };
        builder.option(at, "-numa", props);
    }
    for (index, cache) in config.hmat.caches.iter().enumerate() {
        let at = at.item("caches", index);
        check_node(builder, at.field("node"), config, cache.node);
        if !(1..=3).contains(&cache.level) {
            builder.invalid(at.field("level"), &cache.level.to_string(), "is not a level; expected 1 to 3");
        }
        let associativity = cache.associativity.as_deref().unwrap_or("none");
        check_one_of(builder, at.field("associativity"), associativity, &["none", "direct", "complex"]);
        let policy = cache.policy.as_deref().unwrap_or("none");
        check_one_of(builder, at.field("policy"), policy, &["none", "write-back", "write-through"]);
        let props = Props::new()
            .with("type", "hmat-cache")
            .with("node-id", cache.node)
            .with("size", cache.size.to_bytes())
            .with("level", cache.level)
            .with("associativity", associativity.to_owned())
            .with("policy", policy.to_owned())
            .with("line", cache.line);
        builder.option(at, "-numa", props);
    }
}

fn check_node(builder: &mut Builder<'_>, at: At<'_>, config: &VmConfig, node: u16) {
    if usize::from(node) >= config.numa.len() {
        builder.invalid(at, &node.to_string(), "is not the number of a node of `numa`");
    }
}

fn check_one_of(builder: &mut Builder<'_>, at: At<'_>, word: &str, good: &[&str]) {
    if !good.contains(&word) {
        builder.invalid(at, word, format!("is not possible here; expected one of {}", good.join(", ")));
    }
}

fn check_range(builder: &mut Builder<'_>, at: At<'_>, config: &VmConfig, range: &str) {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let most = config.cpu.max.or(config.cpu.count).unwrap_or(1);
    let good = match (first.parse::<u32>(), last.parse::<u32>()) {
        (Ok(first), Ok(last)) => first <= last && last < most,
        _ => false,
    };
    if !good {
        builder.invalid(
            at,
            range,
            format!("is not a valid range of CPUs; expected numbers below {most}, such as 0-3"),
        );
    }
}
