//! Packing an installed package into an archive again, as dpkg-repack does, so that an update can be taken back when
//! no archive of the old version exists any more.
//!
//! Control data and maintainer scripts come from dpkg's database, files from the disk as they are now, configuration
//! files included; the publisher's signature is lost. Diversions are followed. Nothing is executed and nothing but the
//! target is written. Paths are resolved inside the tree, so a link in a foreign tree cannot lead outside of it.
//!
//! The archive may hold files that only root may read (a configuration file with a password): whoever stores it must
//! keep it from others.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use tar::{EntryType, Header};

use crate::dpkg::InstalledPackage;
use crate::tree::AptTree;

/// The files of dpkg's own directory that belong into the control part.
const CONTROL_FILES: [&str; 11] = [
    "preinst",
    "postinst",
    "prerm",
    "postrm",
    "config",
    "templates",
    "triggers",
    "shlibs",
    "symbols",
    "md5sums",
    "conffiles",
];
/// Fields that the database adds to the control paragraph of a package.
const DATABASE_FIELDS: [&str; 6] = [
    "Status",
    "Config-Version",
    "Conffiles",
    "Triggers-Pending",
    "Triggers-Awaited",
    "Auto-Installed",
];
/// Administrators leave these out on purpose (dpkg's `path-exclude`); their absence is no loss.
const EXPENDABLE: [&str; 6] = [
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/locale/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/gnome/help/",
];

/// Why a package cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepackError {
    #[error("the list of files of `{package}` is missing from dpkg's database")]
    NoList { package: String },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
    #[error("this kernel cannot resolve paths inside `{}`", root.display())]
    Confined { root: PathBuf, source: io::Error },
}

/// What was lost on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repacked {
    /// Files of the package that are not on the disk, documentation aside.
    pub(crate) missing: Vec<String>,
}

/// Packs `package` as it is on the disk into `target`; what has no name yet lies in the folder `scratch`.
pub(crate) fn repack(
    tree: &AptTree,
    package: &InstalledPackage,
    target: &mut File,
    scratch: &Path,
) -> Result<Repacked, RepackError> {
    let files = Files::of(tree, package)?;
    // Made first: an archive member needs its size in front.
    let mut data = tempfile::tempfile_in(scratch).map_err(RepackError::Write)?;
    let repacked = files.pack(&data)?;
    let control = control(tree, package, &repacked)?;
    let mut members = ar::Builder::new(target);
    let mut member = |name: &str, size: u64, content: &mut dyn Read| {
        let mut header = ar::Header::new(name.into(), size);
        header.set_mode(0o100_644);
        members.append(&header, content).map_err(RepackError::Write)
    };
    member("debian-binary", 4, &mut &b"2.0\n"[..])?;
    member("control.tar.gz", control.len() as u64, &mut &*control)?;
    let size = data.seek(io::SeekFrom::End(0)).map_err(RepackError::Write)?;
    data.rewind().map_err(RepackError::Write)?;
    member("data.tar.gz", size, &mut data)?;
    Ok(repacked)
}

fn control(tree: &AptTree, package: &InstalledPackage, repacked: &Repacked) -> Result<Vec<u8>, RepackError> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut paragraph = Vec::new();
    for field in package.stanza().fields().map_while(Result::ok) {
        let is_databases = |name: &&str| field.name.eq_ignore_ascii_case(name.as_bytes());
        if !DATABASE_FIELDS.iter().any(is_databases) {
            paragraph.extend_from_slice(field.name);
            paragraph.extend_from_slice(b": ");
            paragraph.extend_from_slice(field.value);
            paragraph.push(b'\n');
        }
    }
    let mut add = |name: &str, mode: u32, bytes: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        archive
            .append_data(&mut header, format!("./{name}"), bytes)
            .map_err(RepackError::Write)
    };
    add("control", 0o644, &paragraph)?;
    for name in CONTROL_FILES {
        let path = info_file(tree, package, name);
        let (bytes, mode) =
            match fs::read(&path).and_then(|bytes| Ok((bytes, fs::metadata(&path)?.mode() & 0o777))) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(RepackError::Read { path, source }),
            };
        let bytes = if name == "conffiles" {
            without_missing(&bytes, repacked)
        } else {
            bytes
        };
        add(name, mode, &bytes)?;
    }
    archive
        .into_inner()
        .and_then(GzEncoder::finish)
        .map_err(RepackError::Write)
}

