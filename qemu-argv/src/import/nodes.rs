//! NUMA nodes.

use super::bag::{Why, as_number};
use super::line::Line;
use super::memory::backend_object;
use crate::config::{MemoryBackend, NumaNode, VmConfig};
use crate::value::Value;

pub(super) fn nodes(line: &mut Line, config: &mut VmConfig) {
    let all = line.open("numa");
    if all.is_empty() {
        return;
    }
    let mut nodes: Vec<NumaNode> = Vec::new();
    let mut memory = config.memory.clone();
    let mut objects = Vec::new();
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
            line.typed_all(&all);
            line.typed_all(&objects);
        }
        Err(why) => line.extra_all(&all, &why),
    }
}
