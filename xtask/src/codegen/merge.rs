//! Several releases' facts to one schema that spans them.
//!
//! The newest release decides names, modules and stability; the older ones add what it lacks. A member
//! is mandatory only if every release that has its object has it, unconditionally.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::merged::{
    Alternative, Branch, Command, Entity, Member, Merged, Object, Payload, Shape, Status, Tag, Word,
};
use super::model::{self, Arguments, Condition, Definition, Feature, Kind, Schema, has_feature};
use super::overrides;
use super::rename;
use super::unify::unify;

/// Merges `schemas`, which go from the oldest release to the newest.
pub fn merge(mut schemas: Vec<Schema>) -> Result<Merged> {
    rename::align(&mut schemas);
    let releases: Vec<Release> = schemas.iter().map(Release::new).collect();
    let all = Merger { releases };
    let mut merged = Merged::default();
    let mut problems = Vec::new();
    for name in all.names() {
        if let Err(error) = all.entity(&mut merged, name) {
            problems.push(format!("{name}: {error:#}"));
        }
    }
    if !problems.is_empty() {
        bail!("cannot merge the releases:\n{}", problems.join("\n"));
    }
    widen(&mut merged);
    Ok(merged)
}

struct Release<'a> {
    version: &'a str,
    exact: bool,
    definitions: BTreeMap<&'a str, &'a Definition>,
}

impl<'a> Release<'a> {
    fn new(schema: &'a Schema) -> Self {
        Self {
            version: &schema.version,
            exact: schema.exact_integers,
            definitions: schema.definitions.iter().map(|d| (d.name.as_str(), d)).collect(),
        }
    }

    /// The members of an object and its bases; those of the bases come first, as QEMU sends them.
    fn members(&self, name: &str) -> Result<Vec<&'a model::Member>> {
        let definition = self.definitions.get(name).with_context(|| format!("no type '{name}'"))?;
        let (Kind::Struct { base, members } | Kind::Union { base, members, .. }) = &definition.kind else {
            bail!("'{name}' is not an object");
        };
        let mut all = match base {
            Some(base) => self.members(base)?,
            None => Vec::new(),
        };
        for member in members {
            // What is learned of an inherited member stands with the heir.
            match all.iter_mut().find(|inherited| inherited.name == member.name) {
                Some(inherited) => *inherited = member,
                None => all.push(member),
            }
        }
        Ok(all)
    }
}

/// What one release says about a member, a word or a branch.
struct Fact<'a> {
    /// The release's index.
    release: usize,
    name: &'a str,
    r#type: &'a str,
    optional: bool,
    since: Option<&'a String>,
    features: &'a [Feature],
    condition: Option<&'a Condition>,
}

struct Merger<'a> {
    releases: Vec<Release<'a>>,
}

