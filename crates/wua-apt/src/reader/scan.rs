//! The one pass over all index files: keeps the stanzas of the wanted packages, skips the rest.
//!
//! Some fifty megabytes are walked for a few hundred stanzas, so per stanza there is one search for its end and
//! one look at its name. Plain files are walked in place, in pieces; packed ones run through a small buffer, each in one go. Several
//! threads share this work. Damage is noted, not fatal: what can be read still counts.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use memchr::memmem;

use super::warning::ReadWarning;
use crate::compression::{self, Compression, Content};
use crate::mapped::Mapped;
use crate::stanza::{Stanza, Stanzas};

/// The longest stanza, in bytes; real ones have a few kilobytes.
const MAX_STANZA: usize = 4 << 20;
/// The largest unpacked index, in bytes: a small packed file must not keep us busy for hours.
const MAX_UNPACKED: u64 = 4 << 30;
/// How much of a plain file one thread takes in one go, in bytes.
const PIECE: usize = 4 << 20;
/// Where the buffer for packed files begins.
const FIRST_BUFFER: usize = 256 << 10;

/// A stanza that was kept.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Which stanza of the file, counted from 1.
    pub(super) number: usize,
    /// Where it begins in the unpacked text.
    pub(super) offset: u64,
    bytes: Box<[u8]>,
}

impl Found {
    pub(super) fn stanza(&self) -> Stanza<'_> {
        Stanza::new(&self.bytes)
    }

    /// The warning that this stanza is damaged.
    pub(super) fn damage(&self, path: &Path, why: &str) -> ReadWarning {
        damage(path, self.number, self.offset, self.stanza(), why)
    }
}

/// What was kept of one file, and what was wrong with it first.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) found: Vec<Found>,
    pub(super) warning: Option<ReadWarning>,
    /// How many stanzas there are.
    count: usize,
}

