//! The man pages.

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::examples;
use super::exit;

/// Environment variables, and what they are for.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("QEMUCTL_SOCKET_DIR", "The directory of the VMs' sockets, like --socket-dir."),
    ("QEMUCTL_HOME", "The directory of the machines."),
    (
        "XDG_CACHE_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR",
        "The bases of the default directories.",
    ),
    ("TMPDIR", "The directory of temporary files, such as the writes to disks with `snapshot`."),
    ("VISUAL, EDITOR", "The editor of `qemuctl edit`."),
    ("NO_COLOR", "Turns colours off."),
];

/// Files and directories.
const FILES: [(&str, &str); 4] = [
    ("~/.cache/qemuctl, /var/run/qemu", "The sockets and records of running VMs, for users and for root."),
    (
        "~/.local/share/qemuctl/machines/NAME, /var/lib/qemuctl/machines/NAME",
        "A machine: its config machine.toml, its disks, and its logs console.log, events.jsonl and qemu.log.",
    ),
    ("~/.local/state/qemuctl", "Plans and UEFI variables of VMs in the background that are not machines."),
    ("/usr/share/qemu/firmware", "Descriptions of the installed firmware."),
];

/// Writes the man page of a subcommand, or of the program if `subcommand` is `None`.
pub(crate) fn write(page: Command, subcommand: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    // The exit codes get a section of their own.
    let page = page.after_long_help(None::<&'static str>);
    let has_subcommands = page.has_subcommands();
    let man = Man::new(page);
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if has_subcommands {
        man.render_subcommands_section(out)?;
    }
    let mut roff = Roff::new();
    let examples = examples::of(subcommand.unwrap_or_default());
    entries(&mut roff, "EXAMPLES", examples.iter().map(|(command, text)| (*command, *text)));
    entries(&mut roff, "FILES", FILES);
    entries(&mut roff, "ENVIRONMENT", ENVIRONMENT);
    let codes = exit::HELP.lines().skip(1).map(str::trim).filter_map(|line| line.split_once(' '));
    entries(&mut roff, "EXIT STATUS", codes.map(|(code, text)| (code, text.trim())));
    if subcommand.is_some() {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("qemuctl"), roman("(1)")]);
    }
    out.write_all(roff.to_roff().as_bytes())?;
    man.render_version_section(out)
}

/// Adds a section of terms with their explanations.
fn entries<'a>(roff: &mut Roff, title: &str, entries: impl IntoIterator<Item = (&'a str, &'a str)>) {
    roff.control("SH", [title]);
    for (term, text) in entries {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(text)]);
    }
}
