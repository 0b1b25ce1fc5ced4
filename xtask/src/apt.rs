//! Debian packages of any release and architecture, fetched and unpacked without installing them.
//!
//! apt runs with a source list, package lists and a package status of its own, so that nothing of
//! the system is read or changed but its mirror, its keys and its proxy. Needs no privileges.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{places, run};

/// The keys that sign Debian's releases, where Debian's own package puts them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Directories of `/usr/share` that no program of a test reads.
const UNREAD: [&str; 6] = ["doc", "help", "icons", "lintian", "locale", "man"];

/// One release of Debian for one architecture.
pub struct Archive {
    suite: &'static str,
    arch: &'static str,
    dir: PathBuf,
}

impl Archive {
    /// Prepares the private apt of `suite` (such as `bookworm`) and `arch` (such as `arm64`) under
    /// `dir` and brings its package lists up to date.
    pub fn open(dir: &Path, suite: &'static str, arch: &'static str) -> Result<Self> {
        let archive = Self { suite, arch, dir: dir.to_owned() };
        for sub in ["lists/partial", "archives/partial"] {
            let sub = dir.join(sub);
            fs::create_dir_all(&sub).with_context(|| format!("cannot create {}", sub.display()))?;
        }
        let signed =
            if Path::new(KEYRING).exists() { format!(" signed-by={KEYRING}") } else { String::new() };
        let source = format!("deb [arch={arch}{signed}] {} {suite} main\n", mirror()?);
        fs::write(dir.join("sources.list"), source).context("cannot write apt's source list")?;
        // An empty status makes apt bring everything a package needs, the C library included.
        fs::write(dir.join("status"), "").context("cannot write apt's status file")?;
        run::output(archive.apt("apt-get").arg("update"))
            .with_context(|| format!("cannot read the package lists of Debian {suite} for {arch}"))?;
        Ok(archive)
    }

    /// Fetches `packages` and everything they depend on, recommendations left out.
    pub fn fetch_closure(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        run::output(self.apt("apt-get").args(["--yes", "--download-only", "install"]).args(packages))
            .with_context(|| format!("cannot fetch {} of Debian {}", packages.join(" "), self.suite))?;
        self.debs("archives")
    }

    /// Fetches exactly one package and returns its file.
    pub fn fetch_one(&self, package: &str) -> Result<PathBuf> {
        let dir = self.dir.join("single").join(package);
        places::remove(&dir)?;
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        run::output(self.apt("apt-get").args(["download", package]).current_dir(&dir))
            .with_context(|| format!("cannot fetch {package} of Debian {} for {}", self.suite, self.arch))?;
        let [deb] = &list(&dir, "deb")?[..] else { bail!("apt fetched no file for {package}") };
        Ok(deb.clone())
    }

    /// The packages that `package` directly depends on.
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        let text = run::output(self.apt("apt-cache").args(["depends", "--important", package]))?;
        let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// Forgets the fetched package files; the package lists stay.
    pub fn clean(&self) -> Result<()> {
        places::remove(&self.dir.join("archives"))?;
        places::remove(&self.dir.join("single"))
    }

    fn debs(&self, sub: &str) -> Result<Vec<PathBuf>> {
        let mut debs = list(&self.dir.join(sub), "deb")?;
        debs.sort();
        Ok(debs)
    }

    fn apt(&self, program: &str) -> Command {
        let at = |name: &str| self.dir.join(name).display().to_string();
        let mut options = BTreeMap::from([
            ("APT::Architecture", self.arch.to_owned()),
            ("APT::Architectures", self.arch.to_owned()),
            ("APT::Install-Recommends", "false".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::Retries", "3".to_owned()),
            ("Dir::Cache::archives", at("archives")),
            ("Dir::Etc::sourcelist", at("sources.list")),
            ("Dir::Etc::sourceparts", "-".to_owned()),
            ("Dir::Etc::preferencesparts", "-".to_owned()),
            ("Dir::State::Lists", at("lists")),
            ("Dir::State::status", at("status")),
        ]);
        // No cache files of the system's apt, no locks in its directories, no change of user.
        for empty in ["Dir::Cache::pkgcache", "Dir::Cache::srcpkgcache", "APT::Sandbox::User"] {
            options.insert(empty, String::new());
        }
        options.insert("Debug::NoLocking", "true".to_owned());
        let mut command = Command::new(program);
        command.arg("-q").env("LC_ALL", "C").stdin(Stdio::null());
        for (name, value) in options {
            command.arg("-o").arg(format!("{name}={value}"));
        }
        command
    }
}

/// Unpacks a package file into `root`, which is laid out with a merged `/usr`.
pub fn unpack(deb: &Path, root: &Path) -> Result<()> {
    for dir in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(dir)).context("cannot create the root to unpack into")?;
        let link = root.join(dir);
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(format!("usr/{dir}"), &link)
                .with_context(|| format!("cannot create {}", link.display()))?;
        }
    }
    let mut unpacker = Command::new("dpkg-deb");
    unpacker.arg("--fsys-tarfile").arg(deb).stdout(Stdio::piped()).stdin(Stdio::null());
    let shown = run::show(&unpacker);
    let mut unpacker = unpacker.spawn().with_context(|| format!("cannot start {shown}"))?;
    let tar = unpacker.stdout.take().expect("its output is a pipe");
    let extracted = run::output(
        Command::new("tar")
            .args(["--extract", "--keep-directory-symlink", "--no-same-owner"])
            .args(UNREAD.map(|dir| format!("--exclude=./usr/share/{dir}")))
            .arg("--directory")
            .arg(root)
            .stdin(tar),
    );
    let status = unpacker.wait().with_context(|| format!("cannot wait for {shown}"))?;
    extracted?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// The Debian mirror this machine's apt uses; `QEMUCTL_DEBIAN_MIRROR` overrides it.
pub fn mirror() -> Result<String> {
    if let Ok(mirror) = std::env::var("QEMUCTL_DEBIAN_MIRROR") {
        return Ok(mirror);
    }
    let targets = run::output(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))
        .context("apt-get is needed to fetch Debian packages")?;
    let mirror = targets.lines().find(|uri| uri.trim_end_matches('/').ends_with("/debian"));
    mirror.map(str::to_owned).context(
        "apt on this machine has no Debian mirror; set QEMUCTL_DEBIAN_MIRROR to the address of one (ending in /debian/)",
    )
}

fn list(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", dir.display()))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(files)
}
