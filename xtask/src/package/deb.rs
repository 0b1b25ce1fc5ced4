//! The Debian package: made by cargo-deb from `[package.metadata.deb]` in `qemuctl/Cargo.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::tools;
use crate::run::{self, cargo, output};
use crate::{guest, places, qemus};

/// The release of cargo-deb that is compiled where none is there.
const CARGO_DEB: &str = "3.8.0";

/// The completion scripts: the shell, and the file's name where the package's metadata looks for it.
const SHELLS: [(&str, &str); 3] = [("bash", "qemuctl.bash"), ("fish", "qemuctl.fish"), ("zsh", "_qemuctl")];

/// Makes the package and returns its path.
pub fn build(profile: &str) -> Result<PathBuf> {
    let tool = tools::ensure("cargo-deb", CARGO_DEB)?;
    run::run(&mut cargo(["build", "--quiet", "--package", "qemuctl", "--profile", profile]))?;
    // Cargo's directory of the profile `dev` has another name.
    let built = places::target().join(if profile == "dev" { "debug" } else { profile });
    let program = built.join("qemuctl");
    let extras = built.join("debian");
    places::remove(&extras)?;
    write(&extras.join("man/qemuctl.1"), &output(Command::new(&program).arg("man"))?)?;
    let mut compress = Command::new("gzip");
    // cargo-deb compresses the pages that lie in a repository, not those that are built.
    compress.args(["-9", "--no-name"]).arg(extras.join("man/qemuctl.1"));
    for name in subcommands(&program)? {
        let page = extras.join(format!("man/qemuctl-{name}.1"));
        write(&page, &output(Command::new(&program).args(["man", &name]))?)?;
        compress.arg(page);
    }
    output(&mut compress)?;
    for (shell, file) in SHELLS {
        let script = output(Command::new(&program).args(["completions", shell]))?;
        write(&extras.join("completions").join(file), &script)?;
    }
    let package = extras.join("qemuctl.deb");
    let mut command = Command::new(tool);
    command.args(["deb", "--package", "qemuctl", "--no-build", "--quiet", "--profile", profile]);
    if profile == "dev" {
        // The program with all that debuggers want is large, and nobody keeps this package.
        command.arg("--fast");
    }
    command
        .arg("--output")
        .arg(&package)
        .current_dir(run::workspace())
        .env("CARGO_TARGET_DIR", places::target());
    output(&mut command)?;
    Ok(package)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().context("a file has a directory")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The subcommands that the program's help lists.
fn subcommands(program: &Path) -> Result<Vec<String>> {
    let help = output(Command::new(program).arg("--help"))?;
    let rows =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = rows.filter(|row| !row.starts_with("   ")).filter_map(|row| row.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    ensure!(!names.is_empty(), "the help of {} lists no subcommands", program.display());
    Ok(names)
}

/// Installs the package in a root of its own, looks at what came, boots a guest with it, removes it.
///
/// dpkg checks the dependencies against the packages of this system, but changes nothing of it.
pub fn try_out(package: &Path) -> Result<()> {
    let root = package.with_file_name("root");
    places::remove(&root)?;
    let database = root.join("var/lib/dpkg");
    for dir in ["info", "triggers", "updates"] {
        fs::create_dir_all(database.join(dir)).context("cannot make a root for the package")?;
    }
    fs::copy("/var/lib/dpkg/status", database.join("status")).context("cannot read dpkg's database")?;
    output(dpkg(&root).arg("--install").arg(package))?;

    let program = root.join("usr/bin/qemuctl");
    let version = output(Command::new(&program).arg("--version"))?;
    ensure!(version.starts_with("qemuctl "), "the installed program says {version:?}");
    let mut expected = vec![
        "usr/share/bash-completion/completions/qemuctl".to_owned(),
        "usr/share/doc/qemuctl/README.md".to_owned(),
        "usr/share/doc/qemuctl/copyright".to_owned(),
        "usr/share/fish/vendor_completions.d/qemuctl.fish".to_owned(),
        "usr/share/man/man1/qemuctl.1.gz".to_owned(),
        "usr/share/zsh/vendor-completions/_qemuctl".to_owned(),
    ];
    expected
        .extend(subcommands(&program)?.iter().map(|name| format!("usr/share/man/man1/qemuctl-{name}.1.gz")));
    let missing: Vec<_> = expected.iter().filter(|file| !root.join(file).is_file()).collect();
    ensure!(missing.is_empty(), "the package lacks {missing:?}");
    boot(&program)?;

    output(dpkg(&root).args(["--purge", "qemuctl"]))?;
    ensure!(!root.join("usr").exists(), "removing the package left {}", root.join("usr").display());
    places::remove(&root)
}

/// dpkg for the system in `root`: as root, or as what a user namespace calls root.
fn dpkg(root: &Path) -> Command {
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new("dpkg")
    } else {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "dpkg"]);
        command
    };
    command.arg("--root").arg(root).arg("--log").arg(root.join("dpkg.log"));
    // A system in a container may be told to leave out manual pages.
    command.arg("--path-include=*");
    command
}

/// Runs the project's guest from its start until it powers off.
fn boot(program: &Path) -> Result<()> {
    qemus::ensure(&["10.0".to_owned()])?;
    let wanted =
        guest::GUESTS.iter().find(|guest| guest.name == "x86_64").context("there is no such guest")?;
    guest::ensure(wanted)?;
    let files = places::guests()?.join(wanted.name);
    let mut command = Command::new(program);
    command.args(["run", "--name", "packaged", "--arch", "x86_64", "--accel", "tcg"]);
    command.args(["--append", "console=ttyS0 qemuctl.then=poweroff", "--qemu"]);
    command.arg(places::qemus()?.join("10.0/bin/qemu-system-x86_64"));
    command.arg("--kernel").arg(files.join("vmlinuz")).arg("--initrd").arg(files.join("initramfs"));
    let sockets = program.ancestors().nth(3).context("the program lies in a root")?.join("run");
    let console = output(command.env("QEMUCTL_SOCKET_DIR", sockets))?;
    if !console.contains("guest ready") {
        bail!("the guest did not come up:\n{console}");
    }
    Ok(())
}
