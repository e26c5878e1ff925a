//! Whether there is room: the forecast of what a job needs, against the free space of every file system concerned.
//!
//! Asked before anything is fetched or touched, so that a full disk is met with the machine whole. A forecast is no promise:
//! others fill disks, too, and the handler still answers for a disk that is full in mid-work (rule R33).

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use wua_types::{HResult, Update};

use crate::failure::Failure;
use crate::folders::Folders;

/// Bytes that a job's own records take at most: journal, logs, history.
const RECORDS: u64 = 4 << 20;

/// Bytes that are going to be written below a folder, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceNeed {
    /// Where; need not exist yet.
    pub folder: PathBuf,
    /// How much more will be there at the worst moment.
    pub bytes: u64,
    /// What for, as it ends "room for …".
    pub purpose: &'static str,
}

/// A file system as far as room goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Which one.
    pub device: u64,
    /// Bytes that can still be written to it.
    pub free: u64,
}

/// What a job needs of one file system.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Forecast {
    /// A folder on it.
    pub folder: PathBuf,
    /// Bytes that are needed, all purposes together.
    pub needed: u64,
    /// Bytes that are free.
    pub free: u64,
    /// What for.
    pub purposes: Vec<&'static str>,
}

impl Forecast {
    /// Whether there is not enough room.
    pub fn is_short(&self) -> bool {
        self.needed > self.free
    }
}

/// The file system on which `folder` is or would be.
///
/// # Errors
/// It cannot be looked at.
pub fn probe(folder: &Path) -> io::Result<FileSystem> {
    let mut existing = folder;
    let metadata = loop {
        match (std::fs::metadata(existing), existing.parent()) {
            (Ok(metadata), _) => break metadata,
            (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => existing = parent,
            (Err(error), _) => return Err(error),
        }
    };
    let room = rustix::fs::statvfs(existing)?;
    Ok(FileSystem {
        device: metadata.dev(),
        free: room.f_bavail.saturating_mul(room.f_frsize),
    })
}

/// Adds needs up by file system, in the order in which these are first named. `probe` tells which one a folder is on.
///
/// # Errors
/// A folder cannot be looked at.
pub fn forecast(
    needs: &[SpaceNeed],
    probe: impl Fn(&Path) -> io::Result<FileSystem>,
) -> Result<Vec<Forecast>, Failure> {
    let mut found: Vec<(u64, Forecast)> = Vec::new();
    for need in needs.iter().filter(|need| need.bytes > 0) {
        let system = probe(&need.folder).map_err(|error| {
            let what = format!("cannot tell how much room `{}` has", need.folder.display());
            Failure::because(crate::store::io_code(&error), what, error)
        })?;
        let place = found.iter().position(|(device, _)| *device == system.device);
        let place = place.unwrap_or_else(|| {
            let new = Forecast {
                folder: need.folder.clone(),
                needed: 0,
                free: system.free,
                purposes: Vec::new(),
            };
            found.push((system.device, new));
            found.len() - 1
        });
        let forecast = &mut found[place].1;
        forecast.needed = forecast.needed.saturating_add(need.bytes);
        if !forecast.purposes.contains(&need.purpose) {
            forecast.purposes.push(need.purpose);
        }
    }
    Ok(found.into_iter().map(|(_, forecast)| forecast).collect())
}

/// Fails where one of the file systems has not enough room.
///
/// # Errors
/// `ERROR_DISK_FULL`, naming every file system that is short, what it needs and what is free.
pub fn check(forecasts: &[Forecast]) -> Result<(), Failure> {
    let short: Vec<String> = forecasts
        .iter()
        .filter(|forecast| forecast.is_short())
        .map(|forecast| {
            format!(
                "the file system of `{}` has {} bytes free and {} are needed for {}",
                forecast.folder.display(),
                forecast.free,
                forecast.needed,
                forecast.purposes.join(", ")
            )
        })
        .collect();
    if short.is_empty() {
        return Ok(());
    }
    let sentence = format!("not begun, there is not enough room: {}", short.join("; "));
    Err(Failure::new(HResult::ERROR_DISK_FULL, sentence))
}

/// What fetching `updates` needs: their archives, the largest of them twice while it is checked, and about as much again for
/// the installed versions' archives that are kept.
pub fn of_download(updates: &[Update], folders: &Folders) -> Vec<SpaceNeed> {
    let sizes = updates.iter().map(|update| update.min_download_size);
    let largest = sizes.clone().max().unwrap_or(0);
    let new = sizes.fold(0_u64, u64::saturating_add);
    let need = |bytes, purpose| SpaceNeed {
        folder: folders.store(),
        bytes,
        purpose,
    };
    vec![
        need(new.saturating_add(largest), "downloading"),
        need(new, "keeping the installed versions"),
    ]
}

/// What a job's own records need.
pub fn of_records(folders: &Folders) -> SpaceNeed {
    SpaceNeed {
        folder: folders.state(),
        bytes: RECORDS,
        purpose: "wua's records",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(folder: &str, bytes: u64, purpose: &'static str) -> SpaceNeed {
        SpaceNeed {
            folder: folder.into(),
            bytes,
            purpose,
        }
    }

    /// `/boot` is a file system of its own with 50 bytes free, all else one with 100.
    fn two_systems(folder: &Path) -> io::Result<FileSystem> {
        Ok(match folder.starts_with("/boot") {
            true => FileSystem { device: 2, free: 50 },
            false => FileSystem { device: 1, free: 100 },
        })
    }

    #[test]
    fn needs_of_one_file_system_add_up() {
        let needs = [
            need("/usr", 60, "unpacking"),
            need("/boot", 50, "kernels"),
            need("/var", 41, "downloading"),
        ];
        let forecasts = forecast(&needs, two_systems).expect("all can be looked at");
        assert_eq!(
            forecasts
                .iter()
                .map(|one| (one.needed, one.free))
                .collect::<Vec<_>>(),
            [(101, 100), (50, 50)]
        );
        let failure = check(&forecasts).expect_err("one byte short");
        assert_eq!(failure.code(), HResult::ERROR_DISK_FULL);
        let sentence = failure.sentence();
        assert!(
            sentence.contains("`/usr` has 100 bytes free and 101 are needed for unpacking, downloading"),
            "{sentence}"
        );
        assert!(!sentence.contains("/boot"), "{sentence}");
    }

    #[test]
    fn what_needs_nothing_is_not_looked_at() {
        let refuse = |_: &Path| Err(io::Error::other("not to be asked"));
        assert_eq!(
            forecast(&[need("/usr", 0, "unpacking")], refuse).expect("nothing asked"),
            []
        );
        assert!(forecast(&[need("/usr", 1, "unpacking")], refuse).is_err());
    }

    #[test]
    fn a_folder_that_is_to_come_is_on_the_file_system_of_its_parent() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let there = probe(folder.path()).expect("there");
        let to_come = probe(&folder.path().join("a/b/c")).expect("its parent is there");
        assert_eq!(there.device, to_come.device);
        assert!(there.free > 0);
    }
}
