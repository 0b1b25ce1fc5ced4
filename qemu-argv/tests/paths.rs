//! A path need not be UTF-8: QEMU gets it byte for byte where its option can carry it, else it is refused by its
//! place.

#![cfg(unix)]

mod support;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use qemu_argv::{Fault, VmConfig};
use support::{VERSIONS, machines, planned};

/// The same path with a byte that is no UTF-8 in front of its ending.
fn spoilt(path: &Path) -> PathBuf {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    let name = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let ending = bytes[name..].iter().rposition(|byte| *byte == b'.').map_or(bytes.len(), |dot| name + dot);
    bytes.insert(ending, 0xff);
    OsString::from_vec(bytes).into()
}

/// The configuration with its path number `wanted` spoilt, and that path; `None` when there are not so many.
fn with_spoilt(config: &VmConfig, wanted: usize) -> Option<(VmConfig, PathBuf)> {
    let mut config = config.clone();
    let (mut number, mut changed) = (0, None);
    config.for_each_path(&mut |path| {
        if number == wanted {
            *path = spoilt(path);
            changed = Some(path.clone());
        }
        number += 1;
    });
    changed.map(|path| (config, path))
}

#[test]
fn every_path_is_carried_byte_for_byte_or_refused_by_its_place() {
    let mut shown = BTreeSet::new();
    for machine in machines() {
        for version in VERSIONS {
            if planned(&machine.config, version).is_err() {
                continue;
            }
            for (config, path) in (0..).map_while(|number| with_spoilt(&machine.config, number)) {
                match planned(&config, version) {
                    Err(error) => {
                        let not_utf8 = |fault: &Fault| matches!(fault, Fault::NotUtf8 { .. });
                        let ours = error.problems.iter().all(|problem| not_utf8(&problem.fault));
                        assert!(ours, "{}: {error}", machine.name);
                        shown.extend(error.problems.into_iter().map(|problem| {
                            let place: String =
                                problem.path.chars().filter(|letter| !letter.is_ascii_digit()).collect();
                            format!("refused: {place}")
                        }));
                    }
                    Ok(plan) => {
                        let line = plan.command_line();
                        // Commas are doubled there, and paths are parts of a value.
                        let bytes = path.as_os_str().as_bytes();
                        let whole = bytes.split(|byte| *byte == b',').collect::<Vec<_>>().join(&b",,"[..]);
                        let holds = |arg: &OsStr| {
                            let arg = arg.as_bytes();
                            [bytes, &whole]
                                .iter()
                                .any(|path| arg.windows(path.len()).any(|part| part == *path))
                        };
                        let option =
                            line.args().zip(line.args().skip(1)).find(|(_, argument)| holds(argument));
                        let option = option.map(|(name, _)| name.to_string_lossy().into_owned());
                        shown.insert(format!("carried: {}", option.as_deref().unwrap_or("by no option")));
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(shown.into_iter().collect::<Vec<_>>().join("\n"));
}
