//! `import`: a config from a command line of QEMU.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use qemu_argv::import::{Import, ImportError, Note, Outcome, import, script_words};
use qemu_argv::{BlockFormat, DiskBackend, VmConfig};
use qemuctl::config::to_toml;
use qemuctl::launch::{ImageProblem, check_image};
use serde::Serialize;
use toml_edit::DocumentMut;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

/// Make a config from a QEMU command line
///
/// The command line comes after `--`, from a shell script, or from a process that runs. What a config has fields for becomes
/// fields. The rest becomes `extra_args`, each with a comment that says why. What qemuctl does itself, such as monitors and
/// going into the background, is dropped, and a comment says so. QEMU adds devices that nobody asked for, such as a network
/// card; they are written into the config as well.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The shell script that has the command line; `-` is standard input
    #[arg(value_name = "SCRIPT", value_hint = ValueHint::FilePath)]
    script: Option<PathBuf>,

    /// Take the command line of this process
    #[arg(long, value_name = "PID", conflicts_with = "script")]
    pid: Option<u32>,

    /// Write the config to this file instead of printing it; a file that is there is not replaced
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// The command line
    #[arg(last = true, value_name = "QEMU", conflicts_with_all = ["script", "pid"],
        required_unless_present_any = ["script", "pid"])]
    words: Vec<String>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'i> {
    config: &'i VmConfig,
    notes: Vec<Remark<'i>>,
}

#[derive(Serialize)]
struct Remark<'i> {
    index: usize,
    argument: &'i str,
    outcome: &'static str,
    reason: &'i str,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let words = match (&args.script, args.pid) {
        (Some(script), _) => script_words(&read(script)?).map_err(|error| refused(&error))?,
        (None, Some(pid)) => words_of(pid)?,
        (None, None) => args.words.clone(),
    };
    let mut imported = import(&words).map_err(|error| refused(&error))?;
    let moved = place_paths(&mut imported.config, args)?;
    let mut remarks = tell_formats(&mut imported.config);
    remarks.extend(moved);
    if context.json {
        context.print_json(&report(&imported))?;
        return Ok(Exit::Done);
    }
    let text = text(&imported, &remarks);
    let Some(path) = &args.output else {
        context.print_exactly(text.trim_end())?;
        return Ok(Exit::Done);
    };
    write(path, &text)?;
    for note in &imported.notes {
        context.note(format_args!("{}: {}", note.argument, told(note)));
    }
    for remark in &remarks {
        context.note(remark);
    }
    context.note(format_args!("wrote {}; `qemuctl check {0}` checks it", path.display()));
    Ok(Exit::Done)
}

/// What became of an option, and why.
fn told(note: &Note) -> String {
    match note.outcome {
        Outcome::Kept(_) => format!("in extra_args: {}", note.reason),
        Outcome::Dropped => format!("dropped: {}", note.reason),
        _ => note.reason.clone(),
    }
}

fn refused(error: &ImportError) -> Failure {
    Failure::of(Exit::BadConfig, error)
}

fn read(script: &Path) -> Result<String, Failure> {
    let text = if script == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(script)
    };
    text.map_err(|error| Failure::new(Exit::Failed, format!("cannot read {}: {error}", script.display())))
}

/// The words that a process was started with.
fn words_of(pid: u32) -> Result<Vec<String>, Failure> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).map_err(|error| {
        let exit = if error.kind() == ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, format!("cannot read the command line of process {pid}: {error}"))
    })?;
    if bytes.is_empty() {
        return Err(Failure::new(
            Exit::NotFound,
            format!("process {pid} has no command line: it has ended, or is the kernel's"),
        ));
    }
    let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes).split(|byte| *byte == 0);
    let words = words.enumerate().map(|(index, word)| {
        String::from_utf8(word.to_vec()).map_err(|_| {
            let text = String::from_utf8_lossy(word);
            Failure::new(
                Exit::BadConfig,
                format!("argument {index} ({text:?}): it is not UTF-8, which a config is"),
            )
        })
    });
    words.collect()
}

