//! A practice machine: the tree, its archive, and the real programs run on it. How a machine with updates comes into
//! being is told in `create`.
//!
//! Programs get a fixed environment and nothing of the caller's. All calls block until the program has ended.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use wua_types::practice::APT_CONFIG;

use crate::archive::{Archive, Suite};
use crate::error::SandboxError;
use crate::mark::Mark;
use crate::package::{Package, is_path};
use crate::signing::ArchiveKey;
use crate::{dpkg, tree};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A throw-away Debian tree with its own signed archive, on which the real `apt-get` and `dpkg` work unprivileged.
///
/// The value is a handle: dropping it leaves the machine on the disk.
#[derive(Clone, Debug)]
pub struct PracticeMachine {
    root: PathBuf,
    architecture: String,
    archive: Archive,
}

impl PracticeMachine {
    /// Opens a machine that was made before, in the same place.
    ///
    /// # Errors
    ///
    /// [`SandboxError::NotAMachine`] if the directory carries no mark or was moved; a missing dpkg; an unreadable key.
    pub fn open(directory: &Path) -> Result<Self, SandboxError> {
        let root = directory
            .canonicalize()
            .map_err(SandboxError::file("resolve", directory))?;
        Mark::check(&root)?;
        let configuration = read(&root.join(APT_CONFIG))?;
        if configuration.lines().next() != Some(tree::first_line(&root).as_str()) {
            let reason = format!("`{APT_CONFIG}` belongs to another directory; machines cannot be moved");
            return Err(SandboxError::NotAMachine { path: root, reason });
        }
        let key = ArchiveKey::from_armored(&read(&root.join(tree::SECRET_KEY))?)?;
        Ok(Self::assemble(root, native_architecture()?, key))
    }

    /// Makes a machine without packages, whose two suites are published and empty.
    ///
    /// A directory that already is a practice machine is emptied first, **with everything in it**.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Occupied`] if the directory has other content, [`SandboxError::Foreign`] if it is another user's,
    /// [`SandboxError::UnfitPath`] if APT could not work
    /// there; failing file operations; a missing dpkg.
    pub fn empty(directory: &Path) -> Result<Self, SandboxError> {
        let machine = Self::bare(directory, &Mark::new(0, &Default::default()), 0)?;
        for suite in Suite::ALL {
            machine.publish(suite, &[])?;
        }
        Ok(machine)
    }

    /// The tree with its mark and key, and nothing published yet.
    pub(crate) fn bare(directory: &Path, mark: &Mark, seed: u64) -> Result<Self, SandboxError> {
        let absolute = std::path::absolute(directory).map_err(SandboxError::file("resolve", directory))?;
        tree::check_root(&absolute)?;
        let root = tree::make_root(&absolute)?;
        tree::check_root(&root)?;
        make_room(&root)?;
        // The mark comes first: a machine that was left half-made can then be made anew.
        mark.write(&root)?;
        let architecture = native_architecture()?;
        let key = ArchiveKey::generate()?;
        tree::lay_out(&root, &architecture, &key.public_armored()?, seed)?;
        let secret = root.join(tree::SECRET_KEY);
        fs::write(&secret, key.to_armored()?).map_err(SandboxError::file("write", &secret))?;
        Ok(Self::assemble(root, architecture, key))
    }

    fn assemble(root: PathBuf, architecture: String, key: ArchiveKey) -> Self {
        let archive = Archive::new(root.join(tree::ARCHIVE), architecture.clone(), key);
        Self {
            root,
            architecture,
            archive,
        }
    }

    /// The tree's root: absolute, without links. What `wua --root` takes.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The archive the machine's packages come from.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The native architecture, such as `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Replaces what a suite of the archive offers. The machine learns of it by [`refresh`](Self::refresh).
    ///
    /// # Errors
    ///
    /// As [`Archive::publish`].
    pub fn publish(&self, suite: Suite, packages: &[Package]) -> Result<(), SandboxError> {
        self.archive.publish(suite, packages)
    }

    /// Fetches and verifies the indexes (`apt-get update`); any error counts, also a bad signature.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Program`] with apt-get's words.
    pub fn refresh(&self) -> Result<(), SandboxError> {
        self.succeed("apt-get", &["-q", "--error-on=any", "update"])
    }

