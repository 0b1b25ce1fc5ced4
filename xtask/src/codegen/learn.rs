//! `cargo xtask schema learn`: what a live QEMU has beyond the named facts.
//!
//! Introspection has numbers for types. The walk of `compare` finds the true name of every type that
//! the facts know; only what they do not know gets a name made from where it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use super::compare::{Comparison, Finding, Owner, compare};
use super::import::release;
use super::introspect::{self, Live, LiveMember, LiveType};
use super::merged::{Merged, Payload, Shape, Status};
use super::model::{Arguments, Branch, CommandFacts, Definition, Feature, Kind, Member, Schema, Word};
use super::naming;
use super::patch::patch;
use super::store::{self, LEARNED, Provenance};
use super::verify;

/// The module of what is learned: introspection does not tell the true one.
const MODULE: &str = "learned";

/// Asks `qemu` and adds what it has to the learned facts.
pub fn run(qemu: &Path) -> Result<()> {
    let live = introspect::ask(qemu)?;
    let merged = verify::merged()?;
    let known = store::read_learned()?;
    let learned = learn(&merged, &live)?;
    let count = learned.len();
    let mut schema = Schema { version: "learned".to_owned(), exact_integers: false, definitions: known };
    for definition in learned {
        patch(&mut schema.definitions, definition);
    }
    schema.definitions.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    let program = qemu.file_name().unwrap_or_default().to_string_lossy();
    let source = format!("query-qmp-schema of {program} {}", live.version);
    store::write(LEARNED, &schema, Provenance { source, ..Provenance::default() })?;
    println!("{LEARNED}: {count} definitions learned from QEMU {}", live.version);
    Ok(())
}

/// Everything that `live` has and `merged` lacks. If `live` is of the newest release, features, too.
pub fn learn(merged: &Merged, live: &Live) -> Result<Vec<Definition>> {
    let is_newest = store::RELEASES.last() == Some(&release(&live.version)?.as_str());
    let Comparison { findings, names } = compare(merged, live);
    let taken = merged.types.keys().cloned().collect();
    let mut learner = Learner { merged, live, names, taken, learned: Vec::new() };
    for finding in findings {
        learner.take(finding, is_newest);
    }
    Ok(learner.learned)
}

struct Learner<'a> {
    merged: &'a Merged,
    live: &'a Live,
    /// Our name of each live type.
    names: BTreeMap<String, String>,
    taken: BTreeSet<String>,
    learned: Vec<Definition>,
}

