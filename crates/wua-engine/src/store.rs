//! The content store: archives by SHA-256, so that an update can be applied without a network and taken back when the
//! archive has long forgotten the old version.
//!
//! Files lie under `FOLDER/sha256/AB/ABCD….deb`, readable by all, written by the owner alone; what was packed again from
//! installed files may hold secrets and is the owner's to read, too. Nothing enters without its hash being computed here, from
//! the bytes that are written. A label file beside each says what it is; labels are what undo asks
//! for (`deb NAME ARCHITECTURE VERSION`).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::files::make_folder;

/// How content came into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Fetched, and equal to the hash in a signed index.
    Downloaded,
    /// Kept from the package manager's cache; the publisher's bytes as far as can be told.
    Saved,
    /// Packed again from installed files: same content and scripts, no publisher's signature.
    Repacked,
}

/// What is known about one piece of content.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Content {
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// What it is: `deb NAME ARCHITECTURE VERSION`.
    pub label: String,
    /// Bytes.
    pub size: u64,
    /// How it came here.
    pub origin: Origin,
    /// When it was last put here, though it may have been here before.
    #[serde(default)]
    pub stored: Timestamp,
}

/// Why content could not be put in or taken out.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk said no.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The bytes are not those that were announced.
    #[error("`{}` has the SHA-256 {found}, not {expected}", path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// What was announced.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A text that is no hash was used as one.
    #[error("`{0}` is not a SHA-256 in lower-case hex")]
    NotAHash(String),
}

impl StoreError {
    /// The result code.
    pub fn code(&self) -> wua_types::HResult {
        match self {
            Self::Io { source, .. } => io_code(source),
            Self::WrongHash { .. } => wua_types::HResult::WU_E_DM_INCORRECTFILEHASH,
            Self::NotAHash(_) => wua_types::HResult::E_INVALIDARG,
        }
    }
}

/// The result code of an error of the operating system.
pub fn io_code(error: &io::Error) -> wua_types::HResult {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => wua_types::HResult::ERROR_DISK_FULL,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            wua_types::HResult::E_ACCESSDENIED
        }
        _ => wua_types::HResult::WU_E_UNEXPECTED,
    }
}

/// The content store of one machine.
#[derive(Clone, Debug)]
pub struct ContentStore {
    folder: PathBuf,
}

impl ContentStore {
    /// The store in `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where the store lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where content with this hash lies or would lie.
    ///
    /// # Errors
    /// [`StoreError::NotAHash`]: hashes come from indexes and become paths here.
    pub fn path(&self, sha256: &str) -> Result<PathBuf, StoreError> {
        let is_hash = sha256.len() == 64
            && sha256
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hash {
            return Err(StoreError::NotAHash(sha256.into()));
        }
        Ok(self
            .folder
            .join("sha256")
            .join(&sha256[..2])
            .join(format!("{sha256}.deb")))
    }

    /// Whether content with this hash and size is here. Looks at the name only; see [`verify`](Self::verify).
    pub fn has(&self, sha256: &str) -> bool {
        self.path(sha256).is_ok_and(|path| path.is_file())
    }

    /// Reads content again and compares its hash with its name.
    ///
    /// # Errors
    /// It is not there, cannot be read, or was changed since it was stored ([`StoreError::WrongHash`]).
    pub fn verify(&self, sha256: &str) -> Result<PathBuf, StoreError> {
        let path = self.path(sha256)?;
        let mut file = File::open(&path).map_err(io_error("open", &path))?;
        let found = copy_hashing(&mut file, &mut io::sink())
            .map_err(io_error("read", &path))?
            .0;
        if found == sha256 {
            Ok(path)
        } else {
            Err(StoreError::WrongHash {
                path,
                expected: sha256.into(),
                found,
            })
        }
    }

