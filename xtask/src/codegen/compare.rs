//! Walks our types and a live QEMU's side by side, from every command and event down.

use std::collections::{BTreeMap, BTreeSet};

use super::introspect::{Live, LiveMember, LiveType, LiveVariant};
use super::merged::{Member, Merged, Payload, Shape};
use super::model::element;

/// Whose members are being compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A type, by our name.
    Type(String),
    Command(String),
    Event(String),
}

/// One difference. Names starting with `live` are the numbers of the live schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// The live QEMU has a command that we lack.
    MissingCommand(String),
    MissingEvent(String),
    MissingMember {
        owner: Owner,
        name: String,
        live: String,
        optional: bool,
        features: Vec<String>,
    },
    MissingWord {
        owner: String,
        word: String,
    },
    /// A union's branch has data that ours lacks.
    MissingBranch {
        owner: String,
        value: String,
        live: String,
    },
    /// A reply that we expect to be empty.
    MissingReply {
        command: String,
        live: String,
    },
    /// Something of another kind: JSON of one side does not fit the other.
    Mismatch {
        path: String,
        ours: String,
        live: String,
    },
    /// Mandatory with us, optional there.
    TooStrict {
        owner: Owner,
        name: String,
    },
    /// Features that a part has in the live QEMU.
    Features {
        owner: Owner,
        part: Option<String>,
        features: Vec<String>,
    },
    /// We have it, this QEMU has not.
    Extra(String),
}

/// What a walk found, and which of our types each of the live ones is.
#[derive(Default)]
pub struct Comparison {
    pub findings: BTreeSet<Finding>,
    pub names: BTreeMap<String, String>,
}

/// Compares `merged` with `live`.
pub fn compare(merged: &Merged, live: &Live) -> Comparison {
    let mut walk = Walk { merged, live, seen: BTreeSet::new(), result: Comparison::default() };
    for (name, command) in &live.commands {
        let Some(ours) = merged.commands.get(name) else {
            walk.find(Finding::MissingCommand(name.clone()));
            continue;
        };
        let owner = Owner::Command(name.clone());
        walk.features(&owner, None, &command.features);
        // QEMU tells nothing about what an open command takes beyond the listed members.
        walk.payload(&owner, &ours.shape.data, &command.arg_type);
        match &ours.shape.returns {
            Some(returns) => walk.types(&format!("{name} →"), returns, &command.ret_type),
            None if walk.is_empty(&command.ret_type) => {}
            None => {
                walk.find(Finding::MissingReply { command: name.clone(), live: command.ret_type.clone() });
            }
        }
        if command.allow_oob && !ours.shape.allow_oob {
            walk.mismatch(name, "in-band only", "out of band");
        }
    }
    for (name, event) in &live.events {
        let Some(ours) = merged.events.get(name) else {
            walk.find(Finding::MissingEvent(name.clone()));
            continue;
        };
        let owner = Owner::Event(name.clone());
        walk.features(&owner, None, &event.features);
        walk.payload(&owner, &ours.shape, &event.arg_type);
    }
    for name in merged.commands.keys().filter(|name| !live.commands.contains_key(*name)) {
        walk.find(Finding::Extra(format!("command {name}")));
    }
    for name in merged.events.keys().filter(|name| !live.events.contains_key(*name)) {
        walk.find(Finding::Extra(format!("event {name}")));
    }
    walk.result
}

struct Walk<'a> {
    merged: &'a Merged,
    live: &'a Live,
    seen: BTreeSet<(String, String)>,
    result: Comparison,
}