/// A configuration file that the administrator removed must not be announced: dpkg would look for it in the archive.
fn without_missing(conffiles: &[u8], repacked: &Repacked) -> Vec<u8> {
    let text = String::from_utf8_lossy(conffiles);
    let is_there = |line: &&str| {
        !repacked
            .missing
            .iter()
            .any(|missing| line.trim() == format!("/{missing}"))
    };
    text.lines()
        .filter(is_there)
        .flat_map(|line| [line.as_bytes(), b"\n"].concat())
        .collect()
}

/// A file of dpkg's own directory; packages that can be there in several architectures have it in the name.
fn info_file(tree: &AptTree, package: &InstalledPackage, extension: &str) -> PathBuf {
    let folder = tree.path("var/lib/dpkg/info");
    let qualified = folder.join(format!("{}:{}.{extension}", package.name, package.architecture));
    if qualified.exists() {
        qualified
    } else {
        folder.join(format!("{}.{extension}", package.name))
    }
}

/// The files of a package, and where they really lie.
struct Files {
    root: Root,
    /// Paths relative to the root, as the package has them.
    paths: Vec<String>,
    /// Where others' diversions have put some of them.
    diverted: HashMap<String, String>,
    keep_owners: bool,
}

impl Files {
    fn of(tree: &AptTree, package: &InstalledPackage) -> Result<Self, RepackError> {
        let path = info_file(tree, package, "list");
        let list = match fs::read(&path) {
            Ok(list) => list,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RepackError::NoList {
                    package: package.name.clone(),
                });
            }
            Err(source) => return Err(RepackError::Read { path, source }),
        };
        let list = String::from_utf8_lossy(&list);
        let paths = list.lines().filter_map(inside).map(str::to_owned).collect();
        Ok(Self {
            root: Root::open(tree.root())?,
            paths,
            diverted: diverted(tree, &package.name),
            keep_owners: rustix::process::geteuid().is_root(),
        })
    }

    /// Packs everything into a compressed tar.
    fn pack(&self, target: &File) -> Result<Repacked, RepackError> {
        let mut archive = tar::Builder::new(GzEncoder::new(target, Compression::fast()));
        let mut repacked = Repacked::default();
        let mut first_names = HashMap::new();
        let mut header = self.header(EntryType::Directory, None);
        header.set_mode(0o755);
        archive
            .append_data(&mut header, "./", io::empty())
            .map_err(RepackError::Write)?;
        for path in &self.paths {
            let real = self.diverted.get(path).unwrap_or(path);
            let found = match self.root.look(real) {
                Ok(found) => found,
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        || error.kind() == io::ErrorKind::NotADirectory =>
                {
                    if !EXPENDABLE.iter().any(|folder| path.starts_with(folder)) {
                        repacked.missing.push(path.clone());
                    }
                    continue;
                }
                Err(source) => {
                    return Err(RepackError::Read {
                        path: real.into(),
                        source,
                    });
                }
            };
            self.append(&mut archive, path, found, &mut first_names)
                .map_err(|source| RepackError::Read {
                    path: real.into(),
                    source,
                })?;
        }
        archive
            .into_inner()
            .and_then(GzEncoder::finish)
            .map_err(RepackError::Write)?;
        Ok(repacked)
    }

    fn append<W: Write>(
        &self,
        archive: &mut tar::Builder<W>,
        path: &str,
        found: Seen,
        first_names: &mut HashMap<(u64, u64), String>,
    ) -> io::Result<()> {
        let name = format!("./{path}");
        let metadata = &found.metadata;
        let kind = metadata.file_type();
        if kind.is_dir() {
            let mut header = self.header(EntryType::Directory, Some(metadata));
            return archive.append_data(&mut header, format!("{name}/"), io::empty());
        }
        if let Some(link) = &found.link {
            let mut header = self.header(EntryType::Symlink, Some(metadata));
            return archive.append_link(&mut header, name, link);
        }
        if kind.is_file() {
            if metadata.nlink() > 1 {
                let identity = (metadata.dev(), metadata.ino());
                if let Some(first) = first_names.get(&identity) {
                    let mut header = self.header(EntryType::Link, Some(metadata));
                    return archive.append_link(&mut header, name, first);
                }
                first_names.insert(identity, name.clone());
            }
            let mut header = self.header(EntryType::Regular, Some(metadata));
            header.set_size(metadata.len());
            // A file that shrinks meanwhile makes a wrong tar, one that grows is cut.
            let mut content = CheckedLength {
                file: found.file.take(metadata.len()),
                missing: metadata.len(),
            };
            return archive.append_data(&mut header, name, &mut content);
        }
        let entry_type = match () {
            () if kind.is_fifo() => EntryType::Fifo,
            () if kind.is_char_device() => EntryType::Char,
            () if kind.is_block_device() => EntryType::Block,
            // Sockets are made by running programs; no archive has them.
            () => return Ok(()),
        };
        let mut header = self.header(entry_type, Some(metadata));
        if entry_type != EntryType::Fifo {
            header.set_device_major(rustix::fs::major(metadata.rdev()))?;
            header.set_device_minor(rustix::fs::minor(metadata.rdev()))?;
        }
        archive.append_data(&mut header, name, io::empty())
    }

    fn header(&self, entry_type: EntryType, metadata: Option<&fs::Metadata>) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(entry_type);
        header.set_size(0);
        let own = metadata.filter(|_| self.keep_owners);
        header.set_uid(own.map_or(0, |metadata| metadata.uid().into()));
        header.set_gid(own.map_or(0, |metadata| metadata.gid().into()));
        if let Some(metadata) = metadata {
            header.set_mode(metadata.mode() & 0o7777);
            header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        }
        header
    }
}

