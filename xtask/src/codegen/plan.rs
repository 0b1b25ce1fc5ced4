//! What the emitter must know about each type: which way it travels, which features need it, where a
//! `Box` breaks a cycle.

use std::collections::{BTreeMap, BTreeSet};

use super::merged::{Merged, Payload, Shape};
use super::model::element;

/// Which way values of a type travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// We write them.
    pub input: bool,
    /// We read them.
    pub output: bool,
}

impl Direction {
    /// The word of the macros in `shape.rs`.
    pub fn word(self) -> &'static str {
        match (self.input, self.output) {
            (true, true) => "both",
            (true, false) => "input",
            _ => "output",
        }
    }
}

/// The features that need a thing, by the modules of the commands and events that reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Modules whose stable part reaches it.
    pub stable: BTreeSet<String>,
    /// Modules that reach it only with the feature `unstable`.
    pub unstable: BTreeSet<String>,
}

/// The plan for all types of one dialect.
#[derive(Debug, Default)]
pub struct Plan {
    pub directions: BTreeMap<String, Direction>,
    pub needs: BTreeMap<String, Needs>,
    /// Members (owner, type) whose value is boxed, and alternatives likewise.
    pub boxed: BTreeSet<(String, String)>,
}

/// One use of a type by another: its name, and whether the use is unstable.
type Edge = (String, bool);

impl Plan {
    pub fn new(merged: &Merged) -> Self {
        let edges: BTreeMap<&str, Vec<Edge>> =
            merged.types.iter().map(|(name, entity)| (name.as_str(), edges(&entity.shape))).collect();
        let mut plan = Self::default();
        for command in merged.commands.values() {
            let unstable = command.status.unstable;
            for name in payload_types(&command.shape.data) {
                plan.reach(&edges, &name, &command.module, unstable, true);
            }
            if let Some(name) = &command.shape.returns {
                plan.reach(&edges, base_name(name), &command.module, unstable, false);
            }
        }
        for event in merged.events.values() {
            for name in payload_types(&event.shape) {
                // Events are also written: a program passes them on.
                plan.reach(&edges, &name, &event.module, event.status.unstable, false);
                plan.reach(&edges, &name, &event.module, event.status.unstable, true);
            }
        }
        for (name, entity) in &merged.types {
            // No command or event reaches it: QEMU takes it on the command line.
            if !plan.directions.contains_key(name) {
                plan.reach(&edges, name, &entity.module, entity.status.unstable, true);
            }
        }
        plan.boxed = boxes(merged);
        plan
    }

    fn reach(
        &mut self,
        edges: &BTreeMap<&str, Vec<Edge>>,
        name: &str,
        module: &str,
        unstable: bool,
        input: bool,
    ) {
        let Some(next) = edges.get(name) else { return };
        let direction = self.directions.entry(name.to_owned()).or_default();
        let needs = self.needs.entry(name.to_owned()).or_default();
        let seen = if input { &mut direction.input } else { &mut direction.output };
        let is_new_need = if needs.stable.contains(module) {
            false
        } else if unstable {
            needs.unstable.insert(module.to_owned())
        } else {
            needs.unstable.remove(module);
            needs.stable.insert(module.to_owned())
        };
        if *seen && !is_new_need {
            return;
        }
        *seen = true;
        for (name, edge_unstable) in next {
            self.reach(edges, name, module, unstable || *edge_unstable, input);
        }
    }
}

/// A type's name without the brackets of an array.
pub fn base_name(name: &str) -> &str {
    element(name).unwrap_or(name)
}

fn payload_types(payload: &Payload) -> Vec<String> {
    match payload {
        Payload::Members(members) => members.iter().map(|m| base_name(&m.r#type).to_owned()).collect(),
        Payload::Type(name) => vec![name.clone()],
    }
}

fn edges(shape: &Shape) -> Vec<Edge> {
    match shape {
        Shape::Enum { .. } => Vec::new(),
        Shape::Alternate { alternatives } => {
            alternatives.iter().map(|a| (base_name(&a.r#type).to_owned(), false)).collect()
        }
        Shape::Object(object) => {
            let members = object.members.iter().map(|m| (base_name(&m.r#type).to_owned(), m.status.unstable));
            let branches = object.tag.iter().flat_map(|tag| &tag.branches);
            let branches = branches.filter_map(|b| Some((b.r#type.clone()?, b.status.unstable)));
            members.chain(branches).collect()
        }
    }
}

/// The types that a value of this shape holds in place, not behind a `Vec`.
fn held(shape: &Shape) -> Vec<&str> {
    match shape {
        Shape::Enum { .. } => Vec::new(),
        Shape::Alternate { alternatives } => alternatives.iter().map(|a| a.r#type.as_str()).collect(),
        Shape::Object(object) => {
            let branches = object.tag.iter().flat_map(|tag| &tag.branches);
            let branches = branches.filter_map(|branch| branch.r#type.as_deref());
            object.members.iter().map(|m| m.r#type.as_str()).chain(branches).collect()
        }
    }
}

/// Boxes the alternatives that lead back to their alternate first, then the members that still close a
/// cycle.
fn boxes(merged: &Merged) -> BTreeSet<(String, String)> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, entity) in &merged.types {
        let held = held(&entity.shape).into_iter().filter(|held| merged.types.contains_key(*held));
        graph.insert(name, held.collect());
    }
    let mut boxed = BTreeSet::new();
    for alternates in [true, false] {
        for (name, entity) in &merged.types {
            if alternates && !matches!(entity.shape, Shape::Alternate { .. }) {
                continue;
            }
            for held in graph[name.as_str()].clone() {
                if leads_to(&graph, held, name) {
                    boxed.insert((name.clone(), held.to_owned()));
                    if let Some(edges) = graph.get_mut(name.as_str()) {
                        edges.remove(held);
                    }
                }
            }
        }
    }
    boxed
}

fn leads_to(graph: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            open.extend(graph.get(name).into_iter().flatten());
        }
    }
    false
}
