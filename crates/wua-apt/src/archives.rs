//! Puts the archives of a run where apt looks for them, and says what is authorised about each (rules A5, G1).

use std::fs;
use std::io;
use std::path::Path;

use wua_engine::Failure;
use wua_engine::store::{ContentStore, StoreError, io_code};
use wua_types::{HResult, PlannedChange, UpdateInstallationResult};

use crate::dpkg::DpkgDatabase;
use crate::gate::Authorised;
use crate::health::must_be_unpacked_again;
use crate::outcome::refusal;
use crate::watch::archive_name;

/// The step of apt's that carries a change out on a machine as it stands now, with its archive in the folder `archives` as apt sees
/// it. Where the first unpacking of a new package was interrupted, dpkg records its version already, and apt takes that for the one
/// before.
pub(crate) fn authorised(change: &PlannedChange, database: &DpkgDatabase, archives: &Path) -> Authorised {
    let archive = archive_name(change).zip(change.archive.clone());
    let begun = database
        .get(&change.name, &change.architecture)
        .filter(|package| must_be_unpacked_again(package) && change.to.as_ref() == Some(&package.version));
    Authorised {
        name: change.name.clone(),
        architecture: change.architecture.clone(),
        old: begun.map_or_else(|| change.from.clone(), |package| Some(package.version.clone())),
        new: change.to.clone(),
        archive: archive.map(|(name, sha256)| (archives.join(name), sha256)),
    }
}

/// Puts the archives of an update into `folder`, each verified right before.
///
/// # Errors
/// The result of an update whose archives cannot all be put there.
pub(crate) fn link_archives(
    store: &ContentStore,
    changes: &[&PlannedChange],
    folder: &Path,
) -> Result<(), UpdateInstallationResult> {
    changes.iter().try_for_each(|change| match archive_name(change) {
        Some(name) => link(store, change, &folder.join(name)),
        None => Ok(()),
    })
}

fn link(store: &ContentStore, change: &PlannedChange, to: &Path) -> Result<(), UpdateInstallationResult> {
    let name = &change.name;
    let missing = || {
        refusal(
            HResult::WU_E_DM_NOTDOWNLOADED,
            format!("the archive of `{name}` is not in the store"),
        )
    };
    let from = store
        .verify(change.archive.as_ref().ok_or_else(missing)?)
        .map_err(|error| match &error {
            StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => missing(),
            StoreError::WrongHash { .. } => refusal(
                error.code(),
                format!("the archive of `{name}` was altered in the store: {error}"),
            ),
            StoreError::Io { .. } | StoreError::NotAHash(_) => {
                let sentence = format!("the archive of `{name}` cannot be verified");
                refusal(
                    error.code(),
                    Failure::because(error.code(), sentence, error).sentence(),
                )
            }
        })?;
    let made = to.parent().map_or(Ok(()), fs::create_dir_all);
    // What lies there may be the content itself: copied onto itself it would be emptied.
    let made = made.and_then(|()| match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    });
    // Other file systems, and files of other users, cannot be linked.
    let made = made.and_then(|()| fs::hard_link(&from, to).or_else(|_| fs::copy(&from, to).map(|_| ())));
    made.map_err(|error| {
        refusal(
            io_code(&error),
            format!("cannot put `{}` in place: {error}", to.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use wua_engine::store::Origin;

    use super::*;

    #[test]
    fn an_archive_that_is_put_in_place_twice_stays_whole() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = ContentStore::new(folder.path().join("store"));
        let file = folder.path().join("incoming");
        fs::write(&file, "an archive").expect("written");
        let content = store
            .put(&file, None, "deb a all 1", Origin::Downloaded)
            .expect("stored");
        let change = PlannedChange {
            name: "a".into(),
            architecture: "all".into(),
            from: None,
            to: Some("1".into()),
            archive: Some(content.sha256.clone()),
        };
        for _ in 0..2 {
            link_archives(&store, &[&change], &folder.path().join("archives")).expect("in place");
        }
        store.verify(&content.sha256).expect("whole");
        assert_eq!(
            fs::read_to_string(folder.path().join("archives/a_1_all.deb")).expect("there"),
            "an archive"
        );
    }
}
