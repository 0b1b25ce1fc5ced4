//! Commands and events.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::types::Item;
use super::{Emitter, cfg, doc};
use crate::codegen::merged::{Command, Entity, Member, Payload};
use crate::codegen::naming;
use crate::codegen::plan::{Direction, Needs};
use crate::codegen::store::Dialect;

const INPUT: Direction = Direction { input: true, output: false };
const BOTH: Direction = Direction { input: true, output: true };

/// What a root itself needs: its module, and `unstable` if it is.
fn needs(module: &str, unstable: bool) -> Needs {
    let own = BTreeSet::from([module.to_owned()]);
    if unstable {
        return Needs { stable: BTreeSet::new(), unstable: own };
    }
    Needs { stable: own, unstable: BTreeSet::new() }
}

impl Emitter<'_> {
    pub fn command(&self, out: &mut String, entity: &Entity<Command>) {
        let (wire, command, status) = (&entity.name, &entity.shape, &entity.status);
        let rust = naming::camel(wire);
        let cfg = cfg::attribute(self.dialect, &needs(&entity.module, status.unstable));
        let mut doc = doc::item(self.dialect, "command", wire, &entity.module, status);
        if self.dialect == Dialect::Qmp {
            doc.push_str(&doc::errors(wire));
        }
        doc.push_str(&cfg);
        doc.push_str(&doc::attributes(wire, &rust, status));
        let item = Item { doc: &doc, cfg: &cfg, wire, rust: &rust, direction: INPUT };
        match &command.data {
            Payload::Members(members) if command.open => self.open_command(out, &item, members),
            Payload::Members(members) => {
                self.record(out, &item, members, None);
            }
            // The arguments' type bears the command's name: it is the command.
            Payload::Type(name) if naming::type_name(name) == rust => {}
            Payload::Type(name) => {
                let held = Self::rust_type(name);
                let _ = writeln!(
                    out,
                    "{doc}#[derive(Clone, Debug, PartialEq)]\npub struct {rust}(\n    /// The arguments.\n    \
                     pub {held},\n);\n{cfg}crate::shape::wrapper! {{ {rust}({held}) }}"
                );
            }
        }
        let returns =
            command.returns.as_ref().map_or("crate::Empty".to_owned(), |name| Self::rust_type(name));
        let mut flags = String::new();
        if command.allow_oob {
            flags.push_str(" oob");
        }
        if !command.success_response {
            flags.push_str(" silent");
        }
        let _ = writeln!(out, "{cfg}crate::shape::command! {{ {rust} = \"{wire}\" -> {returns};{flags} }}\n");
    }

    /// A command that takes members beyond the listed ones.
    fn open_command(&self, out: &mut String, item: &Item, members: &[Member]) {
        let mut text = String::new();
        self.record(&mut text, item, members, None);
        let field = "    /// Further members, by their names on the wire.\n    pub properties: \
                     serde_json::Map<String, serde_json::Value>,\n}\n";
        // The struct's closing brace is the first at the start of a line.
        let text = text.replacen("\n}\n", &format!("\n{field}"), 1);
        let text = text.replace(" }\n    }\n}\n", " properties: serde_json::Map::new() }\n    }\n}\n");
        out.push_str(&text.replace("crate::shape::record! { input", "crate::shape::open_record! {"));
    }

    pub fn event(&self, out: &mut String, entity: &Entity<Payload>) {
        let (wire, status) = (&entity.name, &entity.status);
        let rust = naming::camel(wire);
        let cfg = cfg::attribute(self.dialect, &needs(&entity.module, status.unstable));
        let mut doc = doc::item(self.dialect, "event", wire, &entity.module, status);
        doc.push_str(&cfg);
        doc.push_str(&doc::attributes(wire, &rust, status));
        let item = Item { doc: &doc, cfg: &cfg, wire, rust: &rust, direction: BOTH };
        match &entity.shape {
            Payload::Members(members) => {
                let mut text = String::new();
                self.record(&mut text, &item, members, None);
                // What we return is open to growth, although it is also written.
                out.push_str(&text.replacen("pub struct", "#[non_exhaustive]\npub struct", 1));
            }
            Payload::Type(name) => {
                let held = Self::rust_type(name);
                let _ = writeln!(
                    out,
                    "{doc}#[derive(Clone, Debug, PartialEq)]\n#[non_exhaustive]\npub struct {rust}(\n    \
                     /// The data.\n    pub {held},\n);\n{cfg}crate::shape::event_wrapper! {{ {rust}({held}) }}"
                );
            }
        }
        let _ = writeln!(out, "{cfg}crate::shape::event! {{ {rust} = \"{wire}\" }}\n");
    }
}

/// `tests/replay/commands.rs` of qmp-proto: decodes any command's reply by the command's name, and
/// encodes it again.
pub fn replay(emitter: &Emitter) -> String {
    let mut text = format!(
        "{}//! Every command's reply, by the command's name.\n\n#![allow(deprecated, reason = \"replies of deprecated \
         commands are read, too\")]\n\nuse qmp_proto::*;\n\nuse super::{{Trip, trip}};\n\n/// How the reply to `command` is \
         decoded and encoded again; nothing for a name that is not known.\npub fn replay(command: &str) -> Option<Trip>          {{\n    Some(match command {{\n",
        super::MARK
    );
    for wire in emitter.merged.commands.keys() {
        let _ = writeln!(text, "        \"{wire}\" => trip::<{}>,", naming::camel(wire));
    }
    text.push_str("        _ => return None,\n    })\n}\n");
    text
}
