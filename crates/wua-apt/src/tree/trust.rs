//! Who may have written what a tree makes us do.
//!
//! A tree's settings of APT name programs that APT starts, and its folders are written to; so both must belong to the
//! caller or to root and must lie where their names say. The machine itself is not looked at: it is what it is. What lies
//! above the root is the caller's own choice.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{TreeError, TreeKind};

/// What is looked at, each with all the folders above it; what is missing cannot do harm.
const PLACES: [&str; 13] = [
    "etc/wua/wua.toml",
    "etc/wua/practice-machine",
    "etc/apt",
    "var/lib/dpkg/status",
    "var/lib/dpkg/info",
    "var/lib/dpkg/updates",
    "var/lib/apt/lists",
    "var/lib/wua/jobs",
    "var/lib/wua/store",
    "var/lib/wua/state.json",
    crate::kept::FILE,
    "var/cache/apt/archives",
    "var/log/apt",
];
/// The settings of APT, with everything below.
const SETTINGS: &str = "etc/apt";
/// Settings lie no deeper.
const DEEPEST: usize = 8;

/// Makes sure that nobody but the caller and root wrote what matters below `root`.
///
/// # Errors
/// The first place that is a link, belongs to somebody else, or, where it is no practice machine, can be written to by
/// everybody.
pub(super) fn check(root: &Path, kind: TreeKind) -> Result<(), TreeError> {
    if kind == TreeKind::Machine {
        return Ok(());
    }
    let guard = Guard {
        root,
        kind,
        me: rustix::process::geteuid().as_raw(),
    };
    guard.look(root)?;
    for place in PLACES {
        let mut path = root.to_owned();
        for name in Path::new(place) {
            path.push(name);
            let Some(metadata) = guard.look(&path)? else { break };
            if metadata.is_symlink() {
                return Err(TreeError::Link {
                    root: root.to_owned(),
                    path,
                });
            }
        }
    }
    guard.all_below(&root.join(SETTINGS), DEEPEST)
}

struct Guard<'a> {
    root: &'a Path,
    kind: TreeKind,
    me: u32,
}

impl Guard<'_> {
    /// Checks the owner and the rights of one place; none where there is nothing.
    fn look(&self, path: &Path) -> Result<Option<Metadata>, TreeError> {
        let unreadable = |source| TreeError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            // Where the caller may not even look, nothing is read either.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.me != 0 => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        if metadata.uid() != self.me && metadata.uid() != 0 {
            return Err(TreeError::Foreign {
                root: self.root.to_owned(),
                path: path.to_owned(),
                owner: metadata.uid(),
            });
        }
        // Practice machines are made with whatever mask their owner has. The rights of a link say nothing.
        let is_open = metadata.mode() & 0o002 != 0 && !metadata.is_symlink();
        if self.kind == TreeKind::Other && is_open {
            return Err(TreeError::Open {
                root: self.root.to_owned(),
                path: path.to_owned(),
            });
        }
        Ok(Some(metadata))
    }

    fn all_below(&self, folder: &Path, depth: usize) -> Result<(), TreeError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            // APT cannot read it either.
            Err(_) => return Ok(()),
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let metadata = self.look(&path)?;
            if metadata.is_some_and(|metadata| metadata.is_dir()) && depth > 0 {
                self.all_below(&path, depth - 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in [
            "etc/apt/apt.conf.d",
            "etc/wua",
            "var/lib/dpkg",
            "var/lib/apt/lists",
        ] {
            fs::create_dir_all(folder.path().join(name)).expect("folder");
        }
        fs::write(folder.path().join("etc/apt/apt.conf.d/10own"), "").expect("file");
        folder
    }

    const BOTH: [TreeKind; 2] = [TreeKind::Practice, TreeKind::Other];

    #[test]
    fn a_tree_of_our_own_is_fine() {
        let folder = tree();
        for kind in BOTH {
            check(folder.path(), kind).expect("ours");
        }
    }

    #[test]
    fn a_link_that_leads_out_of_the_tree_is_refused() {
        for (place, target) in [("var/lib/wua", "/var/lib"), ("etc/wua/wua.toml", "/etc/hostname")] {
            let folder = tree();
            symlink(target, folder.path().join(place)).expect("linked");
            for kind in BOTH {
                let error = check(folder.path(), kind).expect_err("a link");
                assert!(
                    matches!(&error, TreeError::Link { path, .. } if path.ends_with(place)),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn settings_of_somebody_else_are_refused() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give a file away.
        }
        for place in ["etc/apt/apt.conf.d/10own", "etc/wua", "var/lib/dpkg", ""] {
            let folder = tree();
            chown(folder.path().join(place), Some(12345), None).expect("given away");
            for kind in BOTH {
                let error = check(folder.path(), kind).expect_err("foreign");
                assert!(
                    matches!(error, TreeError::Foreign { owner: 12345, .. }),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn settings_that_everybody_may_write_are_refused() {
        let folder = tree();
        let settings = folder.path().join("etc/apt/apt.conf.d");
        fs::set_permissions(settings, fs::Permissions::from_mode(0o777)).expect("opened");
        let error = check(folder.path(), TreeKind::Other).expect_err("open");
        assert!(matches!(error, TreeError::Open { .. }), "{error}");
    }
}
