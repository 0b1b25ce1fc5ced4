//! Lets older releases use the names of the newest, where QEMU renamed or split a type.
//!
//! Names of types never travel on the wire, so QEMU changes them freely: 7.2's `MigrationStats` is
//! 11.1's `MigrationRAMStats`, 7.2's `String` is three types in 11.1. Where the newer release names a
//! type that the older one lacks, the older one's type at that place is copied under the new name; where
//! two became one, as `MigrateSetParameters` and `MigrationParameters` did, the one takes both's members.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Arguments, CommandFacts, Definition, Kind, Member, Schema, element};

/// Gives all but the last schema the names of the later ones.
pub fn align(schemas: &mut [Schema]) {
    for newer in (1..schemas.len()).rev() {
        let (older, newer) = schemas.split_at_mut(newer);
        for older in older {
            align_one(older, &newer[0]);
        }
    }
}

fn align_one(older: &mut Schema, newer: &Schema) {
    let newer: BTreeMap<&str, &Definition> =
        newer.definitions.iter().map(|definition| (definition.name.as_str(), definition)).collect();
    name_arguments(older, &newer);
    let mut replaced = BTreeSet::new();
    loop {
        let known: BTreeMap<String, Kind> =
            older.definitions.iter().map(|d| (d.name.clone(), d.kind.clone())).collect();
        // The new names of this round with the old type that each is a copy of.
        let mut copies: BTreeMap<String, String> = BTreeMap::new();
        // Types that went with their values to another one that was there already.
        let mut joined: Vec<(String, String)> = Vec::new();
        for definition in &mut older.definitions {
            let Some(new) = newer.get(definition.name.as_str()) else { continue };
            each_place(&mut definition.kind, &new.kind, &mut |place, wanted| {
                let (from, to) = match (element(place), element(wanted)) {
                    (Some(from), Some(to)) => (from, to),
                    (None, None) => (place.as_str(), wanted),
                    _ => return,
                };
                let (Some(old), Some(new)) = (known.get(from), newer.get(to)) else { return };
                if from == to || !same_sort(old, &new.kind) {
                    return;
                }
                if known.contains_key(to) {
                    if !newer.contains_key(from) && matches!(old, Kind::Struct { .. }) {
                        joined.push((from.to_owned(), to.to_owned()));
                        replaced.insert(from.to_owned());
                        wanted.clone_into(place);
                    }
                    return;
                }
                if copies.entry(to.to_owned()).or_insert_with(|| from.to_owned()) == from {
                    replaced.insert(from.to_owned());
                    wanted.clone_into(place);
                }
            });
        }
        if copies.is_empty() && joined.is_empty() {
            break;
        }
        for (from, to) in joined {
            if let (Some(Kind::Struct { members: extra, .. }), Some(into)) =
                (known.get(&from), older.definitions.iter_mut().find(|d| d.name == to))
            {
                absorb(&mut into.kind, extra);
            }
        }
        for (to, from) in copies {
            if let Some(mut copy) = older.definitions.iter().find(|d| d.name == from).cloned() {
                copy.name = to;
                older.definitions.push(copy);
            }
        }
    }
    // What nothing names any more was renamed, not split.
    let used: BTreeSet<String> = references(older).into_iter().map(str::to_owned).collect();
    older.definitions.retain(|definition| {
        let name = definition.name.as_str();
        !replaced.contains(name) || newer.contains_key(name) || used.contains(name)
    });
}

/// Where the newer release has a named type for a command's arguments, the older one's listed members
/// become a type of that name.
fn name_arguments(older: &mut Schema, newer: &BTreeMap<&str, &Definition>) {
    let known: BTreeSet<String> = older.definitions.iter().map(|d| d.name.clone()).collect();
    let mut added = Vec::new();
    for definition in &mut older.definitions {
        let Some(new) = newer.get(definition.name.as_str()) else { continue };
        let (
            Kind::Command(CommandFacts { data: Arguments::Type(name), .. })
            | Kind::Event { data: Arguments::Type(name) },
            Kind::Command(CommandFacts { data, .. }) | Kind::Event { data },
        ) = (&new.kind, &mut definition.kind)
        else {
            continue;
        };
        if let Arguments::Members(members) = data
            && !known.contains(name)
        {
            let kind = Kind::Struct { base: None, members: std::mem::take(members) };
            added.push(Definition {
                name: name.clone(),
                module: definition.module.clone(),
                since: definition.since.clone(),
                features: Vec::new(),
                condition: None,
                kind,
            });
            *data = Arguments::Type(name.clone());
        }
    }
    older.definitions.extend(added);
}