/// Scans `files` and keeps what `wanted` says by the package's name; the answers are in the order of the files.
pub(super) fn scan<P, W>(files: &[P], wanted: W) -> Vec<Scanned>
where
    P: AsRef<Path> + Sync,
    W: Fn(&[u8]) -> bool + Sync,
{
    let opened: Vec<_> = files.iter().map(|path| Opened::of(path.as_ref())).collect();
    let pieces: Vec<Piece<'_>> = opened.iter().enumerate().flat_map(Piece::all_of).collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(number) else { return };
            let scanned = piece.scan(files[piece.file].as_ref(), &wanted);
            results
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((number, scanned));
        }
    };
    let helpers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(pieces.len())
        .saturating_sub(1);
    thread::scope(|scope| {
        for _ in 0..helpers {
            // Where there is no thread to be had, this one does all.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    let mut all: Vec<Scanned> = files.iter().map(|_| Scanned::default()).collect();
    for (number, scanned) in results {
        all[pieces[number].file].append(scanned);
    }
    all
}

/// A file as it lies there.
enum Opened {
    Mapped(Mapped),
    /// To be unpacked, by one thread.
    Packed,
    Failed(io::Error),
}

impl Opened {
    fn of(path: &Path) -> Self {
        if Compression::of(path) != Compression::Plain {
            return Self::Packed;
        }
        Mapped::open(path).map_or_else(Self::Failed, Self::Mapped)
    }
}

/// What one thread scans in one go: a file, or a part of a plain one.
struct Piece<'a> {
    file: usize,
    what: What<'a>,
}

enum What<'a> {
    /// The stanzas that begin in a range of the text.
    Part(&'a [u8], Range<usize>),
    Packed,
    Failed(&'a io::Error),
}

impl<'a> Piece<'a> {
    fn all_of((file, opened): (usize, &'a Opened)) -> Vec<Self> {
        let piece = |what| Self { file, what };
        match opened {
            Opened::Mapped(text) => (0..text.len())
                .step_by(PIECE)
                .map(|start| piece(What::Part(text, start..start + PIECE)))
                .collect(),
            Opened::Packed => vec![piece(What::Packed)],
            Opened::Failed(error) => vec![piece(What::Failed(error))],
        }
    }

    fn scan(&self, path: &Path, wanted: &impl Fn(&[u8]) -> bool) -> Scanned {
        let mut walk = Walk {
            path,
            wanted,
            scanned: Scanned::default(),
        };
        let outcome = match &self.what {
            What::Part(text, range) => {
                let (start, end) = (border(text, range.start), border(text, range.end));
                walk.stanzas(start as u64, &text[start..end]);
                Ok(())
            }
            What::Packed => compression::open(path).and_then(|content| match content {
                Content::Mapped(text) => {
                    walk.stanzas(0, &text);
                    Ok(())
                }
                Content::Stream(stream) => walk.stream(stream),
            }),
            What::Failed(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        if let Err(error) = outcome {
            walk.scanned.warning = Some(ReadWarning::UnreadableIndex {
                file: path.to_owned(),
                why: error.to_string(),
            });
        }
        walk.scanned
    }
}

/// The first place from `place` on where a stanza may begin: the whole text has its first there, else one follows an empty line.
fn border(text: &[u8], place: usize) -> usize {
    match place {
        0 => 0,
        // The empty line may begin right before.
        _ => text
            .get(place - 1..)
            .and_then(|rest| memmem::find(rest, b"\n\n"))
            .map_or(text.len(), |end| place + end),
    }
}

impl Scanned {
    /// Adds what was found in the text that follows.
    fn append(&mut self, next: Self) {
        let shift = |mut found: Found| {
            found.number += self.count;
            found
        };
        self.found.extend(next.found.into_iter().map(shift));
        if self.warning.is_none() {
            self.warning = next.warning.map(|warning| warning.shifted(self.count));
        }
        self.count += next.count;
    }
}

struct Walk<'a, W> {
    path: &'a Path,
    wanted: &'a W,
    scanned: Scanned,
}

impl<W: Fn(&[u8]) -> bool> Walk<'_, W> {
    /// Looks at every stanza of `bytes`, which begin at `base` of the whole text.
    fn stanzas(&mut self, base: u64, bytes: &[u8]) {
        for (offset, stanza) in Stanzas::new(bytes) {
            self.scanned.count += 1;
            let offset = base + offset as u64;
            match stanza.package() {
                Some(name) if !(self.wanted)(name) => {}
                Some(_) if stanza.bytes().len() > MAX_STANZA => self.note(offset, stanza, "it is too long"),
                Some(_) => {
                    let bytes = stanza.bytes().into();
                    self.scanned.found.push(Found {
                        number: self.scanned.count,
                        offset,
                        bytes,
                    });
                }
                None => self.note(offset, stanza, "it has no field `Package`"),
            }
        }
    }

    fn stream(&mut self, mut stream: impl Read) -> io::Result<()> {
        let mut buffer = vec![0; FIRST_BUFFER];
        let (mut base, mut filled) = (0_u64, 0_usize);
        loop {
            if filled == buffer.len() {
                if filled >= MAX_STANZA {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a stanza is too long"));
                }
                buffer.resize(filled * 2, 0);
            }
            let read = match stream.read(&mut buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            filled += read;
            if base + filled as u64 > MAX_UNPACKED {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    "it unpacks to more than 4 GiB",
                ));
            }
            // Up to the last whole stanza; at the end of the stream, everything.
            let ready = match read {
                0 => filled,
                _ => memmem::rfind(&buffer[..filled], b"\n\n").map_or(0, |end| end + 1),
            };
            self.stanzas(base, &buffer[..ready]);
            if read == 0 {
                return Ok(());
            }
            buffer.copy_within(ready..filled, 0);
            base += ready as u64;
            filled -= ready;
        }
    }

    fn note(&mut self, offset: u64, stanza: Stanza<'_>, why: &str) {
        if self.scanned.warning.is_none() {
            self.scanned.warning = Some(damage(self.path, self.scanned.count, offset, stanza, why));
        }
    }
}

fn damage(path: &Path, number: usize, offset: u64, stanza: Stanza<'_>, why: &str) -> ReadWarning {
    let package = stanza
        .package()
        .map_or("unknown".into(), String::from_utf8_lossy)
        .into_owned();
    ReadWarning::DamagedIndex {
        file: path.to_owned(),
        number,
        offset,
        package,
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn index(count: usize, padding: usize) -> String {
        let description = "x".repeat(padding);
        (0..count)
            .map(|i| format!("Package: p{i}\nVersion: {i}\nDescription: {description}\n\n"))
            .collect()
    }

    fn names(found: &[Found]) -> Vec<String> {
        found
            .iter()
            .map(|found| found.stanza().text("Package").unwrap().into_owned())
            .collect()
    }

    #[test]
    fn packed_and_plain_files_give_the_same_stanzas_at_the_same_places() {
        let folder = tempfile::tempdir().unwrap();
        // More than one buffer, with stanzas across its borders.
        let text = index(3000, 200);
        let plain = folder.path().join("Packages");
        std::fs::write(&plain, &text).unwrap();
        let packed = folder.path().join("Packages.lz4");
        let mut encoder = lz4_flex::frame::FrameEncoder::new(std::fs::File::create(&packed).unwrap());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();

        let scanned = scan(&[plain, packed], |name| name.ends_with(b"77"));
        assert!(
            scanned.iter().all(|scanned| scanned.warning.is_none()),
            "{scanned:?}"
        );
        let (first, second) = (&scanned[0].found, &scanned[1].found);
        assert_eq!(names(first).len(), 30);
        assert_eq!(names(first), names(second));
        assert!(
            first
                .iter()
                .zip(second)
                .all(|(a, b)| (a.offset, a.number) == (b.offset, b.number))
        );
        assert!(
            first
                .iter()
                .all(|found| text[found.offset as usize..].starts_with("Package: p"))
        );
    }

    #[test]
    fn damage_is_noted_once_and_the_rest_still_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Packages");
        std::fs::write(&path, "Package: a\n\nVersion: 1\n\nVersion: 2\n\nPackage: b\n").unwrap();
        let scanned = &scan(&[&path], |_| true)[0];
        assert_eq!(names(&scanned.found), ["a", "b"]);
        let place = match scanned.warning {
            Some(ReadWarning::DamagedIndex { number, offset, .. }) => (number, offset),
            _ => panic!("{scanned:?}"),
        };
        assert_eq!(place, (2, 12));
    }

    #[test]
    fn a_cut_file_gives_what_it_has_and_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Packages.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(index(3000, 100).as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let scanned = &scan(&[path], |name| name == b"p1")[0];
        assert_eq!(names(&scanned.found), ["p1"]);
        assert!(
            matches!(scanned.warning, Some(ReadWarning::UnreadableIndex { .. })),
            "{scanned:?}"
        );
    }

    #[test]
    fn an_endless_stanza_is_given_up() {
        let mut walk = Walk {
            path: Path::new("x"),
            wanted: &|_: &[u8]| true,
            scanned: Scanned::default(),
        };
        let error = walk.stream(io::repeat(b'x')).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
