//! What APT said last of a tree's settings and sources, kept so that a search need not wait for it to say the same again.
//!
//! A search only reads it. It is written by whoever changes the machine anyhow: a refresh, a download. It holds as long as
//! everything that APT's answers follow from is as it was: the text of each of its settings and sources, the foreign
//! architectures and settings of dpkg, and the very files of APT's and dpkg's programs. Where that is not plain, nothing is kept and
//! APT is asked: settings that lead to further files, or from the usual places to others; and files that not everybody may read, for
//! what is kept is for everybody. Nothing is believed that somebody else than root or the caller could have written.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wua_engine::files::make_folder;

use crate::answers::Answers;
use crate::reader::{AptConfig, ReadError};
use crate::tree::{AptTree, PRACTICE_CONFIG, Program, TreeKind};

/// Where it lies, below the tree's root.
pub(crate) const FILE: &str = "var/lib/wua/apt.json";

/// Goes into every key; a new one makes everything void that was kept before.
const FORM: &str = "wua-apt answers 1";
/// The largest file that is looked at, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// The folders above settings and sources.
const ABOVE: [&str; 2] = ["etc", "etc/apt"];
/// Settings of APT in a tree: files, and folders of files.
const SETTINGS: [&str; 3] = ["etc/apt/apt.conf", "etc/apt/apt.conf.d", "usr/lib/apt/apt.conf.d"];
/// What else APT's answers follow from, in a tree.
const SOURCES: [&str; 3] = [
    "etc/apt/sources.list",
    "etc/apt/sources.list.d",
    "var/lib/dpkg/arch",
];
/// And on the machine whose programs are started: APT asks dpkg for foreign architectures.
const HOST: [&str; 3] = ["/etc/dpkg/dpkg.cfg", "/etc/dpkg/dpkg.cfg.d", "/var/lib/dpkg/arch"];
/// Where settings and sources lie if no setting moves them.
const USUAL: [(&str, &str); 4] = [
    ("Dir::Etc::main", "etc/apt/apt.conf"),
    ("Dir::Etc::parts", "etc/apt/apt.conf.d"),
    ("Dir::Etc::sourcelist", "etc/apt/sources.list"),
    ("Dir::Etc::sourceparts", "etc/apt/sources.list.d"),
];
/// The places below `Dir::Etc` that APT is known to have; one more could be one more file of settings.
const PLACES: [&str; 12] = [
    "main",
    "parts",
    "sourcelist",
    "sourceparts",
    "netrc",
    "netrcparts",
    "preferences",
    "preferencesparts",
    "trusted",
    "trustedparts",
    "vendorlist",
    "vendorparts",
];
/// The settings below `Dir` that have no say in where settings and sources lie.
const HARMLESS: [&str; 6] = ["state", "cache", "log", "bin", "media", "ignore-files-silently"];

/// Why nothing was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotKept {
    /// It cannot be told when the answers would cease to hold, or they are not for everybody to read.
    #[error("{0}")]
    Unclear(&'static str),
    /// APT cannot be asked.
    #[error("APT cannot be asked")]
    Apt(#[from] ReadError),
    /// The disk said no.
    #[error("what APT said cannot be written down")]
    Io(#[from] io::Error),
}

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    key: String,
    /// APT's shared libraries, whose identity is part of the key.
    libraries: Vec<PathBuf>,
    settings: String,
    targets: String,
}

/// What was kept, if it holds.
pub(crate) fn read(tree: &AptTree) -> Option<Answers> {
    let kept = load(&tree.path(FILE))?;
    match key(tree, &kept.libraries) {
        Ok(key) if key == kept.key => Some(Answers {
            settings: kept.settings,
            targets: kept.targets,
        }),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "what was kept of APT's answers is void");
            None
        }
    }
}

