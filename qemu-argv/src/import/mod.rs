//! From a command line of QEMU to a config: the door through which users of plain QEMU come in.
//!
//! [`import`](fn@import) reads the words of a command line. Options that a config has fields for become these fields; the others
//! become `extra_args`, and a [`Note`] says why. What the launcher does itself, such as monitors and going into the
//! background, is dropped, with a note as well. A command line that this crate rendered gives a config that renders to the
//! same bytes.
//!
//! Devices that QEMU adds by itself become part of the config: its defaults are another machine than a config's. Places
//! on buses are planned anew unless the command line has them.
//!
//! ```
//! use qemu_argv::{DiskInterface, Size, import::import};
//!
//! let words = "qemu-system-x86_64 -M q35 -m 2G -drive file=web.qcow2,if=virtio -nic user,model=virtio-net-pci -daemonize";
//! let imported = import(&words.split(' ').collect::<Vec<_>>())?;
//! assert_eq!(imported.config.memory.size, Some(Size::gib(2)));
//! assert_eq!(imported.config.disks[0].interface, DiskInterface::Virtio);
//! assert!(imported.notes.iter().any(|note| note.argument == "-daemonize"));
//! # Ok::<(), qemu_argv::import::ImportError>(())
//! ```

mod bag;
mod board;
mod chardev;
mod debug;
mod devices;
mod disks;
mod drive;
mod error;
mod flash;
mod gadgets;
mod general;
mod image;
mod keyval;
mod line;
mod memory;
mod netdev;
mod network;
mod nodes;
mod options;
mod place;
mod property;
mod raise;
mod screen;
mod script;
mod serial;
mod settle;
mod shares;
mod sound;
mod storage;
mod tables;
mod why;

use std::ops::Range;

use crate::config::VmConfig;
use crate::qemu_target::Arch;
use crate::render::redact;

pub use error::ImportError;
pub use script::script_words;

/// A config, and what a reader should know of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Import {
    /// The config. Relative paths in it are those of the command line.
    pub config: VmConfig,
    /// What did not become a field as it was, in the order of the command line.
    pub notes: Vec<Note>,
}

/// An option that did not become a field as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The place of the option in the command line; the program is number 0.
    pub index: usize,
    /// The option and its value, without what looks like a password.
    pub argument: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, and what to use instead.
    pub reason: String,
}

/// What became of an option that did not become a field as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is passed on as it is: these are its words in `extra_args`.
    Kept(Range<usize>),
    /// It is not in the config.
    Dropped,
    /// It is a field, and the reason says what is different.
    Changed,
}

/// More words than a machine with everything needs.
const MOST_WORDS: usize = 20_000;

/// Words in front of QEMU that only start it.
const STARTERS: [&str; 5] = ["exec", "sudo", "env", "nice", "nohup"];

/// Makes a config of the words of a command line, the program first. Without a program it is for `x86_64`.
///
/// # Errors
///
/// When QEMU would refuse the command line as well: an option that QEMU does not have, one without its value, a value that
/// is malformed. The error names the argument. And when the program is not a QEMU of an architecture that configs have.
pub fn import(words: &[impl AsRef<str>]) -> Result<Import, ImportError> {
    let words: Vec<String> = words.iter().map(|word| word.as_ref().to_owned()).collect();
    if words.len() > MOST_WORDS {
        let why = format!("there are more than {MOST_WORDS} arguments");
        return Err(ImportError::new(MOST_WORDS, &words[MOST_WORDS], why));
    }
    let first = words.iter().position(|word| !STARTERS.contains(&word.as_str())).unwrap_or(words.len());
    let program = words.get(first).filter(|word| !word.starts_with('-'));
    let (arch, is_kvm) = program.map_or(Ok((Arch::X86_64, false)), |word| program_of(first, word))?;
    let start = first + usize::from(program.is_some());
    let options = options::options(&words[start..], start)?;
    let mut line = line::Line::new(options, arch);
    let mut config = raise::raise(&mut line, is_kvm);
    if let Some((at, why)) = line.refused {
        let option = &line.options[at];
        return Err(ImportError::new(option.index + 1, option.text(), why));
    }
    // One of the system's own is found again by its name.
    let own = program.filter(|word| word.contains('/') && !word.starts_with("/usr/bin/"));
    config.qemu = own.map(Into::into);
    let (extra_args, ranges) = line::extra_args(&line);
    config.extra_args = extra_args;
    let named = program.cloned().unwrap_or_else(|| format!("qemu-system-{arch}"));
    let general = line.general.iter().map(|what| Note {
        index: 0,
        argument: bag::short(&named),
        outcome: Outcome::Changed,
        reason: what.clone(),
    });
    let mut notes: Vec<Note> = general.collect();
    for (at, option) in line.options.iter().enumerate() {
        let argument = || bag::short(&redact(&option.words().collect::<Vec<_>>().join(" ")));
        let mut note = |outcome: Outcome, reason: &str| {
            let reason = reason.to_owned();
            notes.push(Note { index: option.index, argument: argument(), outcome, reason });
        };
        match &option.fate {
            options::Fate::Extra(why) => {
                note(Outcome::Kept(ranges.get(&at).cloned().unwrap_or_default()), why);
            }
            options::Fate::Dropped(why) => note(Outcome::Dropped, why),
            options::Fate::Open | options::Fate::Typed => {}
        }
        for (_, what) in line.remarks.iter().filter(|(of, _)| *of == at) {
            note(Outcome::Changed, what);
        }
    }
    Ok(Import { config, notes })
}

/// The architecture of a QEMU by its name, and whether it is one that uses KVM.
fn program_of(index: usize, word: &str) -> Result<(Arch, bool), ImportError> {
    if !script::is_qemu(word) {
        return Err(ImportError::new(
            index,
            word,
            "not a QEMU program; write qemu-system-ARCH and its arguments",
        ));
    }
    let name = word.rsplit('/').next().unwrap_or(word);
    match name.strip_prefix("qemu-system-") {
        Some(arch) => {
            let arch = arch
                .parse()
                .map_err(|_| ImportError::new(index, word, "this architecture is not supported"))?;
            Ok((arch, false))
        }
        None => Ok((Arch::X86_64, matches!(name, "kvm" | "qemu-kvm"))),
    }
}