impl Walk<'_> {
    fn find(&mut self, finding: Finding) {
        self.result.findings.insert(finding);
    }

    fn mismatch(&mut self, path: &str, ours: &str, live: &str) {
        self.find(Finding::Mismatch { path: path.to_owned(), ours: ours.to_owned(), live: live.to_owned() });
    }

    fn features(&mut self, owner: &Owner, part: Option<&str>, features: &[String]) {
        if !features.is_empty() {
            let (owner, part) = (owner.clone(), part.map(str::to_owned));
            self.find(Finding::Features { owner, part, features: features.to_vec() });
        }
    }

    fn is_empty(&self, live: &str) -> bool {
        matches!(self.live.types.get(live), Some(LiveType::Object { members, tag: None, .. }) if members.is_empty())
    }

    fn payload(&mut self, owner: &Owner, ours: &Payload, live: &str) {
        match ours {
            Payload::Type(name) => {
                let path = match owner {
                    Owner::Command(name) | Owner::Event(name) | Owner::Type(name) => name.clone(),
                };
                self.types(&path, name, live);
            }
            Payload::Members(members) => {
                if let Some(LiveType::Object { members: theirs, .. }) = self.live.types.get(live) {
                    let theirs: Vec<_> = theirs.iter().collect();
                    self.members(owner, members, &theirs, None);
                }
            }
        }
    }

    fn members(&mut self, owner: &Owner, ours: &[Member], theirs: &[&LiveMember], tag: Option<&str>) {
        for member in theirs.iter().filter(|member| tag != Some(member.name.as_str())) {
            self.features(owner, Some(&member.name), &member.features);
            let Some(known) = ours.iter().find(|known| known.name == member.name) else {
                self.find(Finding::MissingMember {
                    owner: owner.clone(),
                    name: member.name.clone(),
                    live: member.r#type.clone(),
                    optional: member.default,
                    features: member.features.clone(),
                });
                continue;
            };
            if member.default && !known.optional {
                self.find(Finding::TooStrict { owner: owner.clone(), name: member.name.clone() });
            }
            let path = match owner {
                Owner::Type(name) | Owner::Command(name) | Owner::Event(name) => {
                    format!("{name}.{}", member.name)
                }
            };
            self.types(&path, &known.r#type, &member.r#type);
        }
        for known in ours {
            if !theirs.iter().any(|member| member.name == known.name) {
                self.find(Finding::Extra(format!("{owner:?} member {}", known.name)));
                if !known.optional {
                    self.find(Finding::TooStrict { owner: owner.clone(), name: known.name.clone() });
                }
            }
        }
    }

    /// A union that is a struct with us: the members of its branches are among ours, too.
    fn flat(&mut self, owner: &Owner, ours: &[Member], theirs: &[LiveMember], variants: &[LiveVariant]) {
        let mut all: Vec<&LiveMember> = theirs.iter().collect();
        for variant in variants {
            if let Some(LiveType::Object { members, .. }) = self.live.types.get(&variant.r#type) {
                all.extend(members);
            }
        }
        self.members(owner, ours, &all, None);
    }

    fn types(&mut self, path: &str, ours: &str, live: &str) {
        if !self.seen.insert((ours.to_owned(), live.to_owned())) {
            return;
        }
        let Some(theirs) = self.live.types.get(live) else {
            self.mismatch(path, ours, live);
            return;
        };
        if !matches!(theirs, LiveType::Builtin {} | LiveType::Array { .. }) {
            self.result.names.insert(live.to_owned(), ours.to_owned());
        }
        let shape = self.merged.types.get(ours).map(|entity| &entity.shape);
        match (theirs, shape) {
            (LiveType::Builtin {}, _) if builtin(ours) == live || ours == "any" || live == "any" => {}
            // Every enum takes any word, every alternate the kinds it has.
            (LiveType::Builtin {}, Some(Shape::Enum { .. })) if live == "str" => {}
            (LiveType::Builtin {}, Some(Shape::Alternate { alternatives }))
                if alternatives.iter().any(|alternative| builtin(&alternative.r#type) == live) => {}
            (LiveType::Array { element_type }, _) if element(ours).is_some() => {
                self.types(path, element(ours).unwrap_or(ours), element_type);
            }
            (LiveType::Enum { members }, Some(Shape::Enum { words })) => {
                for word in members {
                    self.features(&Owner::Type(ours.to_owned()), Some(&word.name), &word.features);
                    if !words.iter().any(|known| known.name == word.name) {
                        self.find(Finding::MissingWord { owner: ours.to_owned(), word: word.name.clone() });
                    }
                }
            }
            (LiveType::Object { members, tag, variants }, Some(Shape::Object(object))) => {
                let owner = Owner::Type(ours.to_owned());
                let known = object.tag.as_ref();
                if known.is_none() && !variants.is_empty() {
                    self.flat(&owner, &object.members, members, variants);
                    return;
                }
                // A release may have the discriminator as a plain member still.
                let theirs: Vec<_> = members.iter().collect();
                self.members(&owner, &object.members, &theirs, known.map(|tag| tag.name.as_str()));
                if tag.is_some() && tag.as_deref() != known.map(|known| known.name.as_str()) {
                    self.mismatch(path, ours, &format!("tagged {tag:?}"));
                    return;
                }
                for variant in variants {
                    let branch = known.and_then(|tag| tag.branches.iter().find(|b| b.value == variant.case));
                    match branch.and_then(|branch| branch.r#type.as_ref()) {
                        Some(branch) => {
                            self.types(&format!("{path}<{}>", variant.case), branch, &variant.r#type);
                        }
                        None if branch.is_some() && self.is_empty(&variant.r#type) => {}
                        None => self.find(Finding::MissingBranch {
                            owner: ours.to_owned(),
                            value: variant.case.clone(),
                            live: variant.r#type.clone(),
                        }),
                    }
                }
            }
            (LiveType::Alternate { members }, Some(Shape::Alternate { alternatives })) => {
                for (theirs, known) in members.iter().zip(alternatives) {
                    self.types(path, &known.r#type, &theirs.r#type);
                }
                if members.len() != alternatives.len() {
                    self.mismatch(path, ours, "an alternate with another number of kinds");
                }
            }
            _ => self.mismatch(path, ours, live),
        }
    }
}

/// The introspection's name of a built-in type: all integers are `int` there.
fn builtin(name: &str) -> &str {
    match name {
        "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64" | "size" => "int",
        other => other,
    }
}
