//! Enums, structs, unions and alternates.

use std::fmt::Write;

use super::{Emitter, cfg, doc};
use crate::codegen::merged::{Alternative, Entity, Member, Object, Shape, Tag, Word};
use crate::codegen::model::element;
use crate::codegen::naming;
use crate::codegen::overrides;
use crate::codegen::plan::Direction;

const DERIVE: &str = "#[derive(Clone, Debug, PartialEq)]\n";
const DERIVE_DEFAULT: &str = "#[derive(Clone, Debug, Default, PartialEq)]\n";
const NON_EXHAUSTIVE: &str = "#[non_exhaustive]\n";

/// What all emitting of one item needs.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// Doc comment and attributes.
    pub doc: &'a str,
    /// The `#[cfg]` line alone, for the other pieces of the item.
    pub cfg: &'a str,
    pub wire: &'a str,
    pub rust: &'a str,
    pub direction: Direction,
}

impl Emitter<'_> {
    pub fn type_item(&self, out: &mut String, name: &str, entity: &Entity<Shape>) {
        let direction = self.plan.directions.get(name).copied().unwrap_or_default();
        let needs = self.plan.needs.get(name).cloned().unwrap_or_default();
        let cfg = cfg::attribute(self.dialect, &needs);
        let rust = naming::type_name(name);
        let kind = match &entity.shape {
            Shape::Enum { .. } => "enum",
            Shape::Alternate { .. } => "alternate",
            Shape::Object(_) => "object",
        };
        let mut doc = doc::item(self.dialect, kind, name, &entity.module, &entity.status);
        doc.push_str(&cfg);
        doc.push_str(&doc::attributes(name, &rust, &entity.status));
        let item = Item { doc: &doc, cfg: &cfg, wire: name, rust: &rust, direction };
        match &entity.shape {
            Shape::Enum { words } => words_item(out, &item, words),
            Shape::Alternate { alternatives } => self.alternate(out, &item, alternatives),
            Shape::Object(object) => self.object(out, &item, object),
        }
        out.push('\n');
    }

    fn alternate(&self, out: &mut String, item: &Item, alternatives: &[Alternative]) {
        let Item { doc, cfg, wire, rust, direction } = *item;
        let _ = writeln!(out, "{doc}{DERIVE}{NON_EXHAUSTIVE}pub enum {rust} {{");
        let mut shape = String::new();
        for alternative in alternatives {
            let kind = self.json_kind(&alternative.r#type);
            let variant = match (kind, alternative.name.len()) {
                ("null", _) => "Null".to_owned(),
                (kind, 1) => naming::camel(kind),
                _ => naming::variant(&alternative.name),
            };
            let _ = writeln!(out, "    /// A JSON {kind}.");
            if kind == "null" {
                let _ = writeln!(out, "    {variant},");
                let _ = write!(shape, " {kind} {variant},");
            } else {
                let held = self.held_type(wire, &alternative.r#type);
                let _ = writeln!(out, "    {variant}({held}),");
                let _ = write!(shape, " {kind} {variant}({held}),");
            }
        }
        out.push_str("    /// A kind of value that this crate does not know here.\n    Unknown(serde_json::Value),\n}\n");
        let _ = writeln!(out, "{cfg}crate::shape::alternate! {{ {} {rust} {{{shape} }} }}", direction.word());
    }

    /// The kind of JSON value that a type looks like.
    fn json_kind(&self, name: &str) -> &'static str {
        if element(name).is_some() {
            return "array";
        }
        match name {
            "str" => "string",
            "bool" => "boolean",
            "null" => "null",
            "number" | "int" | "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32"
            | "uint64" | "size" => "number",
            _ => match self.merged.types.get(name).map(|entity| &entity.shape) {
                Some(Shape::Enum { .. }) => "string",
                _ => "object",
            },
        }
    }

    fn object(&self, out: &mut String, item: &Item, object: &Object) {
        let Item { cfg, rust, direction, .. } = *item;
        match &object.tag {
            Some(tag) if object.members.is_empty() => {
                self.branches(out, item, tag);
                let _ = writeln!(out, "{cfg}crate::shape::tagged! {{ {} {rust} }}", direction.word());
            }
            Some(tag) => {
                let branch = format!("{rust}Branch");
                let doc = format!("/// What only some [`{rust}`] have, by `{}`.\n{cfg}", tag.name);
                self.branches(out, &Item { doc: &doc, rust: &branch, ..*item }, tag);
                self.record(out, item, &object.members, Some((tag, &branch)));
            }
            None => self.record(out, item, &object.members, None),
        }
    }

    fn branches(&self, out: &mut String, item: &Item, tag: &Tag) {
        let Item { doc, cfg, wire, rust, direction } = *item;
        let _ = writeln!(out, "{doc}{DERIVE}{NON_EXHAUSTIVE}pub enum {rust} {{");
        let (mut data, mut unit) = (String::new(), String::new());
        for branch in &tag.branches {
            let variant = naming::variant(&branch.value);
            let gate = cfg::unstable(branch.status.unstable);
            out.push_str(&super::indent(&doc::part(&branch.value, &branch.status)));
            out.push_str(&super::indent(&doc::deprecated(&branch.value, &branch.status)));
            if let Some(inner) = &branch.r#type {
                let held = self.held_type(wire, inner);
                let _ = writeln!(out, "    {gate}{variant}({held}),");
                let _ = writeln!(data, "        {gate}{variant} = \"{}\",", branch.value);
            } else {
                let _ = writeln!(out, "    {gate}{variant},");
                let _ = writeln!(unit, "        {gate}{variant} = \"{}\",", branch.value);
            }
        }
        let _ = writeln!(
            out,
            "    /// A branch that this crate does not know, with all its members.\n    Unknown {{\n        \
             /// The word of `{}`.\n        tag: String,\n        /// The members of the branch.\n        data: \
             serde_json::Map<String, serde_json::Value>,\n    }},\n}}",
            tag.name
        );
        let _ = writeln!(
            out,
            "{cfg}crate::shape::branches! {{ {} {rust} by \"{}\" {{\n    data {{\n{data}    }}\n    unit {{\n{unit}    }}\n}} }}",
            direction.word(),
            tag.name
        );
    }

    /// A struct with its constructor and shape.
    pub fn record(&self, out: &mut String, item: &Item, members: &[Member], tag: Option<(&Tag, &str)>) {
        let Item { doc, cfg, wire, rust, direction } = *item;
        let mandatory: Vec<&Member> = members.iter().filter(|member| !member.optional).collect();
        let has_default = mandatory.is_empty() && tag.is_none();
        out.push_str(doc);
        let is_secret = |member: &Member| overrides::SECRETS.contains(&(wire, member.name.as_str()));
        let has_secret = members.iter().any(is_secret);
        let derive = if has_default { DERIVE_DEFAULT } else { DERIVE };
        out.push_str(&if has_secret { derive.replace("Debug, ", "") } else { derive.to_owned() });
        if !direction.input {
            out.push_str(NON_EXHAUSTIVE);
        }
        let _ = write!(out, "pub struct {rust} {{");
        out.push_str(if members.is_empty() && tag.is_none() { "" } else { "\n" });
        let mut shape = String::new();
        for member in members {
            let field = naming::field(&member.name);
            let gate = cfg::unstable(member.status.unstable);
            out.push_str(&super::indent(&doc::part(&member.name, &member.status)));
            out.push_str(&super::indent(&doc::deprecated(&member.name, &member.status)));
            let held = self.held_type(wire, &member.r#type);
            let held = if member.optional { format!("Option<{held}>") } else { held };
            let _ = writeln!(out, "    {gate}pub {field}: {held},");
            let how = if member.optional { "may" } else { "must" };
            let _ = writeln!(shape, "    {gate}{how} {field} = \"{}\",", member.name);
        }
        let mut tail = String::new();
        if let Some((tag, branch)) = tag {
            let field = naming::field(&tag.name);
            let _ = writeln!(
                out,
                "    /// `{}`, with what belongs to each.\n    pub {field}: {branch},",
                tag.name
            );
            let _ = write!(tail, " by {field}");
        }
        out.push_str("}\n");
        if has_secret {
            let mut fields = String::new();
            for member in members {
                let how = if is_secret(member) { "secret" } else { "plain" };
                let gate = cfg::unstable(member.status.unstable);
                let _ = write!(fields, " {gate}{how} {},", naming::field(&member.name));
            }
            if let Some((tag, _)) = tag {
                let _ = write!(fields, " plain {},", naming::field(&tag.name));
            }
            let _ = writeln!(out, "{cfg}crate::shape::discreet! {{ {rust} {{{fields} }} }}");
        }
        if direction.input && !has_default {
            self.constructor(out, item, members, tag);
        }
        let _ =
            writeln!(out, "{cfg}crate::shape::record! {{ {} {rust} {{\n{shape}}}{tail} }}", direction.word());
    }

    fn constructor(&self, out: &mut String, item: &Item, members: &[Member], tag: Option<(&Tag, &str)>) {
        let Item { cfg, wire, rust, .. } = *item;
        let (mut parameters, mut fields) = (Vec::new(), String::new());
        if let Some((tag, branch)) = tag {
            let field = naming::field(&tag.name);
            parameters.push(format!("{field}: {branch}"));
            let _ = write!(fields, "{field}, ");
        }
        for member in members {
            let field = naming::field(&member.name);
            let held = self.held_type(wire, &member.r#type);
            let gate = cfg::unstable(member.status.unstable);
            if member.optional {
                let _ = write!(fields, "{gate}{field}: None, ");
            } else if held == "String" {
                parameters.push(format!("{gate}{field}: impl Into<String>"));
                let _ = write!(fields, "{gate}{field}: {field}.into(), ");
            } else {
                parameters.push(format!("{gate}{field}: {held}"));
                let _ = write!(fields, "{gate}{field}, ");
            }
        }
        let _ = writeln!(
            out,
            "{cfg}impl {rust} {{\n    /// With the mandatory members; the optional ones are left out.\n    \
             pub fn new({}) -> Self {{\n        Self {{ {fields}}}\n    }}\n}}",
            parameters.join(", ")
        );
    }
}

fn words_item(out: &mut String, item: &Item, words: &[Word]) {
    let Item { doc, cfg, rust, .. } = *item;
    let _ = writeln!(
        out,
        "{doc}#[derive(Clone, Debug, PartialEq, Eq, Hash)]\n{NON_EXHAUSTIVE}pub enum {rust} {{"
    );
    let mut shape = String::new();
    for word in words {
        let variant = naming::variant(&word.name);
        let gate = cfg::unstable(word.status.unstable);
        out.push_str(&super::indent(&doc::part(&word.name, &word.status)));
        out.push_str(&super::indent(&doc::deprecated(&word.name, &word.status)));
        let _ = writeln!(out, "    {gate}{variant},");
        let _ = writeln!(shape, "    {gate}{variant} = \"{}\",", word.name);
    }
    out.push_str("    /// A word that this crate does not know.\n    Unknown(String),\n}\n");
    let _ = writeln!(out, "{cfg}crate::shape::words! {{ {rust} {{\n{shape}}} }}");
}
