//! What QEMU's account of its own protocol tells about back ends.

use std::collections::{BTreeMap, BTreeSet};

use super::reply::SchemaEntry;

/// The kinds of network back end, each with the names of its options.
///
/// The schema's types bear numbers for names, so they are reached from the command that takes them. It lists back ends
/// that are not compiled in as well.
pub(super) fn netdevs(schema: &[SchemaEntry]) -> BTreeMap<String, BTreeSet<String>> {
    let entry = |name: &str| schema.iter().find(|entry| entry.name == name);
    let argument = entry("netdev_add").and_then(|command| entry(command.arg_type.as_deref()?));
    argument
        .map(|argument| &argument.variants[..])
        .unwrap_or_default()
        .iter()
        .map(|variant| {
            let members = entry(&variant.type_name).map(|object| &object.members[..]).unwrap_or_default();
            (variant.case.clone(), members.iter().map(|member| member.name.clone()).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_by_way_of_the_command() {
        let schema = r#"[
            {"name": "netdev_add", "meta-type": "command", "arg-type": "7", "ret-type": "0"},
            {"name": "7", "meta-type": "object", "tag": "type", "members": [{"name": "id", "type": "str"}],
             "variants": [{"case": "user", "type": "8"}, {"case": "none", "type": "0"}]},
            {"name": "8", "meta-type": "object", "members": [{"name": "net", "type": "str", "default": null}]},
            {"name": "9", "meta-type": "alternate", "members": [{"type": "str"}]}
        ]"#;
        let schema: Vec<SchemaEntry> = serde_json::from_str(schema).unwrap();
        let expected = [("none", vec![]), ("user", vec!["net"])]
            .map(|(kind, options)| (kind.to_owned(), options.into_iter().map(str::to_owned).collect()));
        assert_eq!(netdevs(&schema), BTreeMap::from(expected));
        assert_eq!(netdevs(&[]), BTreeMap::new());
    }
}