impl<'a> Merger<'a> {
    fn names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> =
            self.releases.iter().flat_map(|release| release.definitions.keys().copied()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn entity(&self, merged: &mut Merged, name: &'a str) -> Result<()> {
        let found: Vec<(usize, &Definition)> = self
            .releases
            .iter()
            .enumerate()
            .filter_map(|(index, release)| Some((index, *release.definitions.get(name)?)))
            .collect();
        let Some((_, newest)) = found.last() else { bail!("no release has it") };
        let since = found.iter().find_map(|(_, definition)| definition.since.as_ref());
        let last = found.last().map_or(0, |(index, _)| *index);
        let status = self.status(last, since, &own_features(&found));
        let (name, module) = (name.to_owned(), newest.module.clone());
        match &newest.kind {
            Kind::Command(_) => {
                let shape = self.command(&found)?;
                merged.commands.insert(name.clone(), Entity { name, module, status, shape });
            }
            Kind::Event { .. } => {
                let shape = self.event(&found)?;
                merged.events.insert(name.clone(), Entity { name, module, status, shape });
            }
            _ => {
                let shape = self.shape(&found)?;
                merged.types.insert(name.clone(), Entity { name, module, status, shape });
            }
        }
        Ok(())
    }

    /// `last` is the newest release that has the thing, `features` are its features there.
    fn status(&self, last: usize, since: Option<&String>, features: &[Feature]) -> Status {
        Status {
            since: since.cloned(),
            until: (last + 1 < self.releases.len()).then(|| self.releases[last].version.to_owned()),
            deprecated: has_feature(features, "deprecated"),
            unstable: has_feature(features, "unstable"),
        }
    }

    fn shape(&self, found: &[(usize, &'a Definition)]) -> Result<Shape> {
        let Some((_, newest)) = found.last() else { bail!("no release has it") };
        match &newest.kind {
            Kind::Enum { .. } => self.words(found),
            Kind::Alternate { .. } => self.alternate(found),
            _ => self.object(found).map(Shape::Object),
        }
    }

    fn words(&self, found: &[(usize, &'a Definition)]) -> Result<Shape> {
        let mut facts = Vec::new();
        for (release, definition) in found {
            let Kind::Enum { values } = &definition.kind else { bail!("not an enum in every release") };
            facts.push(
                values
                    .iter()
                    .map(|word| Fact {
                        release: *release,
                        name: &word.name,
                        r#type: "",
                        optional: false,
                        since: word.since.as_ref(),
                        features: &word.features,
                        condition: None,
                    })
                    .collect(),
            );
        }
        let words = group(facts)
            .into_iter()
            .map(|group| Word { name: group[0].name.to_owned(), status: self.group_status(&group) });
        Ok(Shape::Enum { words: words.collect() })
    }

    fn alternate(&self, found: &[(usize, &'a Definition)]) -> Result<Shape> {
        let mut facts = Vec::new();
        for (release, definition) in found {
            let Kind::Alternate { alternatives } = &definition.kind else {
                bail!("not an alternate in every release");
            };
            facts.push(alternatives.iter().map(|member| fact(*release, member)).collect());
        }
        let mut alternatives = Vec::new();
        for group in group(facts) {
            alternatives.push(Alternative { name: group[0].name.to_owned(), r#type: self.unified(&group)? });
        }
        Ok(Shape::Alternate { alternatives })
    }

    fn object(&self, found: &[(usize, &'a Definition)]) -> Result<Object> {
        let mut facts = Vec::new();
        let mut branches = Vec::new();
        let mut discriminator = None;
        for (release, definition) in found {
            let members = self.releases[*release].members(&definition.name)?;
            facts.push(members.into_iter().map(|member| fact(*release, member)).collect());
            if let Kind::Union { discriminator: tag, branches: own, .. } = &definition.kind {
                if discriminator.is_some_and(|other| other != tag) {
                    bail!("its discriminator changed its name to '{tag}'");
                }
                discriminator = Some(tag);
                branches.push(
                    own.iter()
                        .map(|branch| Fact {
                            release: *release,
                            name: &branch.value,
                            r#type: &branch.r#type,
                            optional: false,
                            since: None,
                            features: &[],
                            condition: None,
                        })
                        .collect(),
                );
            }
        }
        let mut members = self.members(found.len(), facts)?;
        let Some(discriminator) = discriminator else { return Ok(Object { members, tag: None }) };
        let name = &found[0].1.name;
        if overrides::FLAT_UNIONS.iter().any(|(union, _)| union == name) {
            self.flatten(&mut members, branches)?;
            return Ok(Object { members, tag: None });
        }
        let Some(at) = members.iter().position(|member| member.name == *discriminator) else {
            bail!("no member '{discriminator}' to discriminate by");
        };
        let tag = members.remove(at);
        let branches = self.branches(&tag.r#type, branches)?;
        Ok(Object { members, tag: Some(Tag { name: tag.name, branches }) })
    }

    /// Adds the members of all branches to `members`, as optional ones.
    fn flatten(&self, members: &mut Vec<Member>, branches: Vec<Vec<Fact<'a>>>) -> Result<()> {
        for branch in branches.into_iter().flatten() {
            for member in self.releases[branch.release].members(branch.r#type)? {
                if !members.iter().any(|known| known.name == member.name) {
                    let status = self.status(branch.release, member.since.as_ref(), &member.features);
                    let (name, r#type) = (member.name.clone(), member.r#type.clone());
                    members.push(Member { name, r#type, optional: true, status });
                }
            }
        }
        Ok(())
    }

    /// One branch for each word of the enum `name`.
    fn branches(&self, name: &str, facts: Vec<Vec<Fact<'a>>>) -> Result<Vec<Branch>> {
        let definitions: Vec<(usize, &Definition)> = self
            .releases
            .iter()
            .enumerate()
            .filter_map(|(index, release)| Some((index, *release.definitions.get(name)?)))
            .collect();
        let Shape::Enum { words } = self.shape(&definitions)? else { bail!("'{name}' is not an enum") };
        let groups = group(facts);
        let mut branches = Vec::new();
        for word in words {
            let group = groups.iter().find(|group| group[0].name == word.name);
            let r#type = group.map(|group| self.unified(group)).transpose()?;
            branches.push(Branch { value: word.name, r#type, status: word.status });
        }
        Ok(branches)
    }

    /// The members that `releases` releases' facts make together.
    fn members(&self, releases: usize, facts: Vec<Vec<Fact<'a>>>) -> Result<Vec<Member>> {
        let mut members = Vec::new();
        for group in group(facts) {
            members.push(Member {
                name: group[0].name.to_owned(),
                r#type: self.unified(&group).with_context(|| format!("member '{}'", group[0].name))?,
                optional: group.len() < releases
                    || group.iter().any(|fact| fact.optional || fact.condition.is_some()),
                status: self.group_status(&group),
            });
        }
        Ok(members)
    }

    fn group_status(&self, group: &[Fact]) -> Status {
        let since = group.iter().find_map(|fact| fact.since);
        match group.last() {
            Some(last) => self.status(last.release, since, last.features),
            None => Status::default(),
        }
    }

    fn unified(&self, group: &[Fact<'a>]) -> Result<String> {
        let mut types = group.iter().map(|fact| (fact.r#type, self.releases[fact.release].exact));
        let Some((first, _)) = types.next() else { bail!("no type") };
        types.try_fold(first.to_owned(), |older, (newer, exact)| unify(self, &older, newer, exact))
    }

    /// The newest definition of the type `name`.
    pub fn newest(&self, name: &str) -> Option<&'a Definition> {
        self.releases.iter().rev().find_map(|release| release.definitions.get(name).copied())
    }

    fn command(&self, found: &[(usize, &'a Definition)]) -> Result<Command> {
        let mut payloads = Vec::new();
        let mut returns: Option<String> = None;
        let mut command = Command {
            data: Payload::Members(Vec::new()),
            returns: None,
            open: false,
            allow_oob: false,
            success_response: true,
        };
        for (release, definition) in found {
            let Kind::Command(facts) = &definition.kind else { bail!("not a command in every release") };
            payloads.push((*release, &facts.data));
            command.open |= !facts.r#gen;
            command.allow_oob = facts.allow_oob;
            command.success_response &= facts.success_response;
            returns = match (returns, &facts.returns) {
                (None, newer) => newer.clone(),
                (older, None) => older,
                (Some(older), Some(newer)) => {
                    Some(unify(self, &older, newer, self.releases[*release].exact).context("its reply")?)
                }
            };
        }
        command.data = self.payload(&payloads)?;
        command.returns = returns;
        Ok(command)
    }

    fn event(&self, found: &[(usize, &'a Definition)]) -> Result<Payload> {
        let mut payloads = Vec::new();
        for (release, definition) in found {
            let Kind::Event { data } = &definition.kind else { bail!("not an event in every release") };
            payloads.push((*release, data));
        }
        self.payload(&payloads)
    }

    /// A type if the newest release has one; `rename::align` has made the older ones have it, too.
    fn payload(&self, payloads: &[(usize, &'a Arguments)]) -> Result<Payload> {
        if let Some((_, Arguments::Type(name))) = payloads.last() {
            return Ok(Payload::Type(name.clone()));
        }
        let mut facts = Vec::new();
        for (release, data) in payloads {
            let members: Vec<&model::Member> = match data {
                Arguments::None => Vec::new(),
                Arguments::Members(members) => members.iter().collect(),
                Arguments::Type(name) => self.releases[*release].members(name)?,
            };
            facts.push(members.into_iter().map(|member| fact(*release, member)).collect());
        }
        Ok(Payload::Members(self.members(payloads.len(), facts)?))
    }
}

impl super::unify::Types for Merger<'_> {
    fn kind(&self, name: &str) -> Option<&Kind> {
        self.newest(name).map(|definition| &definition.kind)
    }
}

/// The features of the thing itself.
///
/// 11.1's facts come from its manual, which lists the features of members together with those of the whole. So a
/// feature that some release, or a live QEMU, gives to a member is not the whole's, unless an older release's
/// schema gives it to the whole as well.
fn own_features(found: &[(usize, &Definition)]) -> Vec<Feature> {
    let Some(((_, newest), older)) = found.split_last() else { return Vec::new() };
    let is_a_members = |feature: &Feature| {
        found.iter().flat_map(|(_, definition)| definition.parts()).any(|of| has_feature(of, &feature.name))
    };
    let is_the_wholes = |feature: &Feature| {
        older.iter().any(|(_, definition)| has_feature(&definition.features, &feature.name))
    };
    let mut features = newest.features.clone();
    features.retain(|feature| !is_a_members(feature) || is_the_wholes(feature));
    features
}

/// Facts about the same name together, oldest release first; the newest release's order, then what
/// only older ones have.
fn group(facts: Vec<Vec<Fact>>) -> Vec<Vec<Fact>> {
    let mut order: Vec<&str> = Vec::new();
    for release in facts.iter().rev() {
        for fact in release {
            if !order.contains(&fact.name) {
                order.push(fact.name);
            }
        }
    }
    let mut groups: Vec<Vec<Fact>> = order.iter().map(|_| Vec::new()).collect();
    for fact in facts.into_iter().flatten() {
        if let Some(at) = order.iter().position(|name| *name == fact.name) {
            groups[at].push(fact);
        }
    }
    groups
}

fn fact(release: usize, member: &model::Member) -> Fact<'_> {
    Fact {
        release,
        name: &member.name,
        r#type: &member.r#type,
        optional: member.optional,
        since: member.since.as_ref(),
        features: &member.features,
        condition: member.condition.as_ref(),
    }
}

/// Applies the rows that give 11.1's integers their width, which its manual does not tell.
fn widen(merged: &mut Merged) {
    for (owner, member, exact) in overrides::INTEGERS {
        if let Some(Entity { shape: Shape::Object(object), .. }) = merged.types.get_mut(*owner) {
            for found in object.members.iter_mut().filter(|found| found.name == *member) {
                (*exact).clone_into(&mut found.r#type);
            }
        }
    }
}
