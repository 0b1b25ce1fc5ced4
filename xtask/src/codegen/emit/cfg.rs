//! Which features an item needs, as a `#[cfg]`.

use crate::codegen::plan::Needs;
use crate::codegen::store::Dialect;

/// The feature of a QAPI module.
pub fn feature(module: &str) -> String {
    format!("feature = \"{module}\"")
}

/// The attribute line for `needs`, or nothing where the whole file has one feature.
pub fn attribute(dialect: Dialect, needs: &Needs) -> String {
    let condition = match dialect {
        Dialect::Agent => return String::new(),
        Dialect::Qmp => condition(needs),
    };
    format!("#[cfg({condition})]\n")
}

fn condition(needs: &Needs) -> String {
    let mut any: Vec<String> = needs.stable.iter().map(|module| feature(module)).collect();
    let unstable: Vec<String> =
        needs.unstable.difference(&needs.stable).map(|module| feature(module)).collect();
    match unstable.as_slice() {
        [] => {}
        [one] => any.push(format!("all(feature = \"unstable\", {one})")),
        _ => any.push(format!("all(feature = \"unstable\", any({}))", unstable.join(", "))),
    }
    match any.as_slice() {
        [one] => one.clone(),
        _ => format!("any({})", any.join(", ")),
    }
}

/// The attribute of a member, word or branch that is unstable.
pub fn unstable(is_unstable: bool) -> &'static str {
    if is_unstable { "#[cfg(feature = \"unstable\")] " } else { "" }
}