/// A file as it was found.
struct Seen {
    file: File,
    metadata: fs::Metadata,
    /// Where a symbolic link leads.
    link: Option<PathBuf>,
}

/// The root of a tree, as a place that paths cannot leave.
struct Root {
    folder: File,
    path: PathBuf,
}

impl Root {
    fn open(path: &Path) -> Result<Self, RepackError> {
        let folder = File::open(path).map_err(|source| RepackError::Read {
            path: path.into(),
            source,
        })?;
        let root = Self {
            folder,
            path: path.into(),
        };
        match root.resolve(".", OFlags::PATH) {
            Ok(_) => Ok(root),
            Err(source) => Err(RepackError::Confined {
                root: root.path,
                source,
            }),
        }
    }

    /// Opens the last part of `path` itself, links on the way being followed inside the root.
    fn resolve(&self, path: &str, flags: OFlags) -> io::Result<File> {
        let confined = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat2(
            &self.folder,
            path,
            flags,
            Mode::empty(),
            confined,
        )?))
    }

    fn look(&self, path: &str) -> io::Result<Seen> {
        let file = self.resolve(path, OFlags::PATH)?;
        let metadata = file.metadata()?;
        if metadata.is_symlink() {
            let link = rustix::fs::readlinkat(&file, "", Vec::new())?;
            let link = Some(PathBuf::from(OsStr::from_bytes(link.as_bytes())));
            return Ok(Seen { file, metadata, link });
        }
        if !metadata.is_file() {
            return Ok(Seen {
                file,
                metadata,
                link: None,
            });
        }
        // Without blocking: a pipe may have taken the file's place since.
        let file = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let metadata = file.metadata()?;
        Ok(Seen {
            file,
            metadata,
            link: None,
        })
    }
}

/// Gives an error where a file ends before its announced length.
struct CheckedLength {
    file: io::Take<File>,
    missing: u64,
}

impl Read for CheckedLength {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.missing -= read as u64;
        if read == 0 && self.missing > 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it became shorter while it was packed",
            ));
        }
        Ok(read)
    }
}

/// A line of a list of files as a path relative to the root; none for the root itself.
fn inside(line: &str) -> Option<&str> {
    let path = line.trim_end_matches('/').strip_prefix('/')?;
    let is_plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    is_plain.then_some(path)
}

/// Which paths of `package` others have moved aside: three lines each, path, new path, the package it is for.
fn diverted(tree: &AptTree, package: &str) -> HashMap<String, String> {
    let text = fs::read(tree.path("var/lib/dpkg/diversions")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let others = lines
        .as_chunks::<3>()
        .0
        .iter()
        .filter(|[_, _, owner]| *owner != package);
    others
        .filter_map(|[from, to, _]| Some((inside(from)?.to_owned(), inside(to)?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_the_root_are_packed() {
        assert_eq!(inside("/usr/bin/a b"), Some("usr/bin/a b"));
        for line in ["/.", "/", "", "relative", "/a/../b", "/a//b"] {
            assert_eq!(inside(line), None, "{line}");
        }
    }

    #[test]
    fn a_link_cannot_lead_out_of_the_tree() {
        let folder = tempfile::tempdir().expect("folder");
        let outside = tempfile::tempdir().expect("folder");
        fs::write(outside.path().join("secret"), "x").expect("file");
        std::os::unix::fs::symlink(outside.path(), folder.path().join("etc")).expect("link");
        let root = Root::open(folder.path()).expect("this kernel has openat2");
        let error = root.look("etc/secret").map(|_| ()).expect_err("outside");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(root.look("etc").expect("the link itself").link.is_some());
    }
}