/// Asks APT and keeps what it says, unless what is kept holds. Only for callers that may change the tree.
///
/// # Errors
/// Nothing can be kept; a search asks APT then, as it does without.
pub fn keep(tree: &AptTree) -> Result<(), NotKept> {
    if read(tree).is_some() {
        return Ok(());
    }
    let libraries = libraries()?;
    let before = key(tree, &libraries)?;
    let answers = Answers::of_apt(tree)?;
    check_settings(tree, &answers.settings)?;
    // What changed meanwhile may or may not be in the answers.
    if key(tree, &libraries)? != before {
        return Err(NotKept::Unclear("settings or sources changed just now"));
    }
    if has_credentials(&answers.targets) || has_credentials(&answers.settings) {
        // Everybody reads the file.
        return Err(NotKept::Unclear("an address has a name or password in it"));
    }
    let kept = Kept {
        key: before,
        libraries,
        settings: answers.settings,
        targets: answers.targets,
    };
    let path = tree.path(FILE);
    let folder = path.parent().expect("a file has a folder");
    make_folder(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(&kept).map_err(io::Error::from)?)?;
    fs::set_permissions(file.path(), Permissions::from_mode(0o644))?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

/// The same for callers who can do without.
pub(crate) fn keep_if_possible(tree: &AptTree) {
    if let Err(error) = keep(tree) {
        tracing::debug!(%error, "APT's answers are not kept");
        // What was kept before holds no more, and may say what it should not.
        let _ = fs::remove_file(tree.path(FILE));
    }
}

/// Whether any address in `text` has something before an `@` in its authority.
fn has_credentials(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', ' ', '\n', '"']).next().unwrap_or_default();
        authority.contains('@')
    })
}

/// Reads the file, if only root or the caller can have written it.
fn load(path: &Path) -> Option<Kept> {
    let me = rustix::process::geteuid().as_raw();
    let is_trusted = |metadata: &Metadata| [0, me].contains(&metadata.uid()) && metadata.mode() & 0o022 == 0;
    let folder = fs::symlink_metadata(path.parent()?).ok()?;
    if !folder.is_dir() || !is_trusted(&folder) {
        return None;
    }
    // Neither a link nor a pipe is followed.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || !is_trusted(&metadata) {
        return None;
    }
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// One number for everything that APT's answers follow from.
fn key(tree: &AptTree, libraries: &[PathBuf]) -> Result<String, NotKept> {
    let mut key = Key(Sha256::new());
    key.add(FORM.as_bytes());
    key.add(tree.root().as_os_str().as_bytes());
    match tree.kind() {
        TreeKind::Machine => key.add(b"machine"),
        TreeKind::Practice => {
            key.add(b"practice");
            let path = tree.path(PRACTICE_CONFIG);
            key.file(&path, &fs::metadata(&path)?, leads_nowhere)?;
        }
        TreeKind::Other => {
            key.add(b"tree");
            // Made by us, of what everybody may read.
            for path in tree.own_settings() {
                key.add(&fs::read(path)?);
            }
        }
    }
    for place in ABOVE {
        if fs::metadata(tree.path(place))?.mode() & 0o001 == 0 {
            return Err(NotKept::Unclear("a folder of settings is not for everybody"));
        }
    }
    for place in SETTINGS {
        key.place(&tree.path(place), |text| {
            leads_nowhere(text) && moves_nothing(text)
        })?;
    }
    for place in SOURCES.map(|place| tree.path(place)) {
        key.place(&place, |_| true)?;
    }
    for place in HOST.map(Path::new) {
        key.place(place, |_| true)?;
    }
    let programs = [Program::AptGet, Program::AptConfig, Program::Dpkg];
    let programs = programs.into_iter().map(|program| tree.program(program));
    for path in programs.chain(libraries.iter().map(PathBuf::as_path)) {
        key.identity(path)?;
    }
    Ok(hex::encode(key.0.finalize()))
}

/// What goes into a key, each part with its length, so that no two lists of parts look alike.
struct Key(Sha256);

impl Key {
    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// A file with its text, or a folder with all its files; what is missing counts as that.
    fn place(&mut self, path: &Path, is_plain: impl Fn(&[u8]) -> bool) -> Result<(), NotKept> {
        self.add(path.as_os_str().as_bytes());
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.add(b"missing");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if !metadata.is_dir() {
            return self.file(path, &metadata, is_plain);
        }
        self.add(b"folder");
        if metadata.mode() & 0o005 != 0o005 {
            return Err(NotKept::Unclear("a folder of settings is not for everybody"));
        }
        let names: io::Result<Vec<_>> = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect();
        let mut names = names?;
        names.sort_unstable();
        for name in names {
            self.add(name.as_bytes());
            let path = path.join(name);
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                self.add(b"folder");
            } else {
                self.file(&path, &metadata, &is_plain)?;
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        is_plain: impl Fn(&[u8]) -> bool,
    ) -> Result<(), NotKept> {
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            // A link may lead to where not everybody may go.
            return Err(NotKept::Unclear("a file of settings is no plain file"));
        }
        if metadata.mode() & 0o004 == 0 {
            return Err(NotKept::Unclear("a file of settings is not for everybody"));
        }
        let text = fs::read(path)?;
        if !is_plain(&text) {
            return Err(NotKept::Unclear("a setting leads to other files"));
        }
        self.add(b"file");
        self.add(&text);
        Ok(())
    }