    /// Copies `file` into the store while hashing it, durably. `expected` is the hash it must
    /// have, where one was announced. Content that is already here is written anew, which also heals it.
    ///
    /// # Errors
    /// The file cannot be read or written, or has another hash; then nothing is stored.
    pub fn put(
        &self,
        file: &Path,
        expected: Option<&str>,
        label: &str,
        origin: Origin,
    ) -> Result<Content, StoreError> {
        let incoming = self.incoming()?;
        crate::seam::at("store").map_err(io_error("write into", &incoming))?;
        let mut from = File::open(file).map_err(io_error("open", file))?;
        let mut to = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&incoming)
            .map_err(io_error("create a file in", &incoming))?;
        let (found, size) = copy_hashing(&mut from, to.as_file_mut()).map_err(io_error("copy", file))?;
        if let Some(expected) = expected
            && expected != found
        {
            return Err(StoreError::WrongHash {
                path: file.into(),
                expected: expected.into(),
                found,
            });
        }
        let content = Content {
            sha256: found,
            label: label.into(),
            size,
            origin,
            stored: Timestamp::now(),
        };
        let path = self.path(&content.sha256)?;
        let folder = path.parent().expect("a content path has a folder");
        make_folder(folder).map_err(io_error("create", folder))?;
        // What was packed again from this machine's files holds its configuration, so it is its owner's alone.
        let mode = if origin == Origin::Repacked { 0o600 } else { 0o644 };
        set_mode(to.path(), mode)?;
        to.as_file()
            .sync_all()
            .map_err(io_error("write out", to.path()))?;
        to.persist(&path)
            .map_err(|error| io_error("create", &path)(error.error))?;
        sync_folder(folder)?;
        crate::seam::at("store-label").map_err(io_error("label", &path))?;
        self.write_label(&content)?;
        Ok(content)
    }

    /// Everything that is here, in no particular order. Damaged label files are passed over: the content they name can be
    /// fetched again.
    ///
    /// # Errors
    /// The store cannot be read; a store that does not exist yet is empty.
    pub fn list(&self) -> Result<Vec<Content>, StoreError> {
        let folder = self.folder.join("labels");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error("read", &folder)(error)),
        };
        let mut contents = Vec::new();
        for entry in entries {
            let path = entry.map_err(io_error("read", &folder))?.path();
            let Ok(text) = fs::read(&path) else { continue };
            let Ok(content) = serde_json::from_slice::<Content>(&text) else {
                continue;
            };
            if self.has(&content.sha256) {
                contents.push(content);
            }
        }
        Ok(contents)
    }

    /// The content with this label that is here; the publisher's own bytes before repacked ones.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn find(&self, label: &str) -> Result<Option<Content>, StoreError> {
        let found = self.list()?.into_iter().filter(|content| content.label == label);
        Ok(found.min_by_key(|content| content.origin == Origin::Repacked))
    }

    /// Removes content and what is known about it. Returns whether it was there.
    ///
    /// # Errors
    /// The disk said no.
    pub fn remove(&self, sha256: &str) -> Result<bool, StoreError> {
        let path = self.path(sha256)?;
        let label = self.label_path(sha256);
        let mut was_there = false;
        for file in [&label, &path] {
            match fs::remove_file(file) {
                Ok(()) => was_there = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("remove", file)(error)),
            }
        }
        Ok(was_there)
    }

    /// The folder for bytes that are not verified yet, made if need be. A handler may keep partial downloads in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn incoming(&self) -> Result<PathBuf, StoreError> {
        let folder = self.folder.join("incoming");
        make_folder(&folder).map_err(io_error("create", &folder))?;
        Ok(folder)
    }

    fn label_path(&self, sha256: &str) -> PathBuf {
        self.folder.join("labels").join(format!("{sha256}.json"))
    }

    fn write_label(&self, content: &Content) -> Result<(), StoreError> {
        let path = self.label_path(&content.sha256);
        let folder = path.parent().expect("a label path has a folder");
        make_folder(folder).map_err(io_error("create", folder))?;
        let mut file =
            tempfile::NamedTempFile::new_in(folder).map_err(io_error("create a file in", folder))?;
        let text = serde_json::to_vec(content).expect("plain values serialise");
        file.write_all(&text).map_err(io_error("write", &path))?;
        set_mode(file.path(), 0o644)?;
        file.as_file().sync_all().map_err(io_error("write out", &path))?;
        file.persist(&path)
            .map_err(|error| io_error("create", &path)(error.error))?;
        sync_folder(folder)
    }
}

/// A new name is on the disk only when its folder is.
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error("write out", folder))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io_error("set the mode of", path))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| StoreError::Io { action, path, source }
}

/// Copies all bytes and returns their SHA-256 and number.
fn copy_hashing(from: &mut impl Read, to: &mut impl Write) -> io::Result<(String, u64)> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    let mut size = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok((hex::encode(digest.finalize()), size)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        size += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, ContentStore, PathBuf) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("harbour.deb");
        fs::write(&file, b"abc").expect("file");
        let store = ContentStore::new(folder.path().join("store"));
        (folder, store, file)
    }

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn content_is_found_by_hash_and_by_label() {
        let (_folder, store, file) = store();
        let content = store
            .put(&file, Some(ABC), "deb harbour all 1.0", Origin::Downloaded)
            .expect("stored");
        assert_eq!((content.sha256.as_str(), content.size), (ABC, 3));
        assert!(store.has(ABC));
        assert_eq!(
            store.find("deb harbour all 1.0").expect("readable"),
            Some(content)
        );
        assert!(store.remove(ABC).expect("removed") && !store.has(ABC));
    }

    #[test]
    fn content_whose_label_is_lost_can_be_removed() {
        let (_folder, store, file) = store();
        store
            .put(&file, None, "deb harbour all 1.0", Origin::Saved)
            .expect("stored");
        fs::remove_file(store.label_path(ABC)).expect("the label was there");
        assert!(store.remove(ABC).expect("removed") && !store.has(ABC));
        assert!(!store.remove(ABC).expect("nothing left"));
    }

    #[test]
    fn bytes_with_another_hash_never_enter() {
        let (_folder, store, file) = store();
        let wrong = "00".repeat(32);
        let error = store
            .put(&file, Some(&wrong), "deb harbour all 1.0", Origin::Downloaded)
            .expect_err("refused");
        assert!(matches!(error, StoreError::WrongHash { .. }), "{error}");
        assert!(store.list().expect("readable").is_empty());
    }

    #[test]
    fn content_changed_after_its_check_is_noticed() {
        let (_folder, store, file) = store();
        store
            .put(&file, None, "deb harbour all 1.0", Origin::Saved)
            .expect("stored");
        let path = store.path(ABC).expect("a hash");
        fs::write(path, b"abd").expect("changed");
        assert!(matches!(store.verify(ABC), Err(StoreError::WrongHash { .. })));
    }

    #[test]
    fn a_hash_that_is_a_path_is_refused() {
        let (_folder, store, _file) = store();
        let hostile = format!("../{}", "a".repeat(61));
        assert!(matches!(store.path(&hostile), Err(StoreError::NotAHash(_))));
    }
}
