//! Folders that do not depend on the umask of whoever calls: open for reading by everybody, for writing by their owner alone.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

const MODE: u32 = 0o755;

/// Makes a folder and those above it that are missing, each with mode 0755 whatever the umask. One that is there is left as it
/// is.
///
/// # Errors
/// The disk said no.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        make_folder(above)?;
    }
    match DirBuilder::new().mode(MODE).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(MODE)),
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_new_folder_is_readable_by_all_and_writable_by_its_owner() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let deep = folder.path().join("var/lib/wua");
        make_folder(&deep).expect("made");
        make_folder(&deep).expect("there already");
        for path in [&deep, &folder.path().join("var")] {
            assert_eq!(
                fs::metadata(path).expect("exists").permissions().mode() & 0o777,
                MODE
            );
        }
    }
}
