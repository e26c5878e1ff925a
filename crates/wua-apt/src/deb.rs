//! Looking into a Debian archive file: its control paragraph, and single small files of its data.
//!
//! Streams through the archive and keeps only what is asked for, within bounds; nothing is unpacked to the disk. The
//! archive may be anybody's bytes: whoever needs trust compares the hash first.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::stanza::Stanza;

/// The most that is unpacked of the control part, in bytes.
const MAX_CONTROL: u64 = 16 << 20;
/// The largest control paragraph, in bytes.
const MAX_PARAGRAPH: u64 = 1 << 20;
/// Decoders may ask for this much memory at most, in bytes; `dpkg-deb` itself makes nothing that needs more.
const MAX_DECODER_MEMORY: u64 = 256 << 20;

/// Why an archive cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DebError {
    #[error("cannot read the archive `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is no Debian archive: {why}", path.display())]
    NotADeb { path: PathBuf, why: &'static str },
}

/// The control paragraph of an archive: who it is, and what it needs.
#[derive(Clone, Debug)]
pub(crate) struct Control(Vec<u8>);

impl Control {
    /// Reads it from the archive at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, DebError> {
        let mut paragraph = None;
        walk(path, "control.tar", MAX_CONTROL, |name, entry| {
            if name == Path::new("control") {
                let mut bytes = Vec::new();
                entry.take(MAX_PARAGRAPH).read_to_end(&mut bytes)?;
                paragraph = Some(bytes);
            }
            Ok(paragraph.is_none())
        })?;
        paragraph.map(Self).ok_or(DebError::NotADeb {
            path: path.into(),
            why: "it has no control file",
        })
    }

    /// Its fields.
    pub(crate) fn stanza(&self) -> Stanza<'_> {
        Stanza::new(&self.0)
    }

    /// Whether this is the archive of exactly that package.
    pub(crate) fn is(&self, name: &str, architecture: &str, version: &str) -> bool {
        [
            ("Package", name),
            ("Architecture", architecture),
            ("Version", version),
        ]
        .iter()
        .all(|(field, expected)| self.stanza().field(field) == Some(expected.as_bytes()))
    }
}

/// The first file of the archive's data that `wanted` accepts (paths relative to the root), if it comes within the
/// first `most` unpacked bytes; at most `largest` bytes of it.
pub(crate) fn data_file(
    path: &Path,
    wanted: impl Fn(&Path) -> bool,
    most: u64,
    largest: u64,
) -> Result<Option<Vec<u8>>, DebError> {
    let mut found = None;
    walk(path, "data.tar", most, |name, entry| {
        if wanted(name) {
            let mut bytes = Vec::new();
            entry.take(largest).read_to_end(&mut bytes)?;
            found = Some(bytes);
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

/// Calls `visit` for each regular file of one part of the archive, until it answers false or `most` bytes are
/// unpacked.
fn walk(
    path: &Path,
    part: &'static str,
    most: u64,
    mut visit: impl FnMut(&Path, &mut dyn Read) -> io::Result<bool>,
) -> Result<(), DebError> {
    let failed = |source| DebError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut members = ar::Archive::new(BufReader::with_capacity(128 << 10, file));
    while let Some(member) = members.next_entry() {
        let member = member.map_err(failed)?;
        let name = String::from_utf8_lossy(member.header().identifier())
            .trim_end_matches('/')
            .to_owned();
        let Some(extension) = name.strip_prefix(part) else {
            continue;
        };
        let unpacked = unpack(extension, BufReader::with_capacity(128 << 10, member)).map_err(failed)?;
        let mut budget = unpacked.take(most);
        let mut files = tar::Archive::new(&mut budget);
        for entry in files.entries().map_err(failed)? {
            let mut entry = match entry {
                Ok(entry) => entry,
                // The end of the budget looks like a cut archive; whoever asked gets what came before.
                Err(_) => break,
            };
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let Ok(name) = entry
                .path()
                .map(|name| name.strip_prefix("./").unwrap_or(&name).to_path_buf())
            else {
                continue;
            };
            if !visit(&name, &mut entry).map_err(failed)? {
                return Ok(());
            }
        }
        return Ok(());
    }
    Err(DebError::NotADeb {
        path: path.into(),
        why: "a part is missing",
    })
}

fn unpack<'a>(extension: &str, packed: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match extension {
        "" => Box::new(packed),
        ".gz" => Box::new(flate2::bufread::GzDecoder::new(packed)),
        ".xz" => {
            let stream = liblzma::stream::Stream::new_stream_decoder(MAX_DECODER_MEMORY, 0)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(packed, stream))
        }
        ".zst" => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this form of compression is not supported",
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive whose parts are plain tars.
    fn archive(folder: &Path, control: &str, files: &[(&str, &str)]) -> PathBuf {
        let tar = |files: &[(&str, &str)]| {
            let mut builder = tar::Builder::new(Vec::new());
            for (name, text) in files {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                header.set_mode(0o644);
                builder
                    .append_data(&mut header, name, text.as_bytes())
                    .expect("in memory");
            }
            builder.into_inner().expect("in memory")
        };
        let path = folder.join("x.deb");
        let mut members = ar::Builder::new(File::create(&path).expect("file"));
        let parts = [
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar", tar(&[("./control", control)])),
        ];
        for (name, bytes) in parts.into_iter().chain([("data.tar", tar(files))]) {
            let header = ar::Header::new(name.into(), bytes.len() as u64);
            members.append(&header, &*bytes).expect("written");
        }
        path
    }

    #[test]
    fn the_control_paragraph_says_who_the_archive_is() {
        let folder = tempfile::tempdir().expect("folder");
        let path = archive(
            folder.path(),
            "Package: a\nVersion: 1:2-3\nArchitecture: all\nDepends: b\n",
            &[],
        );
        let control = Control::read(&path).expect("readable");
        assert!(control.is("a", "all", "1:2-3") && !control.is("a", "amd64", "1:2-3"));
        assert_eq!(control.stanza().field("Depends"), Some(&b"b"[..]));
    }

    #[test]
    fn a_file_is_found_within_the_budget_only() {
        let folder = tempfile::tempdir().expect("folder");
        let path = archive(
            folder.path(),
            "",
            &[("./usr/big", &"x".repeat(4096)), ("./usr/small", "here")],
        );
        let find = |most, largest| {
            data_file(&path, |name| name == Path::new("usr/small"), most, largest).expect("readable")
        };
        assert_eq!(find(1 << 20, 100).as_deref(), Some(&b"here"[..]));
        assert_eq!(find(1 << 20, 2).as_deref(), Some(&b"he"[..]));
        assert_eq!(find(1024, 100), None);
    }

    #[test]
    fn other_bytes_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.deb");
        for bytes in [&b"no archive at all"[..], b"!<arch>\n", b""] {
            std::fs::write(&path, bytes).expect("file");
            assert!(Control::read(&path).is_err());
        }
    }
}
