//! What only shows when all files are read: references, discriminators, clashes.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{SyntaxError, fail};
use crate::codegen::model::{Arguments, Definition, Kind, Member, element};

/// The built-in types.
pub const BUILTINS: [&str; 16] = [
    "str", "number", "int", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "size",
    "bool", "null", "any", "QType",
];

/// A definition with the place it comes from.
pub struct Placed {
    pub definition: Definition,
    pub file: String,
    pub line: usize,
}

type Result<T> = std::result::Result<T, SyntaxError>;

/// Checks all definitions against each other.
pub fn check(placed: &[Placed]) -> Result<()> {
    let types: BTreeMap<&str, &Definition> = placed
        .iter()
        .filter(|placed| !matches!(placed.definition.kind, Kind::Command(_) | Kind::Event { .. }))
        .map(|placed| (placed.definition.name.as_str(), &placed.definition))
        .collect();
    for placed in placed {
        Checker { types: &types, placed }.definition()?;
    }
    Ok(())
}

struct Checker<'a> {
    types: &'a BTreeMap<&'a str, &'a Definition>,
    placed: &'a Placed,
}

impl<'a> Checker<'a> {
    fn fail<T>(&self, expected: impl Into<String>, found: impl Into<String>) -> Result<T> {
        let found = format!("{} in '{}'", found.into(), self.placed.definition.name);
        fail(&self.placed.file, self.placed.line, expected, found)
    }

    fn definition(&self) -> Result<()> {
        match &self.placed.definition.kind {
            Kind::Enum { .. } => Ok(()),
            Kind::Struct { members, .. } => {
                self.members(members)?;
                self.all_members(&self.placed.definition, &mut Vec::new()).map(drop)
            }
            Kind::Alternate { alternatives } => {
                if alternatives.is_empty() {
                    return self.fail("at least one alternative", "none");
                }
                self.members(alternatives)
            }
            Kind::Command(command) => {
                self.arguments(&command.data)?;
                command.returns.iter().try_for_each(|name| self.known(name))
            }
            Kind::Event { data } => self.arguments(data),
            Kind::Union { members, discriminator, branches, .. } => {
                self.members(members)?;
                let common = self.all_members(&self.placed.definition, &mut Vec::new())?;
                let Some(tag) = common.iter().find(|member| member.name == *discriminator) else {
                    return self.fail(format!("'{discriminator}' among the base's members"), "none");
                };
                if tag.optional {
                    return self.fail("a mandatory discriminator", format!("optional '{discriminator}'"));
                }
                let Some(Kind::Enum { values }) = self.types.get(tag.r#type.as_str()).map(|t| &t.kind) else {
                    return self.fail("an enum as discriminator", format!("'{}'", tag.r#type));
                };
                for branch in branches {
                    if !values.iter().any(|word| word.name == branch.value) {
                        let expected = format!("branches named after words of '{}'", tag.r#type);
                        return self.fail(expected, format!("'{}'", branch.value));
                    }
                    match self.types.get(branch.r#type.as_str()).map(|t| &t.kind) {
                        Some(Kind::Struct { .. } | Kind::Union { .. }) => {}
                        _ => return self.fail("a struct or union as branch", format!("'{}'", branch.r#type)),
                    }
                }
                Ok(())
            }
        }
    }

    fn known(&self, name: &str) -> Result<()> {
        let name = element(name).unwrap_or(name);
        if BUILTINS.contains(&name) || self.types.contains_key(name) {
            return Ok(());
        }
        self.fail("the name of a type", format!("'{name}'"))
    }

    fn members(&self, members: &[Member]) -> Result<()> {
        members.iter().try_for_each(|member| self.known(&member.r#type))
    }

    fn arguments(&self, arguments: &Arguments) -> Result<()> {
        match arguments {
            Arguments::None => Ok(()),
            Arguments::Members(members) => self.members(members),
            Arguments::Type(name) => match self.types.get(name.as_str()).map(|t| &t.kind) {
                Some(Kind::Struct { .. } | Kind::Union { .. }) => Ok(()),
                _ => self.fail("a struct or union as 'data'", format!("'{name}'")),
            },
        }
    }

    /// The members of an object and its bases; a name twice, an unknown base or a cycle is an error.
    fn all_members(&self, definition: &'a Definition, open: &mut Vec<&'a str>) -> Result<Vec<&'a Member>> {
        if open.contains(&definition.name.as_str()) {
            return self.fail("a base that is not the object itself", format!("'{}'", definition.name));
        }
        open.push(&definition.name);
        let (Kind::Struct { base, members: own } | Kind::Union { base, members: own, .. }) = &definition.kind
        else {
            return self.fail("a struct or union as base", format!("'{}'", definition.name));
        };
        let mut members = match base {
            None => Vec::new(),
            Some(base) => match self.types.get(base.as_str()) {
                Some(base) => self.all_members(base, open)?,
                None => return self.fail("the name of a struct as base", format!("'{base}'")),
            },
        };
        members.extend(own);
        let mut names = BTreeSet::new();
        if let Some(twice) = members.iter().find(|member| !names.insert(&member.name)) {
            return self.fail("each member once, bases included", format!("'{}' again", twice.name));
        }
        Ok(members)
    }
}