/// Relative paths count from a config's folder: they are made absolute where that is another one.
fn place_paths(config: &mut VmConfig, args: &Args) -> Result<Option<String>, Failure> {
    let here = match args.pid {
        Some(pid) => std::fs::read_link(format!("/proc/{pid}/cwd")).map_err(|error| {
            let text = format!("cannot tell which directory process {pid} is in: {error}");
            Failure::new(Exit::Failed, text).with_help("its owner and root can")
        })?,
        None => match args.output.as_deref().and_then(Path::parent) {
            Some(folder) if !folder.as_os_str().is_empty() => std::path::absolute(".")?,
            _ => return Ok(None),
        },
    };
    config.for_each_path(&mut |path| {
        if path.is_relative() && !path.as_os_str().is_empty() {
            *path = here.join(&*path);
        }
    });
    // Nobody but QEMU knows which of these are paths.
    let unknown = !config.extra_args.is_empty();
    Ok(unknown.then(|| format!("relative paths in extra_args counted from {}", here.display())))
}

/// Writes down the formats that QEMU guesses from the content of images, as far as these are here.
fn tell_formats(config: &mut VmConfig) -> Vec<String> {
    let mut told = Vec::new();
    for disk in &mut config.disks {
        let DiskBackend::File(file) = &disk.backend else { continue };
        if disk.format.is_some() {
            continue;
        }
        let by_name = BlockFormat::of_name(&file.path);
        disk.format = match check_image(&file.path, None) {
            Err(fault) => match fault.problem {
                ImageProblem::Unnamed(format) => Some(format),
                _ => None,
            },
            Ok(()) if by_name.is_none() => Some(BlockFormat::Raw),
            Ok(()) => None,
        };
        if let Some(format) = disk.format {
            told.push(format!(
                "{}: format {}, detected from its content",
                file.path.display(),
                format.qemu_name()
            ));
        }
    }
    told
}

fn report(imported: &Import) -> Report<'_> {
    let notes = imported.notes.iter().map(|note| Remark {
        index: note.index,
        argument: &note.argument,
        outcome: match note.outcome {
            Outcome::Kept(_) => "kept",
            Outcome::Dropped => "dropped",
            _ => "changed",
        },
        reason: &note.reason,
    });
    Report { config: &imported.config, notes: notes.collect() }
}

/// The config as TOML, with comments that say what became of the rest.
fn text(imported: &Import, remarks: &[String]) -> String {
    let plain = to_toml(&imported.config);
    let Ok(mut document) = plain.parse::<DocumentMut>() else { return plain };
    if let Some(list) = document.get_mut("extra_args").and_then(toml_edit::Item::as_array_mut) {
        for note in &imported.notes {
            let Outcome::Kept(range) = &note.outcome else { continue };
            for index in range.clone() {
                let prefix = if index == range.start {
                    format!("\n    # {}\n    ", line(&note.reason))
                } else {
                    " ".into()
                };
                if let Some(item) = list.get_mut(index) {
                    item.decor_mut().set_prefix(prefix);
                }
            }
        }
        list.set_trailing("\n");
        list.set_trailing_comma(true);
    }
    let others = imported.notes.iter().filter(|note| !matches!(note.outcome, Outcome::Kept(_)));
    let mut comments: Vec<_> = others.map(|note| format!("{}: {}", note.argument, told(note))).collect();
    comments.extend(remarks.iter().cloned());
    let mut text = String::new();
    for comment in &comments {
        text.extend(["# ", &line(comment), "\n"]);
    }
    let gap = if comments.is_empty() { "" } else { "\n" };
    format!("{text}{gap}{document}")
}

/// A text in a comment: what ends a line there would be read as config.
fn line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| {
        let failure = Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()));
        if error.kind() == ErrorKind::AlreadyExists {
            failure.with_help("give another name, or remove the file")
        } else {
            failure
        }
    })
}
