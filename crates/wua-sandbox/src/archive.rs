//! A signed package archive in a directory: what a mirror of Debian would serve, with two suites. Publishing replaces
//! a suite whole, as real archives forget the versions before. Not atomic: nobody reads while a test publishes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::deb::gzip;
use crate::error::SandboxError;
use crate::index;
use crate::package::Package;
use crate::signing::ArchiveKey;

/// A suite of a practice archive.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Suite {
    /// Ordinary updates.
    Practice,
    /// Security updates: the label and the archive's name both contain "security".
    Security,
}

impl Suite {
    /// Both suites.
    pub const ALL: [Self; 2] = [Self::Practice, Self::Security];

    /// The name in `dists/`, which is also the suite's and the code name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Practice => "practice",
            Self::Security => "practice-security",
        }
    }

    /// The label in the `Release` file.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Practice => "Practice",
            Self::Security => "Practice-Security",
        }
    }
}

/// The signed archive of a practice machine.
#[derive(Clone, Debug)]
pub struct Archive {
    root: PathBuf,
    architecture: String,
    key: ArchiveKey,
}

impl Archive {
    pub(crate) fn new(root: PathBuf, architecture: String, key: ArchiveKey) -> Self {
        Self {
            root,
            architecture,
            key,
        }
    }

    /// The directory with `dists/` and `pool/`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Replaces the content of a suite: archives, indexes and signed `Release`. What was published before is gone.
    ///
    /// # Errors
    ///
    /// A package cannot be built, a file not be written, or signing fails; the suite may then be half-written.
    pub fn publish(&self, suite: Suite, packages: &[Package]) -> Result<(), SandboxError> {
        let pool = self.pool(suite);
        create(&self.root.join(&pool))?;
        let mut paragraphs = String::new();
        let mut kept = BTreeSet::new();
        for package in packages {
            let name = package.file_name();
            let deb = package.to_deb()?;
            paragraphs.push_str(&index::paragraph(package, &format!("{pool}/{name}"), &deb));
            write(&self.root.join(&pool).join(&name), &deb)?;
            kept.insert(name);
        }
        remove_others(&self.root.join(&pool), &kept)?;
        self.write_indexes(suite, &paragraphs)
    }

    /// The file of a package published in a suite.
    ///
    /// # Errors
    ///
    /// [`SandboxError::File`] if the suite has no such package.
    pub fn package_file(&self, suite: Suite, name: &str) -> Result<PathBuf, SandboxError> {
        let pool = self.root.join(self.pool(suite));
        let found = list(&pool)?
            .into_iter()
            .find(|file| file.split('_').next() == Some(name));
        found
            .map(|file| pool.join(file))
            .ok_or_else(|| SandboxError::file("find", &pool.join(name))(std::io::ErrorKind::NotFound.into()))
    }

    /// Alters one byte of a published archive, so it no longer has the sum that the index promises.
    ///
    /// # Errors
    ///
    /// [`SandboxError::File`] if the suite has no such package, or the file cannot be written.
    pub fn corrupt_package(&self, suite: Suite, name: &str) -> Result<(), SandboxError> {
        let path = self.package_file(suite, name)?;
        let mut bytes = fs::read(&path).map_err(SandboxError::file("read", &path))?;
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        write(&path, &bytes)
    }

    /// Alters one line of a suite's `InRelease`, so its signature is no longer good.
    ///
    /// # Errors
    ///
    /// [`SandboxError::File`] if the suite was never published, or the file cannot be written.
    pub fn corrupt_release(&self, suite: Suite) -> Result<(), SandboxError> {
        let path = self.dists(suite).join("InRelease");
        let text = fs::read_to_string(&path).map_err(SandboxError::file("read", &path))?;
        write(
            &path,
            text.replacen("Components: main", "Components: main contrib", 1)
                .as_bytes(),
        )
    }

    fn write_indexes(&self, suite: Suite, paragraphs: &str) -> Result<(), SandboxError> {
        let below = format!("main/binary-{}", self.architecture);
        let dists = self.dists(suite);
        create(&dists.join(&below))?;
        let compressed = gzip(paragraphs.as_bytes());
        let indexes = [
            (format!("{below}/Packages"), paragraphs.as_bytes()),
            (format!("{below}/Packages.gz"), &compressed[..]),
        ];
        for (path, bytes) in &indexes {
            write(&dists.join(path), bytes)?;
        }
        let release = index::release(
            suite.name(),
            suite.label(),
            &self.architecture,
            Timestamp::now(),
            &indexes,
        );
        write(&dists.join("Release"), format!("{release}\n").as_bytes())?;
        write(
            &dists.join("InRelease"),
            self.key.clear_sign(&release)?.as_bytes(),
        )
    }

    fn dists(&self, suite: Suite) -> PathBuf {
        self.root.join("dists").join(suite.name())
    }

    /// Relative to the archive's root, as the index names it. A pool for each suite, so one can be replaced alone.
    fn pool(&self, suite: Suite) -> String {
        format!("pool/{}", suite.name())
    }
}

fn create(directory: &Path) -> Result<(), SandboxError> {
    fs::create_dir_all(directory).map_err(SandboxError::file("create", directory))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SandboxError> {
    fs::write(path, bytes).map_err(SandboxError::file("write", path))
}

fn list(directory: &Path) -> Result<Vec<String>, SandboxError> {
    let read = || {
        fs::read_dir(directory)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<std::io::Result<Vec<_>>>()
    };
    let names = read().map_err(SandboxError::file("list", directory))?;
    Ok(names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .collect())
}

fn remove_others(directory: &Path, kept: &BTreeSet<String>) -> Result<(), SandboxError> {
    for name in list(directory)?.into_iter().filter(|name| !kept.contains(name)) {
        let path = directory.join(name);
        fs::remove_file(&path).map_err(SandboxError::file("remove", &path))?;
    }
    Ok(())
}
