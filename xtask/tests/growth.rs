//! Every struct of the configuration has a way to be made that outlives a new field: `Default`, or a function that takes what is
//! mandatory. Callers set the rest with `..`, or field by field. A variant of an enum has no fields of its own but holds such a
//! struct.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::{Fields, ImplItem, Item, ReturnType, Type, Visibility};

/// The structs with public fields and the variants with fields of one source, and those of its types that can be made without
/// naming every field.
fn read(text: &str, open: &mut BTreeSet<String>, made: &mut BTreeSet<String>) {
    for item in syn::parse_file(text).expect("a source is Rust").items {
        match item {
            Item::Struct(found) if matches!(found.fields, Fields::Named(_)) => {
                let is_public = |vis: &Visibility| matches!(vis, Visibility::Public(_));
                if is_public(&found.vis) && found.fields.iter().all(|field| is_public(&field.vis)) {
                    open.insert(found.ident.to_string());
                }
                let mut has_default = false;
                for list in found.attrs.iter().filter(|attribute| attribute.path().is_ident("derive")) {
                    let look = |meta: syn::meta::ParseNestedMeta<'_>| {
                        has_default |= meta.path.is_ident("Default");
                        Ok(())
                    };
                    list.parse_nested_meta(look).expect("a list of names");
                }
                if has_default {
                    made.insert(found.ident.to_string());
                }
            }
            Item::Enum(found) if matches!(found.vis, Visibility::Public(_)) => {
                let variants =
                    found.variants.iter().filter(|variant| matches!(variant.fields, Fields::Named(_)));
                open.extend(variants.map(|variant| format!("{}::{}", found.ident, variant.ident)));
            }
            Item::Impl(found) => {
                let Some(name) = name_of(&found.self_ty) else { continue };
                let is_default = found.trait_.iter().any(|(_, path, _)| path.is_ident("Default"));
                let makes = |item: &ImplItem| match item {
                    ImplItem::Fn(function) => {
                        matches!(function.vis, Visibility::Public(_))
                            && function.sig.receiver().is_none()
                            && returns(&function.sig.output, &name)
                    }
                    _ => false,
                };
                if is_default || found.items.iter().any(makes) {
                    made.insert(name);
                }
            }
            _ => {}
        }
    }
}

fn name_of(kind: &Type) -> Option<String> {
    match kind {
        Type::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    }
}

fn returns(output: &ReturnType, name: &str) -> bool {
    match output {
        ReturnType::Type(_, kind) => name_of(kind).is_some_and(|found| found == "Self" || found == name),
        ReturnType::Default => false,
    }
}

#[test]
fn every_struct_of_the_configuration_can_grow() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../qemu-argv/src/config");
    let (mut open, mut made) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(config).expect("the configuration has sources") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            read(&fs::read_to_string(path).expect("a source is text"), &mut open, &mut made);
        }
    }
    assert!(open.len() > 50, "{open:?}");
    let stuck: Vec<_> = open.difference(&made).collect();
    assert!(stuck.is_empty(), "neither Default nor a function that makes one: {stuck:?}");
}

#[test]
fn one_that_cannot_grow_is_found() {
    let text = "pub struct Stuck { pub a: u8 } #[derive(Debug, Default)] pub struct Derived { pub a: u8 }
        pub struct New { pub a: u8 } impl New { pub fn new(a: u8) -> Self { Self { a } } }
        pub enum Kind { Unit, Held(New), Fields { a: u8 } }
        impl Stuck { pub fn a(&self) -> Self { Self { a: self.a } } fn new() -> Self { Self { a: 1 } } }";
    let (mut open, mut made) = (BTreeSet::new(), BTreeSet::new());
    read(text, &mut open, &mut made);
    assert_eq!(open.difference(&made).collect::<Vec<_>>(), ["Kind::Fields", "Stuck"]);
}
