//! The Debian tree that is worked on: the machine itself, a practice machine, or any other tree.
//!
//! Knows how APT and dpkg are started for each kind, with a fixed environment (rule A4), so that neither the
//! caller's environment nor, for other trees, the host's own APT configuration leaks in. Opening a tree changes
//! nothing and needs no privilege. What the programs are asked to do is not known here.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;

use crate::dpkg::DpkgDatabase;

mod error;
mod trust;

pub use error::TreeError;

/// The mark of a practice machine, below the root.
pub const PRACTICE_MARK: &str = "etc/wua/practice-machine";
/// The APT configuration of a practice machine, below the root; used as `APT_CONFIG`.
pub const PRACTICE_CONFIG: &str = "etc/apt/practice.conf";

/// Where programs are looked for, in this order.
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Everything a program started for a tree finds in its environment, `APT_CONFIG` aside (rule A4).
const ENVIRONMENT: [(&str, &str); 6] = [
    ("LC_ALL", "C.UTF-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("NEEDRESTART_MODE", "l"),
    ("TERM", "dumb"),
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
];

/// Read after all settings of another tree: what they would have APT start around a simulation belongs into that tree, not
/// onto this machine.
const NO_HOOKS: &str = "#clear AptCli::Hooks;\n#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n\
    #clear APT::Update::Post-Invoke-Success;\n#clear APT::Update::Post-Invoke-Stats;\n#clear DPkg::Pre-Invoke;\n\
    #clear DPkg::Post-Invoke;\n#clear DPkg::Pre-Install-Pkgs;\n";

/// What kind of tree it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeKind {
    /// The machine this process runs on.
    Machine,
    /// A throw-away tree of the caller's own, with wua's mark; everything works unprivileged.
    Practice,
    /// Some other Debian tree, as debootstrap makes them; changing it needs root (`chroot`).
    Other,
}

/// The programs that are started for a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `apt-get`
    AptGet,
    /// `apt-config`
    AptConfig,
    /// `apt-mark`
    AptMark,
    /// `dpkg`
    Dpkg,
    /// `dpkg-deb`
    DpkgDeb,
}

impl Program {
    const ALL: [Self; 5] = [
        Self::AptGet,
        Self::AptConfig,
        Self::AptMark,
        Self::Dpkg,
        Self::DpkgDeb,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AptGet => "apt-get",
            Self::AptConfig => "apt-config",
            Self::AptMark => "apt-mark",
            Self::Dpkg => "dpkg",
            Self::DpkgDeb => "dpkg-deb",
        }
    }
}

/// A Debian tree, recognised and ready to be read or changed.
#[derive(Debug)]
pub struct AptTree {
    root: PathBuf,
    kind: TreeKind,
    programs: [PathBuf; Program::ALL.len()],
    /// The configuration made for a tree of kind `Other`; removed with this value.
    generated: Option<Generated>,
}

#[derive(Debug)]
struct Generated {
    /// Read before the tree's own settings.
    config: NamedTempFile,
    /// Read after them.
    no_hooks: NamedTempFile,
}

impl AptTree {
    /// Recognises the tree at `root`.
    ///
    /// # Errors
    /// When `root` is no directory, no Debian machine, has folders or settings that are links or belong to somebody else,
    /// or when a program that is needed is not installed.
    pub fn open(root: &Path) -> Result<Self, TreeError> {
        let canonical = fs::canonicalize(root)
            .and_then(|path| fs::read_dir(&path).map(|_| path))
            .map_err(|source| TreeError::NotADirectory {
                root: root.to_owned(),
                source,
            })?;
        let root = canonical;
        fs::File::open(root.join("var/lib/dpkg/status")).map_err(|source| TreeError::NotDebian {
            root: root.clone(),
            source,
        })?;
        let kind = recognise(&root)?;
        trust::check(&root, kind)?;
        let mut tree = Self {
            kind,
            programs: find_programs(&PROGRAM_FOLDERS)?,
            generated: None,
            root,
        };
        if kind == TreeKind::Other {
            tree.generated = Some(Generated {
                config: tree.write_config(&tree.config_text()?)?,
                no_hooks: tree.write_config(NO_HOOKS)?,
            });
        }
        Ok(tree)
    }

