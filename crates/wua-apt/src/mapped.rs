//! Files seen through a memory mapping: the one module of this crate with `unsafe`.
//!
//! Reading 50 MB of indexes into fresh buffers costs more than parsing them, so plain files are mapped.
//! Only regular files up to [`MAX_FILE`] are accepted. Nothing here writes.

#![expect(
    unsafe_code,
    reason = "a memory mapping has no safe constructor; the contract is kept in this file"
)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};

/// The largest file that is mapped, in bytes: no index or status file comes near it.
pub(crate) const MAX_FILE: u64 = 4 << 30;

/// The bytes of a file, as they were when it was opened.
#[derive(Debug)]
pub(crate) struct Mapped {
    // An empty file cannot be mapped.
    map: Option<Mmap>,
}

impl Mapped {
    /// Maps the regular file at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::of(&File::open(path)?)
    }

    /// Maps an open regular file.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if metadata.len() > MAX_FILE {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the file is larger than 4 GiB",
            ));
        }
        if metadata.len() == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: the mapping is private and read-only, and it is only handed out as `&[u8]`. Its bytes could
        // change only if somebody wrote to, or truncated, this very inode. The files read here belong to APT and
        // dpkg, which replace them by rename, so an open mapping keeps the old inode with its old bytes; on a
        // foreign tree a writer could at worst change text that is checked as hostile anyway, or end this process.
        let map = unsafe { MmapOptions::new().map(file)? };
        Ok(Self { map: Some(map) })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_outlives_the_replacement_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        std::fs::write(&path, "old").unwrap();
        let mapped = Mapped::open(&path).unwrap();
        std::fs::write(folder.path().join("new"), "new and longer").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(&*mapped, b"old");
    }

    #[test]
    fn an_empty_file_is_empty_and_a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        std::fs::write(&path, "").unwrap();
        assert!(Mapped::open(&path).unwrap().is_empty());
        assert!(Mapped::open(folder.path()).is_err());
    }
}
