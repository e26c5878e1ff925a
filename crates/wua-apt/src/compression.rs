//! Index files as APT keeps them: plain, lz4, gzip, xz or zstd, told apart by their name.
//!
//! Plain files are mapped; the others are decoded as a stream, so the memory needed does not depend on
//! their size. How much may come out of a stream is bounded by the reader of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::mapped::Mapped;

/// Decoders may ask for this much memory at most, in bytes; APT's own files need a fraction of it.
const MAX_DECODER_MEMORY: u64 = 256 << 20;
/// The same bound as zstd counts it: the logarithm of the window.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Plain,
    Lz4,
    Gzip,
    Xz,
    Zstd,
    /// A form that APT can read and we cannot (bzip2, lzma).
    Unsupported,
}

/// The extensions under which APT may have stored a file, in the order in which APT looks for them.
const EXTENSIONS: [(&str, Compression); 6] = [
    ("zst", Compression::Zstd),
    ("lz4", Compression::Lz4),
    ("gz", Compression::Gzip),
    ("xz", Compression::Xz),
    ("bz2", Compression::Unsupported),
    ("lzma", Compression::Unsupported),
];

impl Compression {
    /// The packing that the extension of `path` names; anything unknown is plain.
    pub(crate) fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        EXTENSIONS
            .iter()
            .find(|(name, _)| *name == extension)
            .map_or(Self::Plain, |(_, kind)| *kind)
    }
}

/// The file that stands for `plain`: itself, or a packed form beside it.
pub(crate) fn existing_form(plain: &Path) -> Option<PathBuf> {
    if plain.exists() {
        return Some(plain.to_owned());
    }
    EXTENSIONS
        .iter()
        .map(|(extension, _)| with_extension(plain, extension))
        .find(|path| path.exists())
}

fn with_extension(plain: &Path, extension: &str) -> PathBuf {
    let mut name = plain.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// An opened file.
pub(crate) enum Content {
    /// All of it, in place.
    Mapped(Mapped),
    /// Its unpacked bytes, to be read once.
    Stream(Box<dyn Read + Send>),
}

/// Opens `path` in the form its name tells.
pub(crate) fn open(path: &Path) -> io::Result<Content> {
    let compression = Compression::of(path);
    if compression == Compression::Plain {
        return Mapped::open(path).map(Content::Mapped);
    }
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let packed = BufReader::with_capacity(128 << 10, file);
    Ok(Content::Stream(match compression {
        Compression::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(packed)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(MAX_DECODER_MEMORY, flags)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(packed, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Compression::Plain | Compression::Unsupported => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this form of compression is not supported",
            ));
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn check(extension: &str, packed: &[u8]) {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("Packages");
        let path = with_extension(&plain, extension);
        std::fs::write(&path, packed).unwrap();
        assert_eq!(existing_form(&plain).as_deref(), Some(&*path));
        let Content::Stream(mut stream) = open(&path).unwrap() else {
            panic!("{extension} is a stream")
        };
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "Package: a\n", "{extension}");

        // Half of the file must be an error, never a shorter text without one.
        std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let Content::Stream(mut stream) = open(&path).unwrap() else {
            panic!("{extension} is a stream")
        };
        assert!(
            stream.read_to_string(&mut String::new()).is_err(),
            "{extension} cut in two"
        );
    }

    #[test]
    fn every_packed_form_is_read_and_a_cut_one_is_an_error() {
        let text = b"Package: a\n";
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(text).unwrap();
        check("lz4", &lz4.finish().unwrap());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        check("gz", &gzip.finish().unwrap());
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(text).unwrap();
        check("xz", &xz.finish().unwrap());
        check("zst", &zstd::encode_all(&text[..], 1).unwrap());
    }

    #[test]
    fn an_unsupported_form_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Packages.bz2");
        std::fs::write(&path, "BZh9").unwrap();
        assert_eq!(
            open(&path).err().map(|error| error.kind()),
            Some(io::ErrorKind::Unsupported)
        );
    }
}