impl Learner<'_> {
    fn take(&mut self, finding: Finding, is_newest: bool) {
        match finding {
            Finding::MissingCommand(name) => self.command(&name),
            Finding::MissingEvent(name) => {
                let Some(event) = self.live.events.get(&name) else { return };
                let data = self.arguments(&name, &event.arg_type);
                self.add(&name, &event.features, Kind::Event { data });
            }
            Finding::MissingMember { owner, name, live, optional: _, features } => {
                let context = format!("{}-{name}", owner_name(&owner));
                let r#type = self.type_name(&context, &live);
                let member =
                    Member { optional: true, features: named(&features), ..member(name, r#type) };
                self.patch_member(&owner, member);
            }
            Finding::MissingWord { owner, word } => self.patch_word(&owner, word, &[]),
            Finding::MissingBranch { owner, value, live } => {
                let Some(tag) = self.tag_of(&owner) else { return };
                let r#type = self.type_name(&format!("{owner}-{value}"), &live);
                let branches = vec![Branch { value, r#type, condition: None }];
                let kind = Kind::Union { base: None, members: Vec::new(), discriminator: tag, branches };
                self.add(&owner, &[], kind);
            }
            Finding::MissingReply { command, live } => {
                let returns = Some(self.type_name(&format!("{command}-info"), &live));
                self.add(&command, &[], Kind::Command(CommandFacts { returns, ..CommandFacts::default() }));
            }
            Finding::Features { owner, part, features } if is_newest => {
                self.features(owner, part, &features);
            }
            Finding::Features { .. }
            | Finding::Extra(_)
            // Nothing that can be added: `schema verify` tells them.
            | Finding::Mismatch { .. }
            | Finding::TooStrict { .. } => {}
        }
    }

    fn tag_of(&self, owner: &str) -> Option<String> {
        match &self.merged.types.get(owner)?.shape {
            Shape::Object(object) => Some(object.tag.as_ref()?.name.clone()),
            _ => None,
        }
    }

    fn add(&mut self, name: &str, features: &[String], kind: Kind) {
        let (name, features) = (name.to_owned(), named(features));
        self.learned.push(Definition {
            name,
            module: MODULE.to_owned(),
            since: None,
            features,
            condition: None,
            kind,
        });
    }

    fn command(&mut self, name: &str) {
        let Some(command) = self.live.commands.get(name) else { return };
        let data = self.arguments(name, &command.arg_type);
        let is_empty = matches!(self.live.types.get(&command.ret_type),
            Some(LiveType::Object { members, tag: None, .. }) if members.is_empty());
        let returns = (!is_empty).then(|| self.type_name(&format!("{name}-info"), &command.ret_type));
        let facts = CommandFacts { data, returns, allow_oob: command.allow_oob, ..CommandFacts::default() };
        self.add(name, &command.features, Kind::Command(facts));
    }

    fn arguments(&mut self, context: &str, live: &str) -> Arguments {
        if let Some(name) = self.names.get(live) {
            return Arguments::Type(name.clone());
        }
        match self.live.types.get(live) {
            Some(LiveType::Object { members, tag: None, .. }) if members.is_empty() => Arguments::None,
            Some(LiveType::Object { members, tag: None, .. }) => {
                Arguments::Members(self.members(context, members))
            }
            _ => Arguments::Type(self.type_name(&format!("{context}-arguments"), live)),
        }
    }

    fn members(&mut self, context: &str, members: &[LiveMember]) -> Vec<Member> {
        let mut named_members = Vec::new();
        for live in members {
            let r#type = self.type_name(&format!("{context}-{}", live.name), &live.r#type);
            named_members.push(Member {
                optional: live.default,
                features: named(&live.features),
                ..member(live.name.clone(), r#type)
            });
        }
        named_members
    }

    /// Our name for a live type; a type without one is named after `context` and added.
    fn type_name(&mut self, context: &str, live: &str) -> String {
        if let Some(name) = self.names.get(live) {
            return name.clone();
        }
        let live_type = self.live.types.get(live);
        match live_type {
            None | Some(LiveType::Builtin {}) => return live.to_owned(),
            Some(LiveType::Array { element_type }) => {
                return format!("[{}]", self.type_name(context, element_type));
            }
            _ => {}
        }
        let mut name = naming::camel(context);
        while !self.taken.insert(name.clone()) {
            name.push_str("More");
        }
        self.names.insert(live.to_owned(), name.clone());
        let kind = match live_type {
            Some(LiveType::Enum { members }) => {
                Kind::Enum { values: members.iter().map(|m| word(m.name.clone(), &m.features)).collect() }
            }
            Some(LiveType::Object { members, tag: None, .. }) => {
                Kind::Struct { base: None, members: self.members(&name, members) }
            }
            Some(LiveType::Object { members, tag: Some(tag), variants }) => {
                let members = self.members(&name, members);
                let mut branches = Vec::new();
                for variant in variants {
                    let r#type = self.type_name(&format!("{name}-{}", variant.case), &variant.r#type);
                    branches.push(Branch { value: variant.case.clone(), r#type, condition: None });
                }
                Kind::Union { base: None, members, discriminator: tag.clone(), branches }
            }
            Some(LiveType::Alternate { members }) => {
                let mut alternatives = Vec::new();
                for (index, alternative) in members.iter().enumerate() {
                    let r#type = self.type_name(&format!("{name}-{index}"), &alternative.r#type);
                    alternatives.push(member(format!("kind{index}"), r#type));
                }
                Kind::Alternate { alternatives }
            }
            _ => return name,
        };
        self.add(&name, &[], kind);
        name
    }

    fn patch_member(&mut self, owner: &Owner, member: Member) {
        let members = vec![member];
        match owner {
            Owner::Type(name) => self.add(name, &[], Kind::Struct { base: None, members }),
            Owner::Command(name) => {
                let data = Arguments::Members(members);
                self.add(name, &[], Kind::Command(CommandFacts { data, ..CommandFacts::default() }));
            }
            Owner::Event(name) => self.add(name, &[], Kind::Event { data: Arguments::Members(members) }),
        }
    }

    fn patch_word(&mut self, owner: &str, name: String, features: &[String]) {
        self.add(owner, &[], Kind::Enum { values: vec![word(name, features)] });
    }

    /// Notes the features that the facts do not have yet.
    fn features(&mut self, owner: Owner, part: Option<String>, features: &[String]) {
        let is_known = |status: &Status| {
            let has = |name: &str| features.iter().any(|feature| feature == name);
            has("deprecated") == status.deprecated && has("unstable") == status.unstable
        };
        let merged = self.merged;
        match (owner, part) {
            (Owner::Command(name), None) => {
                if merged.commands.get(&name).is_some_and(|command| !is_known(&command.status)) {
                    self.add(&name, features, Kind::Command(CommandFacts::default()));
                }
            }
            (Owner::Event(name), None) => {
                if merged.events.get(&name).is_some_and(|event| !is_known(&event.status)) {
                    self.add(&name, features, Kind::Event { data: Arguments::None });
                }
            }
            (Owner::Type(_), None) => {}
            (owner, Some(part)) => {
                if let Some(Shape::Enum { words }) = merged.shape(&owner) {
                    if words.iter().any(|word| word.name == part && !is_known(&word.status)) {
                        self.patch_word(owner_name(&owner), part, features);
                    }
                    return;
                }
                let known = merged.members(&owner).iter().find(|member| member.name == part);
                if let Some(known) = known.filter(|known| !is_known(&known.status)) {
                    let patch = Member {
                        optional: known.optional,
                        features: named(features),
                        ..member(part, known.r#type.clone())
                    };
                    self.patch_member(&owner, patch);
                }
            }
        }
    }
}

impl Merged {
    fn shape(&self, owner: &Owner) -> Option<&Shape> {
        match owner {
            Owner::Type(name) => self.types.get(name).map(|entity| &entity.shape),
            Owner::Command(_) | Owner::Event(_) => None,
        }
    }

    /// The members that `owner` lists itself.
    fn members(&self, owner: &Owner) -> &[super::merged::Member] {
        let payload = match owner {
            Owner::Type(_) => match self.shape(owner) {
                Some(Shape::Object(object)) => return &object.members,
                _ => None,
            },
            Owner::Command(name) => self.commands.get(name).map(|command| &command.shape.data),
            Owner::Event(name) => self.events.get(name).map(|event| &event.shape),
        };
        match payload {
            Some(Payload::Members(members)) => members,
            _ => &[],
        }
    }
}

fn owner_name(owner: &Owner) -> &str {
    match owner {
        Owner::Type(name) | Owner::Command(name) | Owner::Event(name) => name,
    }
}

fn named(features: &[String]) -> Vec<Feature> {
    features.iter().map(|name| Feature { name: name.clone(), condition: None }).collect()
}

fn member(name: String, r#type: String) -> Member {
    Member { name, r#type, optional: false, since: None, features: Vec::new(), condition: None }
}

fn word(name: String, features: &[String]) -> Word {
    Word { name, since: None, features: named(features), condition: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_newer_qemu_is_learned_with_readable_names_once() {
        let live = introspect::understand(
            "12.0.1".to_owned(),
            json!([
                { "meta-type": "builtin", "name": "str", "json-type": "string" },
                { "meta-type": "builtin", "name": "bool", "json-type": "boolean" },
                { "meta-type": "builtin", "name": "int", "json-type": "int" },
                { "meta-type": "object", "name": "0", "members": [] },
                { "meta-type": "command", "name": "query-status", "arg-type": "0", "ret-type": "1" },
                { "meta-type": "object", "name": "1", "members": [
                    { "name": "running", "type": "bool" },
                    { "name": "status", "type": "2" },
                    { "name": "mood", "type": "3", "default": null } ] },
                { "meta-type": "enum", "name": "2", "values": [],
                  "members": [{ "name": "running" }, { "name": "dreaming" }] },
                { "meta-type": "enum", "name": "3", "values": [], "members": [{ "name": "good" }] },
                { "meta-type": "command", "name": "query-tomorrow", "arg-type": "4", "ret-type": "[5]" },
                { "meta-type": "object", "name": "4", "members": [{ "name": "state", "type": "2" }] },
                { "meta-type": "array", "name": "[5]", "element-type": "5" },
                { "meta-type": "object", "name": "5", "members": [{ "name": "day", "type": "int" }] },
                { "meta-type": "event", "name": "TOMORROW", "arg-type": "0" },
            ]),
        )
        .expect("a schema");
        let mut schemas = store::read_all(store::Dialect::Qmp).expect("facts");
        let merged = super::super::merge::merge(schemas.clone()).expect("merges");
        let learned = learn(&merged, &live).expect("learns");
        let lines: Vec<String> =
            learned.iter().map(|definition| serde_json::to_string(definition).expect("plain data")).collect();
        let module = "\"module\":\"learned\"";
        assert_eq!(
            lines,
            [
                r#"{"name":"QueryTomorrowInfo",MODULE,"kind":"struct","members":[{"name":"day","type":"int"}]}"#,
                r#"{"name":"query-tomorrow",MODULE,"kind":"command","data":{"members":[{"name":"state","type":"RunState"}]},"returns":"[QueryTomorrowInfo]"}"#,
                r#"{"name":"TOMORROW",MODULE,"kind":"event"}"#,
                r#"{"name":"StatusInfoMood",MODULE,"kind":"enum","values":[{"name":"good"}]}"#,
                r#"{"name":"StatusInfo",MODULE,"kind":"struct","members":[{"name":"mood","type":"StatusInfoMood","optional":true}]}"#,
                r#"{"name":"RunState",MODULE,"kind":"enum","values":[{"name":"dreaming"}]}"#,
            ]
            .map(|line| line.replace("MODULE", module))
        );
        // With what was learned, nothing is left to learn.
        let newest = schemas.last_mut().expect("a release");
        for definition in learned {
            patch(&mut newest.definitions, definition);
        }
        let merged = super::super::merge::merge(schemas).expect("merges");
        assert_eq!(learn(&merged, &live).expect("learns"), []);
        assert_eq!(verify::report(&merged, &live).problems, Vec::<String>::new());
    }
}