    /// Installs packages, each named `name` or `name=version`, in one run of apt-get.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Program`] with apt-get's words.
    pub fn install(&self, packages: &[&str]) -> Result<(), SandboxError> {
        let mut arguments = vec!["-y", "-q", "install"];
        arguments.extend(packages);
        self.succeed("apt-get", &arguments)
    }

    /// Runs apt-get on the machine. A failing apt-get is an `Output` like any other.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Start`] if there is no apt-get.
    pub fn apt_get<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Output, SandboxError> {
        run(self.command("apt-get").args(arguments))
    }

    /// Runs dpkg on the machine, with the options a practice tree needs before the ones given.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Start`] if there is no dpkg.
    pub fn dpkg<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Output, SandboxError> {
        run(self
            .command("dpkg")
            .args(tree::dpkg_options(&self.root))
            .args(arguments))
    }

    /// The start of a command that works on this machine: fixed environment with `APT_CONFIG`, no input.
    pub fn command(&self, program: &str) -> Command {
        let mut command = bare_command(program);
        command
            .env("APT_CONFIG", self.root.join(APT_CONFIG))
            .env("TMPDIR", self.root.join("tmp"));
        command
    }

    /// A package's `Status` (such as `install ok installed`) and version as dpkg recorded them, also while dpkg runs;
    /// `None` if dpkg does not know the package. The version is empty where dpkg has none.
    pub fn dpkg_state(&self, name: &str) -> Option<(String, String)> {
        dpkg::state(&self.root.join(tree::DPKG), name)
    }

    /// Replaces the content of a file as the administrator would; the path is relative to the root.
    ///
    /// # Errors
    ///
    /// [`SandboxError::File`] if the path leaves the tree or the file does not exist.
    pub fn edit_conffile(&self, path: &str, content: &str) -> Result<(), SandboxError> {
        let relative = path.trim_start_matches('/');
        let target = self.root.join(relative);
        if !is_path(relative) || !target.is_file() {
            return Err(SandboxError::file("edit", &target)(
                std::io::ErrorKind::NotFound.into(),
            ));
        }
        fs::write(&target, content).map_err(SandboxError::file("edit", &target))
    }

    /// Holds a package at its version (`apt-mark hold`).
    ///
    /// # Errors
    ///
    /// [`SandboxError::Program`] with apt-mark's words.
    pub fn hold(&self, name: &str) -> Result<(), SandboxError> {
        self.succeed("apt-mark", &["hold", name])
    }

    /// Removes the archives that APT keeps of its downloads.
    pub(crate) fn clean_cache(&self) -> Result<(), SandboxError> {
        self.succeed("apt-get", &["-q", "clean"])
    }

    pub(crate) fn succeed(&self, program: &str, arguments: &[&str]) -> Result<(), SandboxError> {
        let output = run(self.command(program).args(arguments))?;
        if output.status.success() {
            return Ok(());
        }
        Err(SandboxError::program(
            format!("{program} {}", arguments.join(" ")),
            &output,
        ))
    }
}

fn bare_command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Result<Output, SandboxError> {
    let program = command.get_program().to_string_lossy().into_owned();
    command
        .output()
        .map_err(|source| SandboxError::Start { program, source })
}

fn native_architecture() -> Result<String, SandboxError> {
    let output = run(bare_command("dpkg").arg("--print-architecture"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_string()),
        false => Err(SandboxError::program("dpkg --print-architecture".into(), &output)),
    }
}

/// Leaves `root` empty, unless it or its content is somebody else's.
fn make_room(root: &Path) -> Result<(), SandboxError> {
    let owner = fs::metadata(root)
        .map_err(SandboxError::file("look at", root))?
        .uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(SandboxError::Foreign {
            path: root.into(),
            owner,
        });
    }
    let entries = || fs::read_dir(root)?.collect::<std::io::Result<Vec<_>>>();
    let entries = entries().map_err(SandboxError::file("list", root))?;
    if !entries.is_empty() && Mark::check(root).is_err() {
        return Err(SandboxError::Occupied { path: root.into() });
    }
    for path in entries.iter().map(fs::DirEntry::path) {
        let link_or_file = path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir());
        let removed = if link_or_file {
            fs::remove_file(&path)
        } else {
            fs::remove_dir_all(&path)
        };
        removed.map_err(SandboxError::file("remove", &path))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, SandboxError> {
    fs::read_to_string(path).map_err(SandboxError::file("read", path))
}