    /// Which file it is, and that nobody wrote to it since.
    fn identity(&mut self, path: &Path) -> Result<(), NotKept> {
        let metadata = fs::metadata(path)?;
        self.add(path.as_os_str().as_bytes());
        for number in [metadata.dev(), metadata.ino(), metadata.size()] {
            self.add(&number.to_le_bytes());
        }
        for number in [
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ] {
            self.add(&number.to_le_bytes());
        }
        Ok(())
    }
}

/// APT's shared libraries, where Debian puts them.
fn libraries() -> Result<Vec<PathBuf>, NotKept> {
    let folders = fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path());
    let folders = folders.filter(|folder| folder.to_string_lossy().contains("-linux-"));
    let files = folders
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
        .filter(|entry| entry.file_name().as_bytes().starts_with(b"libapt-"));
    let mut libraries: Vec<_> = files.map(|entry| entry.path()).collect();
    libraries.sort_unstable();
    let is_main = |path: &PathBuf| path.to_string_lossy().contains("/libapt-pkg.so");
    match libraries.iter().any(is_main) {
        true => Ok(libraries),
        false => Err(NotKept::Unclear("APT's library is nowhere to be seen")),
    }
}

/// Whether settings include no other file.
fn leads_nowhere(text: &[u8]) -> bool {
    !text
        .windows(b"#include".len())
        .any(|word| word.eq_ignore_ascii_case(b"#include"))
}

/// Whether settings leave the places of settings and sources alone: `RootDir`, `Dir`, `Dir::Etc` and what is below it. Anything
/// that looks like it counts, also in comments and commands.
fn moves_nothing(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    memchr::memmem::find_iter(&text, b"dir").all(|place| {
        let (before, after) = (&text[..place], &text[place + b"dir".len()..]);
        if before.ends_with(b"root") {
            return false;
        }
        let is_other_word = before.last().is_some_and(is_letter) || after.first().is_some_and(is_letter);
        is_other_word
            || after.strip_prefix(b"::").is_some_and(|below| {
                let length = below.iter().take_while(|byte| is_letter(byte)).count();
                HARMLESS.iter().any(|name| name.as_bytes() == &below[..length])
            })
    })
}

/// Makes sure that APT's settings are such that the key covers everything its answers follow from.
fn check_settings(tree: &AptTree, dump: &str) -> Result<(), NotKept> {
    let config = AptConfig::parse(dump);
    let is_usual = |(name, place): &(&str, &str)| config.path(name) == Some(tree.path(place));
    if config.get("RootDir").is_some() || !USUAL.iter().all(is_usual) {
        return Err(NotKept::Unclear("settings or sources lie in unusual places"));
    }
    if config.path("Dir::Bin::dpkg").as_deref() != Some(tree.program(Program::Dpkg)) {
        return Err(NotKept::Unclear("APT asks another dpkg"));
    }
    let root = format!("--root={}", tree.root().display());
    for line in dump.lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim_matches(['"', ';']);
        let name = name.to_ascii_lowercase();
        let is_known = match name.as_str() {
            "dpkg::chroot-directory" => matches!(value, "" | "/"),
            "dpkg::options::" => value == root || !value.contains("root=") && !value.contains("admindir"),
            _ => match name.strip_prefix("dir::etc::") {
                Some(place) => PLACES.contains(&place),
                None => !name.starts_with("dir::usr::") && !name.starts_with("apt::sources::with"),
            },
        };
        if !is_known {
            return Err(NotKept::Unclear("a setting adds files or asks another dpkg"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_move_settings_or_sources_are_seen() {
        for text in [
            "Dir::Etc::sourcelist \"/x\";",
            "dir::etc \"/x\";",
            "Dir \"/x\";",
            "Dir{Etc{main \"/x\";};};",
            "RootDir \"/x\";",
            "#clear Dir;",
            "A \"b\";Dir::Etcetera::x \"/x\";",
        ] {
            assert!(!moves_nothing(text.as_bytes()), "{text}");
        }
        for text in [
            "Dir::Cache::pkgcache \"\";",
            "DPkg::Post-Invoke { \"rm /some/directory/*\"; };",
            "APT::Dirty \"x\";",
        ] {
            assert!(moves_nothing(text.as_bytes()), "{text}");
        }
        assert!(!leads_nowhere(b"A \"b\";\n#Include \"/x\";"));
        assert!(leads_nowhere(b"# includes nothing"));
    }
}