/// Adds the members that `into` lacks, as optional ones: not every value has them.
fn absorb(into: &mut Kind, extra: &[Member]) {
    let Kind::Struct { members, .. } = into else { return };
    for member in extra {
        if !members.iter().any(|known| known.name == member.name) {
            members.push(Member { optional: true, ..member.clone() });
        }
    }
}

fn same_sort(a: &Kind, b: &Kind) -> bool {
    let object = |kind: &Kind| matches!(kind, Kind::Struct { .. } | Kind::Union { .. });
    (object(a) && object(b)) || std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// Calls `visit` with the types at each place that both definitions have.
fn each_place(old: &mut Kind, new: &Kind, visit: &mut dyn FnMut(&mut String, &str)) {
    if let (Kind::Union { branches: old, .. }, Kind::Union { branches: new, .. }) = (&mut *old, new) {
        for old in old {
            if let Some(new) = new.iter().find(|new| new.value == old.value) {
                visit(&mut old.r#type, &new.r#type);
            }
        }
    }
    let mut members = |old: &mut [Member], new: &[Member]| {
        for old in old {
            if let Some(new) = new.iter().find(|new| new.name == old.name) {
                visit(&mut old.r#type, &new.r#type);
            }
        }
    };
    match (old, new) {
        (
            Kind::Struct { members: old, .. } | Kind::Union { members: old, .. },
            Kind::Struct { members: new, .. } | Kind::Union { members: new, .. },
        )
        | (Kind::Alternate { alternatives: old }, Kind::Alternate { alternatives: new }) => members(old, new),
        (Kind::Command(old), Kind::Command(new)) => {
            if let (Arguments::Members(old), Arguments::Members(new)) = (&mut old.data, &new.data) {
                members(old, new);
            }
            if let (Arguments::Type(old), Arguments::Type(new)) = (&mut old.data, &new.data) {
                visit(old, new);
            }
            if let (Some(old), Some(new)) = (&mut old.returns, &new.returns) {
                visit(old, new);
            }
        }
        (Kind::Event { data: Arguments::Members(old) }, Kind::Event { data: Arguments::Members(new) }) => {
            members(old, new);
        }
        _ => {}
    }
}

/// Every type that something in `schema` names.
fn references(schema: &Schema) -> BTreeSet<&str> {
    let mut names = Vec::new();
    for definition in &schema.definitions {
        match &definition.kind {
            Kind::Enum { .. } => {}
            Kind::Struct { base, members } => {
                names.extend(base.as_deref());
                names.extend(members.iter().map(|member| member.r#type.as_str()));
            }
            Kind::Union { base, members, branches, .. } => {
                names.extend(base.as_deref());
                names.extend(members.iter().map(|member| member.r#type.as_str()));
                names.extend(branches.iter().map(|branch| branch.r#type.as_str()));
            }
            Kind::Alternate { alternatives } => {
                names.extend(alternatives.iter().map(|member| member.r#type.as_str()));
            }
            Kind::Command(CommandFacts { data, returns, .. }) => {
                names.extend(returns.as_deref());
                names.extend(named(data));
            }
            Kind::Event { data } => names.extend(named(data)),
        }
    }
    names.into_iter().map(|name| element(name).unwrap_or(name)).collect()
}

fn named(data: &Arguments) -> Vec<&str> {
    match data {
        Arguments::None => Vec::new(),
        Arguments::Members(members) => members.iter().map(|member| member.r#type.as_str()).collect(),
        Arguments::Type(name) => vec![name],
    }
}
