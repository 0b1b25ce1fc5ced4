//! A secret is seen nowhere: in every place that takes one it is found in no argument, plan, error or `Debug`.

mod support;
#[path = "support/vocabulary.rs"]
mod vocabulary;

use std::collections::BTreeSet;

use qemu_argv::{Secret, VmConfig};
use serde_json::Value;
use support::{VERSIONS, machines, planned};
use vocabulary::Vocabulary;

/// Fields with a name that sounds like a secret, and what they are instead.
const NO_SECRETS: [(&str, &str); 3] = [
    ("SshHostKey=sha256.hash", "the fingerprint of a public key"),
    ("VmConfig.secrets", "the secrets themselves"),
    ("Vnc.password", "whether a password will be set"),
];

/// Machines that use every field that takes a secret.
const MACHINES: [&str; 3] = ["guest", "network-disks", "secrets"];

/// The fields that take the id of a secret.
fn secret_fields(vocabulary: &Vocabulary) -> BTreeSet<String> {
    let sounds = |word: &&String| {
        let words = ["cookie", "hash", "key_", "passphrase", "password", "secret", "token"];
        let field = word.rsplit_once('.').map(|(_, field)| field);
        field.is_some_and(|field| words.iter().any(|word| field.contains(word)))
    };
    let all = vocabulary.all();
    let sounding = all.iter().filter(sounds);
    sounding.filter(|word| !NO_SECRETS.iter().any(|(other, _)| word == other)).cloned().collect()
}

#[test]
fn every_field_that_takes_a_secret_is_used() {
    let vocabulary = Vocabulary::new();
    let fields = secret_fields(&vocabulary);
    let mut used = BTreeSet::new();
    for (_, text) in support::files::machine_files().iter().filter(|(name, _)| MACHINES.contains(&&**name)) {
        used.append(&mut vocabulary.used(text));
    }
    let missing: Vec<_> = fields.difference(&used).collect();
    assert!(missing.is_empty(), "no machine of {MACHINES:?} has a secret in {missing:?}");
    // All of them by name, so that a renamed or lost field is seen.
    insta::assert_snapshot!(fields.into_iter().collect::<Vec<_>>().join("\n"), @"
Backing=image.key_secret
Disk.key_secret
DiskBackend=http.cookie_secret
DiskBackend=http.password_secret
DiskBackend=iscsi.password_secret
DiskBackend=rbd.key_secret
Guest.password_secret
Spice.password_secret
Tls.password_secret
Vnc.password_secret
");
}

/// The machine with a secret of its own in each place.
fn with_canaries(config: &VmConfig) -> (VmConfig, Vec<String>) {
    let mut config = config.clone();
    let canaries: Vec<_> =
        (0..config.secrets.len()).map(|number| format!("canary-{number}-5d1c7a")).collect();
    for (secret, canary) in config.secrets.iter_mut().zip(&canaries) {
        *secret = Secret { format: secret.format, ..Secret::new(secret.id.clone(), canary.clone()) };
    }
    (config, canaries)
}

/// Every text in which a secret could be seen.
fn shown(config: &VmConfig) -> Vec<(String, String)> {
    let mut shown = vec![
        ("Debug of the configuration".to_owned(), format!("{config:?} {config:#?}")),
        ("the saved configuration".to_owned(), serde_json::to_string(config).expect("it is JSON")),
        ("the saved file".to_owned(), toml::to_string(config).expect("it is TOML")),
    ];
    for version in VERSIONS {
        match planned(config, version) {
            Err(error) => shown.push((format!("the error on {version}"), format!("{error} {error:?}"))),
            Ok(plan) => {
                let line = plan.command_line();
                shown.extend([
                    (format!("the arguments on {version}"), format!("{:?}", line.args().collect::<Vec<_>>())),
                    (format!("the script on {version}"), line.to_string()),
                    (format!("Debug on {version}"), format!("{line:?} {plan:?} {plan:#?}")),
                    (
                        format!("JSON on {version}"),
                        serde_json::to_string(&(&plan, &line)).expect("a plan is JSON"),
                    ),
                ]);
            }
        }
    }
    shown
}

/// The places of a document, as JSON pointers.
fn places(at: &str, value: &Value, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| places(&format!("{at}/{key}"), value, found));
        }
        Value::Array(list) => {
            let list = list.iter().enumerate();
            list.for_each(|(index, value)| places(&format!("{at}/{index}"), value, found));
        }
        _ => {}
    }
}

#[test]
fn no_secret_is_seen() {
    for machine in machines() {
        let (config, canaries) = with_canaries(&machine.config);
        if canaries.is_empty() {
            continue;
        }
        let mut all = shown(&config);
        // Errors of every kind: each place broken in turn, in a document that has the secrets as a file has them.
        let mut document = serde_json::to_value(&config).expect("it is JSON");
        for (number, canary) in canaries.iter().enumerate() {
            document["secrets"][number]["value"] = canary.clone().into();
        }
        let mut found = Vec::new();
        places("", &document, &mut found);
        for at in found.iter().filter(|at| !at.is_empty()) {
            for wrong in [Value::from("nul\0byte"), 7.into(), serde_json::json!([{ "nonsense": 1 }])] {
                let mut changed = document.clone();
                *changed.pointer_mut(at).expect("it is there") = wrong;
                match serde_json::from_value::<VmConfig>(changed) {
                    Err(error) => all.push((format!("the error for {at}"), format!("{error} {error:?}"))),
                    Ok(config) => {
                        let errors = VERSIONS.map(|version| planned(&config, version).err());
                        let said = errors.into_iter().flatten().map(|error| format!("{error} {error:?}"));
                        all.extend(said.map(|said| (format!("the error for {at}"), said)));
                    }
                }
            }
        }
        for (place, text) in all {
            let seen: Vec<_> = canaries.iter().filter(|canary| text.contains(*canary)).collect();
            assert!(seen.is_empty(), "{}: {seen:?} in {place}: {text}", machine.name);
        }
    }
}

/// A secret of another kind than text is not told either.
#[test]
fn a_secret_that_is_no_text_is_refused_unseen() {
    let mut said = Vec::new();
    for value in ["5417", "-5417", "5417.5", "true", "[5417]", "{ \"a\": 5417 }"] {
        let text = format!("{{ \"secrets\": [{{ \"id\": \"pw\", \"value\": {value} }}] }}");
        said.push(serde_json::from_str::<VmConfig>(&text).expect_err("no text").to_string());
    }
    assert!(said.iter().all(|said| !said.contains("5417")), "{said:#?}");
}
