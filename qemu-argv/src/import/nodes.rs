//! NUMA nodes.

use super::bag::{Bag, Why, as_number};
use super::line::Line;
use super::memory::backend_object;
use crate::config::{Hmat, MemoryBackend, MemoryCache, MemorySpeed, NumaNode, VmConfig};
use crate::value::Value;

pub(super) fn nodes(line: &mut Line, config: &mut VmConfig) {
    let all = line.open("numa");
    if all.is_empty() {
        return;
    }
    let mut nodes: Vec<NumaNode> = Vec::new();
    let mut memory = config.memory.clone();
    let mut objects = Vec::new();
    let mut hmat = Hmat::default();
    let mut read = || -> Result<(), Why> {
        for at in &all {
            let mut bag = line.bag(*at);
            match bag.needed("type")?.as_str() {
                "node" => {
                    let number: usize = bag.number::<usize>("nodeid")?.unwrap_or(nodes.len());
                    if number != nodes.len() {
                        return Err("a config has NUMA nodes in the order of their numbers".into());
                    }
                    let mut node = NumaNode::default();
                    for range in bag.all("cpus") {
                        match range {
                            Value::Str(range) => node.cpus.push(range.into()),
                            _ => return Err("`cpus` is not a text".into()),
                        }
                    }
                    node.initiator = bag.number("initiator")?;
                    if let Some(id) = bag.text("memdev")? {
                        let (at, size, mut rest) = backend_object(line, &id, &mut memory)?;
                        node.memory = size.ok_or("a memory object has no size")?;
                        if let Some(Value::List(hosts)) = rest.take("host-nodes") {
                            let number = |value: &Value| as_number(value)?.try_into().ok();
                            node.host_nodes = hosts.iter().filter_map(number).collect();
                        }
                        node.policy = rest.same_word("policy")?;
                        rest.done()?;
                        objects.push(at);
                    }
                    bag.done()?;
                    nodes.push(node);
                }
                "dist" => {
                    let (source, target) = (bag.number::<usize>("src")?, bag.number::<usize>("dst")?);
                    let distance = bag.number::<u8>("val")?;
                    bag.done()?;
                    let (Some(source), Some(target), Some(distance)) = (source, target, distance) else {
                        return Err("a distance has `src`, `dst` and `val`".into());
                    };
                    let count = nodes.len();
                    let node = nodes.get_mut(source).ok_or("a distance is of a node that is not there")?;
                    if node.distances.is_empty() {
                        // What QEMU takes for a node that is another one.
                        node.distances = vec![20; count];
                        node.distances[source] = 10;
                    }
                    *node.distances.get_mut(target).ok_or("a distance is to a node that is not there")? =
                        distance;
                }
                "cpu" => {
                    let node = bag.number::<usize>("node-id")?.and_then(|number| nodes.get_mut(number));
                    let node = node.ok_or("a CPU is of a node that is not there")?;
                    node.cpu_places.push(bag.accel_options());
                }
                "hmat-lb" => hmat.speeds.push(speed(bag)?),
                "hmat-cache" => hmat.caches.push(cache(bag)?),
                other => return Err(format!("a config has no NUMA option of the type {other}")),
            }
        }
        Ok(())
    };
    match read() {
        Ok(()) => {
            // Each node has a file of its own in the directory.
            if let MemoryBackend::File(file) = &mut memory.backend {
                let path = file.path.to_string_lossy().trim_end_matches('/').to_owned();
                file.path = if path.is_empty() { "/".into() } else { path.into() };
            }
            config.memory = memory;
            config.numa = nodes;
            config.hmat = hmat;
            line.typed_all(&all);
            line.typed_all(&objects);
        }
        Err(why) => line.extra_all(&all, &why),
    }
}

fn speed(mut bag: Bag) -> Result<MemorySpeed, Why> {
    let missing = || Why::from("a speed has `initiator`, `target`, `hierarchy` and `data-type`");
    let (initiator, target) = (bag.number("initiator")?, bag.number("target")?);
    let (initiator, target) = initiator.zip(target).ok_or_else(missing)?;
    let (hierarchy, kind) = (bag.needed("hierarchy")?, bag.needed("data-type")?);
    let (latency_ns, bandwidth) = (bag.number("latency")?, bag.size("bandwidth")?);
    bag.done()?;
    let (access, of_latency) = match (kind.strip_suffix("-latency"), kind.strip_suffix("-bandwidth")) {
        (Some(access), _) => (access, true),
        (_, Some(access)) => (access, false),
        _ => return Err(missing()),
    };
    if of_latency != latency_ns.is_some() || of_latency == bandwidth.is_some() {
        return Err("a speed is either a latency or a bandwidth".into());
    }
    let access = access.to_owned();
    Ok(MemorySpeed { hierarchy, access, latency_ns, bandwidth, ..MemorySpeed::latency(initiator, target, 0) })
}

fn cache(mut bag: Bag) -> Result<MemoryCache, Why> {
    let missing = || Why::from("a cache has `node-id`, `size`, `level` and `line`");
    let node = bag.number("node-id")?.ok_or_else(missing)?;
    let size = bag.size("size")?.ok_or_else(missing)?;
    let level = bag.number("level")?.ok_or_else(missing)?;
    let associativity = bag.text("associativity")?.filter(|word| word != "none");
    let policy = bag.text("policy")?.filter(|word| word != "none");
    let line = bag.number("line")?.ok_or_else(missing)?;
    bag.done()?;
    Ok(MemoryCache { associativity, policy, ..MemoryCache::new(node, size, level, line) })
}