    /// The root, without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What kind of tree it is.
    pub fn kind(&self) -> TreeKind {
        self.kind
    }

    /// The path below the root that `relative` names, for files of the tree itself.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative.trim_start_matches('/'))
    }

    /// What a file is called by programs started with [`Self::changing`]: on a tree of kind [`TreeKind::Other`] they see
    /// the root as `/`, so a path below it loses it; none for a path that they cannot see.
    pub fn inside(&self, path: &Path) -> Option<PathBuf> {
        match self.kind {
            TreeKind::Machine | TreeKind::Practice => Some(path.to_owned()),
            TreeKind::Other => path
                .strip_prefix(&self.root)
                .ok()
                .map(|rest| Path::new("/").join(rest)),
        }
    }

    /// A program that only reads or simulates: never needs privilege, stdin is empty. On a tree of kind
    /// [`TreeKind::Other`] it is the host's own, and hooks of the tree are not started.
    pub fn reading(&self, program: Program) -> Command {
        let mut command = prepared(self.programs[program as usize].as_os_str().to_owned());
        if let Some(config) = self.config() {
            command.env("APT_CONFIG", config);
        }
        if let Some(generated) = &self.generated
            && matches!(program, Program::AptGet | Program::AptConfig | Program::AptMark)
        {
            command.arg("-c").arg(generated.no_hooks.path());
        }
        command
    }

    /// A program that changes the tree, stdin empty. On a tree of kind [`TreeKind::Other`] it is the tree's own
    /// program, run by `chroot`, which only root may do.
    pub fn changing(&self, program: Program) -> Command {
        match self.kind {
            TreeKind::Machine | TreeKind::Practice => self.reading(program),
            TreeKind::Other => {
                let mut command = prepared("chroot".into());
                command.arg(&self.root).arg(program.name());
                command
            }
        }
    }

    /// Options for a `dpkg` started by [`Self::changing`] without apt in between. Where apt starts dpkg, a practice
    /// machine's configuration already gives them.
    pub fn dpkg_options(&self) -> Vec<OsString> {
        if self.kind != TreeKind::Practice {
            return Vec::new();
        }
        let with_path = |option: &str, path: &Path| {
            let mut option = OsString::from(option);
            option.push(path);
            option
        };
        vec![
            with_path("--root=", &self.root),
            "--force-not-root".into(),
            "--force-script-chrootless".into(),
            "--force-bad-path".into(),
            with_path("--log=", &self.path("var/log/dpkg.log")),
        ]
    }

    /// The program that [`Self::reading`] starts.
    pub(crate) fn program(&self, program: Program) -> &Path {
        &self.programs[program as usize]
    }

    /// The settings made for a tree of kind [`TreeKind::Other`], in the order in which APT reads them.
    pub(crate) fn own_settings(&self) -> impl Iterator<Item = &Path> {
        let made = self.generated.iter();
        made.flat_map(|made| [made.config.path(), made.no_hooks.path()])
    }

    fn config(&self) -> Option<PathBuf> {
        match self.kind {
            TreeKind::Machine => None,
            TreeKind::Practice => Some(self.path(PRACTICE_CONFIG)),
            TreeKind::Other => self.generated.as_ref().map(|made| made.config.path().to_owned()),
        }
    }

    /// Writes a configuration of APT into a temporary file.
    fn write_config(&self, text: &str) -> Result<NamedTempFile, TreeError> {
        let failed = |source| TreeError::Configuration {
            root: self.root.clone(),
            source,
        };
        let mut file = tempfile::Builder::new()
            .prefix("wua-apt-")
            .tempfile_in("/tmp")
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(file)
    }

    /// The configuration that makes the host's APT read this tree. A `RootDir` on the command line would not do: APT reads
    /// the host's `apt.conf` before it looks at its arguments.
    fn config_text(&self) -> Result<String, TreeError> {
        let root = self
            .root
            .to_str()
            .filter(|path| !path.contains(['"', '\n', '\r', '\\']));
        let root = root.ok_or_else(|| TreeError::UnusablePath {
            root: self.root.clone(),
        })?;
        let database = DpkgDatabase::read(&self.root).map_err(|source| TreeError::Database {
            root: self.root.clone(),
            source: Box::new(source),
        })?;
        let native = database
            .native_architecture()
            .ok_or_else(|| TreeError::NoArchitecture {
                root: self.root.clone(),
            })?
            .to_owned();
        let foreign = fs::read_to_string(self.path("var/lib/dpkg/arch")).unwrap_or_default();
        let foreign = foreign
            .lines()
            .map(str::trim)
            .filter(|name| is_architecture(name) && *name != native);
        let all: String = std::iter::once(native.as_str())
            .chain(foreign)
            .map(|name| format!("\"{name}\"; "))
            .collect();
        let dpkg = self.programs[Program::Dpkg as usize].display();
        Ok(format!(
            "Dir \"{root}\";\n\
             Dir::State::status \"{root}/var/lib/dpkg/status\";\n\
             Dir::Etc::Main \"{root}/etc/apt/apt.conf\";\n\
             Dir::Etc::Parts \"{root}/etc/apt/apt.conf.d\";\n\
             Dir::Bin::dpkg \"{dpkg}\";\n\
             APT::Architecture \"{native}\";\n\
             APT::Architectures {{ {all}}};\n\
             APT::Sandbox::User \"\";\n\
             DPkg::Options {{ \"--root={root}\"; }};\n"
        ))
    }
}

