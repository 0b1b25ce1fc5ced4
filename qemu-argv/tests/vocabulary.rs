//! Every field and every choice that a configuration has is used by one of the machines, which real QEMUs are given.

#[path = "support/files.rs"]
mod files;
#[path = "support/vocabulary.rs"]
mod vocabulary;

use std::collections::{BTreeMap, BTreeSet};

use vocabulary::Vocabulary;

/// What no machine uses, and why.
const UNUSED: [(&str, &str); 9] = [
    ("AccelChoice=hvf", "macOS"),
    ("AccelChoice=whpx", "Windows"),
    ("AudioBackend=coreaudio", "macOS"),
    ("AudioBackend=dsound", "Windows"),
    ("Display=cocoa", "macOS"),
    ("Display=cocoa.full_screen", "macOS"),
    ("TpmModel=spapr", "needs swtpm, as the other models do"),
    ("VmConfig.qemu", "for the launcher; a plan does not look at it"),
    ("VmConfig.socket_dir", "for the launcher; a plan does not look at it"),
];

#[test]
fn every_word_is_used_by_a_machine() {
    let vocabulary = Vocabulary::new();
    let all = vocabulary.all();
    let mut unused = all.clone();
    for (name, text) in files::machine_files() {
        let used = vocabulary.used(&text);
        let strange: BTreeSet<_> = used.difference(&all).cloned().collect();
        assert_eq!(strange, BTreeSet::new(), "{name}");
        unused.retain(|word| !used.contains(word));
    }
    let expected: BTreeMap<_, _> = UNUSED.into_iter().collect();
    let found: Vec<_> = unused.iter().map(String::as_str).collect();
    assert_eq!(found, expected.into_keys().collect::<Vec<_>>());
}
