//! Puts learned facts on top of those of a release.

use super::model::{Arguments, Definition, Feature, Kind, Member, has_feature};

/// Adds what `learned` says to `definitions`: a new definition, or parts and features of a known one.
pub fn patch(definitions: &mut Vec<Definition>, learned: Definition) {
    let key = learned.sort_key();
    let Some(known) = definitions.iter_mut().find(|definition| definition.sort_key() == key) else {
        definitions.push(learned);
        return;
    };
    add_features(&mut known.features, &learned.features);
    match (&mut known.kind, learned.kind) {
        (Kind::Enum { values }, Kind::Enum { values: more }) => {
            for word in more {
                match values.iter_mut().find(|known| known.name == word.name) {
                    Some(known) => add_features(&mut known.features, &word.features),
                    None => values.push(word),
                }
            }
        }
        (
            Kind::Union { members, branches, .. },
            Kind::Union { members: more, branches: more_branches, .. },
        ) => {
            add_members(members, more);
            for branch in more_branches {
                if !branches.iter().any(|known| known.value == branch.value) {
                    branches.push(branch);
                }
            }
        }
        (Kind::Struct { members, .. } | Kind::Union { members, .. }, Kind::Struct { members: more, .. }) => {
            add_members(members, more);
        }
        (Kind::Command(known), Kind::Command(more)) => {
            if known.returns.is_none() {
                known.returns = more.returns;
            }
            add_arguments(&mut known.data, more.data);
        }
        (Kind::Event { data }, Kind::Event { data: more }) => add_arguments(data, more),
        _ => {}
    }
}

fn add_arguments(data: &mut Arguments, more: Arguments) {
    let Arguments::Members(more) = more else { return };
    if data.is_none() {
        *data = Arguments::Members(Vec::new());
    }
    if let Arguments::Members(members) = data {
        add_members(members, more);
    }
}

fn add_members(members: &mut Vec<Member>, more: Vec<Member>) {
    for member in more {
        match members.iter_mut().find(|known| known.name == member.name) {
            Some(known) => add_features(&mut known.features, &member.features),
            None => members.push(member),
        }
    }
}

fn add_features(known: &mut Vec<Feature>, more: &[Feature]) {
    for feature in more {
        if !has_feature(known, &feature.name) {
            known.push(feature.clone());
        }
    }
}