/// Debian's architecture names, so that a hostile file cannot write configuration of its own.
fn is_architecture(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn recognise(root: &Path) -> Result<TreeKind, TreeError> {
    if root == Path::new("/") {
        return Ok(TreeKind::Machine);
    }
    let Ok(mark) = fs::symlink_metadata(root.join(PRACTICE_MARK)) else {
        return Ok(TreeKind::Other);
    };
    // Both must be ours: the mark says what the tree is, the root says who may change what lies in it.
    let own = rustix::process::geteuid().as_raw();
    let root_owner = fs::metadata(root)
        .map_err(|source| TreeError::NotADirectory {
            root: root.to_owned(),
            source,
        })?
        .uid();
    if let Some(owner) = [mark.uid(), root_owner].into_iter().find(|owner| *owner != own) {
        return Err(TreeError::ForeignPracticeMachine {
            root: root.to_owned(),
            owner,
        });
    }
    let Ok(config) = fs::read_to_string(root.join(PRACTICE_CONFIG)) else {
        return Err(TreeError::PracticeConfigMissing {
            root: root.to_owned(),
        });
    };
    // APT goes by the folder that stands in it.
    let made_at = config
        .lines()
        .find_map(|line| line.strip_prefix("Dir \"")?.strip_suffix("\";"));
    if let Some(made_at) = made_at.map(PathBuf::from)
        && fs::canonicalize(&made_at).ok().as_deref() != Some(root)
    {
        return Err(TreeError::PracticeMachineMoved {
            root: root.to_owned(),
            made_at,
        });
    }
    Ok(TreeKind::Practice)
}

fn find_programs(folders: &[&str]) -> Result<[PathBuf; Program::ALL.len()], TreeError> {
    let mut found = [const { PathBuf::new() }; Program::ALL.len()];
    for (place, program) in found.iter_mut().zip(Program::ALL) {
        *place = folders
            .iter()
            .map(|folder| Path::new(folder).join(program.name()))
            .find(|path| {
                fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
            })
            .ok_or(TreeError::ProgramMissing {
                program: program.name(),
            })?;
    }
    Ok(found)
}

fn prepared(program: OsString) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(ENVIRONMENT).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("var/lib/dpkg")).unwrap();
        let dpkg = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21\n";
        fs::write(folder.path().join("var/lib/dpkg/status"), dpkg).unwrap();
        folder
    }

    fn mark(root: &Path) {
        fs::create_dir_all(root.join("etc/wua")).unwrap();
        fs::create_dir_all(root.join("etc/apt")).unwrap();
        fs::write(root.join(PRACTICE_MARK), "").unwrap();
        fs::write(root.join(PRACTICE_CONFIG), "").unwrap();
    }

    fn environment(command: &Command, name: &str) -> Option<String> {
        let value = command.get_envs().find(|(key, _)| *key == name)?.1?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_root_of_the_file_system_is_the_machine() {
        let tree = AptTree::open(Path::new("/")).unwrap();
        assert_eq!(tree.kind(), TreeKind::Machine);
        let command = tree.changing(Program::AptGet);
        assert_eq!(environment(&command, "APT_CONFIG"), None);
        assert_eq!(environment(&command, "LC_ALL").as_deref(), Some("C.UTF-8"));
        assert!(tree.dpkg_options().is_empty());
    }

    #[test]
    fn a_marked_tree_of_our_own_is_a_practice_machine() {
        let folder = tree();
        mark(folder.path());
        let tree = AptTree::open(folder.path()).unwrap();
        assert_eq!(tree.kind(), TreeKind::Practice);
        let config = environment(&tree.changing(Program::AptGet), "APT_CONFIG").unwrap();
        assert_eq!(Path::new(&config), tree.path(PRACTICE_CONFIG));
        assert!(
            tree.dpkg_options()
                .iter()
                .any(|option| option == "--force-not-root")
        );
        // The host's configuration is kept out by a file, never by an option.
        assert_eq!(tree.reading(Program::AptGet).get_args().count(), 0);
    }

    #[test]
    fn a_marked_tree_of_somebody_else_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give a file away.
        }
        let folder = tree();
        mark(folder.path());
        std::os::unix::fs::chown(folder.path().join(PRACTICE_MARK), Some(12345), None).unwrap();
        let error = AptTree::open(folder.path()).unwrap_err();
        assert!(
            matches!(error, TreeError::ForeignPracticeMachine { owner: 12345, .. }),
            "{error}"
        );
    }

    #[test]
    fn an_unmarked_tree_is_read_by_a_configuration_of_its_own_and_changed_by_chroot() {
        let folder = tree();
        fs::write(
            folder.path().join("var/lib/dpkg/arch"),
            "amd64\ni386\n\"; Evil \"1\n",
        )
        .unwrap();
        let tree = AptTree::open(folder.path()).unwrap();
        assert_eq!(tree.kind(), TreeKind::Other);
        let config = environment(&tree.reading(Program::AptGet), "APT_CONFIG").unwrap();
        let text = fs::read_to_string(&config).unwrap();
        assert!(
            text.contains("APT::Architectures { \"amd64\"; \"i386\"; };"),
            "{text}"
        );
        assert!(!text.contains("Evil"));
        let changing = tree.changing(Program::AptGet);
        assert_eq!(changing.get_program(), "chroot");
        assert_eq!(environment(&changing, "APT_CONFIG"), None);
        drop(tree);
        assert!(!Path::new(&config).exists());
    }

    #[test]
    fn what_is_no_machine_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let error = AptTree::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("is not a Debian machine"), "{error}");
        let error = AptTree::open(&folder.path().join("missing")).unwrap_err();
        assert!(matches!(error, TreeError::NotADirectory { .. }), "{error}");
        let error = find_programs(&[folder.path().to_str().unwrap()]).unwrap_err();
        assert!(
            matches!(error, TreeError::ProgramMissing { program: "apt-get" }),
            "{error}"
        );
    }
}
