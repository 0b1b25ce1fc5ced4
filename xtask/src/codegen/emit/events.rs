//! The enum of all events.

use std::fmt::Write;

use super::{ALLOW, Emitter, MARK, cfg, doc};
use crate::codegen::naming;

/// `event.rs`: every event's data, and `AnyEvent`.
pub fn event_enum(emitter: &Emitter) -> String {
    let mut text = format!("{MARK}//! The data of each QMP event, and the enum of all.\n\n{ALLOW}\n");
    let (mut variants, mut shape) = (String::new(), String::new());
    let mut modules = std::collections::BTreeSet::new();
    for event in emitter.merged.events.values() {
        let (wire, status) = (&event.name, &event.status);
        let rust = naming::camel(wire);
        let gate = if status.unstable {
            format!("#[cfg(all(feature = \"unstable\", {}))]", cfg::feature(&event.module))
        } else {
            format!("#[cfg({})]", cfg::feature(&event.module))
        };
        modules.insert(event.module.as_str());
        let _ = writeln!(variants, "    /// `{wire}`.\n    {gate}");
        variants.push_str(&super::indent(&doc::deprecated(wire, status)));
        let _ = writeln!(variants, "    {rust}({rust}),");
        let _ = writeln!(shape, "    {gate} {rust} = \"{wire}\",");
    }
    for module in modules {
        let _ = writeln!(
            text,
            "#[allow(unused_imports, reason = \"depends on the features chosen\")]\npub use super::{}::event::*;",
            naming::module(module)
        );
    }
    let _ = write!(
        text,
        "\n/// Any QMP event, decoded; what is not known by name arrives whole.\n#[derive(Clone, Debug, PartialEq)]\n\
         #[non_exhaustive]\npub enum AnyEvent {{\n{variants}    /// An event without a type here, or whose data has an \
         unexpected shape.\n    Unknown {{\n        /// The name on the wire.\n        name: String,\n        /// The data \
         as it came.\n        data: serde_json::Value,\n    }},\n}}\n\ncrate::shape::any_event! {{\n{shape}}}\n"
    );
    text
}
