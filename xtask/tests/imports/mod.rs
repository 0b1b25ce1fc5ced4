//! Which file of a crate needs which other one, read from its sources.
//!
//! A name that a module re-exports belongs to the file that defines it. Tests inside of a file, and what macros make, are not
//! looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

/// The sources of a crate by their paths below `src`.
pub type Sources = BTreeMap<String, String>;

/// Reads every source of the crate whose root is this file, `src/lib.rs` or `src/main.rs`. Modules that the root does not
/// declare belong to another crate in the same folder.
pub fn sources(root: &Path) -> Sources {
    fn walk(dir: &Path, below: &str, found: &mut Sources) {
        for entry in fs::read_dir(dir).expect("the sources are there") {
            let entry = entry.expect("a directory entry");
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else if entry.path().extension().is_some_and(|ending| ending == "rs") {
                found.insert(name, fs::read_to_string(entry.path()).expect("a source is text"));
            }
        }
    }
    let mut found = Sources::new();
    walk(root.parent().expect("a root lies in a folder"), "", &mut found);
    let name = root.file_name().expect("a root has a name").to_string_lossy();
    let items = syn::parse_file(&found[&*name]).expect("a root is Rust").items;
    let declares = |file: &str| {
        let is_it = |item: &Item| matches!(item, Item::Mod(module) if module.ident == room(file));
        file == name || items.iter().any(is_it)
    };
    found.retain(|file, _| declares(file));
    found
}

/// The top-level module that a file is in.
pub fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// The files that each file needs.
pub fn imports(sources: &Sources) -> BTreeMap<String, BTreeSet<String>> {
    let modules = Modules::of(sources);
    let mut all = BTreeMap::new();
    for (path, module) in &modules.0 {
        let needed = module.needs.iter().map(|name| modules.file_of(name, 0));
        let needed = needed.filter(|file| *file != module.file).collect();
        assert!(all.insert(module.file.clone(), needed).is_none(), "{path:?} is there twice");
    }
    all
}

/// A path from the crate's root: `["plan", "Plan"]`.
type Name = Vec<String>;

#[derive(Default)]
struct Module {
    file: String,
    /// What the module calls by another path: by imports and re-exports.
    aliases: BTreeMap<String, Name>,
    globs: Vec<Name>,
    needs: BTreeSet<Name>,
}

struct Modules(BTreeMap<Name, Module>);

impl Modules {
    fn of(sources: &Sources) -> Self {
        let mut parsed = BTreeMap::new();
        for (file, text) in sources {
            let source = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
            parsed.insert(module_of(file), (file, source));
        }
        let tests: BTreeSet<Name> =
            parsed.iter().flat_map(|(name, (_, source))| test_modules(name, source)).collect();
        parsed.retain(|name, _| !(1..=name.len()).any(|length| tests.contains(&name[..length])));
        let names: BTreeSet<Name> = parsed.keys().cloned().collect();
        let mut modules = BTreeMap::new();
        for (name, (file, source)) in parsed {
            let mut reader = Reader { name: &name, names: &names, module: Module::default() };
            reader.module.file.clone_from(file);
            // Imports first: other paths may begin with what they name.
            source.items.iter().for_each(|item| reader.imports(item));
            reader.visit_file(&source);
            modules.insert(name.clone(), reader.module);
        }
        Self(modules)
    }

    /// The file that defines what is called by this path.
    fn file_of(&self, name: &[String], depth: usize) -> String {
        let length = (0..=name.len()).rev().find(|&length| self.0.contains_key(&name[..length]));
        let (module, rest) = name.split_at(length.expect("the root is a module"));
        let found = &self.0[module];
        let Some((first, rest)) = rest.split_first().filter(|_| depth < 8) else { return found.file.clone() };
        if let Some(alias) = found.aliases.get(first) {
            return self.file_of(&[alias, rest].concat(), depth + 1);
        }
        let mut globs = found
            .globs
            .iter()
            .map(|glob| self.file_of(&[glob, std::slice::from_ref(first)].concat(), depth + 1));
        // What no file below has under that name is the module's own.
        let facades: BTreeSet<&str> =
            found.globs.iter().filter_map(|glob| Some(self.0.get(glob)?.file.as_str())).collect();
        globs.find(|file| !facades.contains(file.as_str())).unwrap_or_else(|| found.file.clone())
    }
}

fn module_of(file: &str) -> Name {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
    })
}

fn test_modules(name: &[String], source: &syn::File) -> Vec<Name> {
    let modules = source.items.iter().filter_map(|item| match item {
        Item::Mod(module) if is_test(&module.attrs) => Some([name, &[module.ident.to_string()]].concat()),
        _ => None,
    });
    modules.collect()
}

struct Reader<'a> {
    name: &'a [String],
    names: &'a BTreeSet<Name>,
    module: Module,
}

impl Reader<'_> {
    fn imports(&mut self, item: &Item) {
        if let Item::Use(import) = item {
            let is_own = matches!(import.vis, Visibility::Inherited);
            self.tree(&import.tree, &mut Vec::new(), is_own);
        }
    }

    fn tree(&mut self, tree: &UseTree, before: &mut Vec<String>, is_own: bool) {
        let mut leaf = |last: Option<String>, alias: Option<String>| {
            let path: Vec<_> = before.iter().cloned().chain(last).collect();
            let Some(path) = self.at_root(&path) else { return };
            match alias {
                Some(alias) => drop(self.module.aliases.insert(alias, path.clone())),
                None => self.module.globs.push(path.clone()),
            }
            // What is only passed on is not needed here.
            if is_own {
                self.module.needs.insert(path);
            }
        };
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before, is_own);
                before.pop();
            }
            UseTree::Name(name) if name.ident == "self" => leaf(None, before.last().cloned()),
            UseTree::Name(name) => leaf(Some(name.ident.to_string()), Some(name.ident.to_string())),
            UseTree::Rename(name) => leaf(Some(name.ident.to_string()), Some(name.rename.to_string())),
            UseTree::Glob(_) => leaf(None, None),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before, is_own)),
        }
    }

    /// The path from the crate's root, of what is in the crate.
    fn at_root(&self, path: &[String]) -> Option<Name> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([self.name, rest].concat()),
            "super" => {
                let levels = path.iter().take_while(|part| *part == "super").count();
                let base = &self.name[..self.name.len().checked_sub(levels)?];
                Some([base, &path[levels..]].concat())
            }
            _ if self.names.contains(&[self.name, std::slice::from_ref(first)].concat()) => {
                Some([self.name, path].concat())
            }
            _ => None,
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        let alias = parts.first().and_then(|first| self.module.aliases.get(first)).cloned();
        // A single word that is not imported is the file's own, or a variable.
        let name = match alias {
            Some(alias) => Some([&alias[..], &parts[1..]].concat()),
            None => self.at_root(&parts).filter(|_| parts.len() > 1),
        };
        self.module.needs.extend(name);
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, _: &'ast ItemUse) {}

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
