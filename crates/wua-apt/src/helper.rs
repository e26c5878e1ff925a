//! APT's own fetcher, told exactly what to fetch: `apt-helper download-file URI FILE SHA256:HASH Checksum-FileSize:N …`.
//!
//! Chosen over `apt-get -d` because it needs no package cache, takes no lock and gets the exact hashes of the verified
//! index, yet keeps APT's transports, proxies, credentials and sandbox. Measured with apt 2.6: `copy:`, `http:` and
//! `file:` work (`file:` leaves a symbolic link); addresses are escaped by itself; a part file at the target is resumed
//! by a range request; a file that is complete already costs one request (answer 416); a wrong hash or size is renamed
//! to `FILE.FAILED`, a wrong size is noticed before the body is read; other items are unaffected by a failing one, the
//! exit code is then 100 and stderr has one `E: Failed to fetch URI  MESSAGE` each; connection errors are tried four
//! times within 7 s; SIGINT ends it at once and leaves the parts; as root it works as `_apt` where that user may
//! write, else it warns and works as root.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::child::{self, Tick};
use crate::tree::{AptTree, Program};

const PROGRAM: &str = "/usr/lib/apt/apt-helper";
/// The most of its talk that is read, in bytes.
const MAX_TALK: u64 = 4 << 20;

/// One file to fetch.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) address: String,
    pub(crate) target: PathBuf,
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

/// A run of the fetcher. Dropped unfinished it is ended; parts stay.
#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
    errors: File,
}

/// What the fetcher said about addresses that failed, by [`plain`] address.
#[derive(Debug, Default)]
pub(crate) struct Complaints(HashMap<String, String>);

impl Helper {
    /// Starts fetching.
    pub(crate) fn start(tree: &AptTree, requests: &[Request]) -> io::Result<Self> {
        let mut command = Command::new(PROGRAM);
        // The environment that the tree gives to APT's programs.
        let like = tree.reading(Program::AptGet);
        command
            .env_clear()
            .envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.arg("download-file");
        for request in requests {
            command.arg(&request.address).arg(&request.target);
            command
                .arg(format!("SHA256:{}", request.sha256))
                .arg(format!("Checksum-FileSize:{}", request.size));
        }
        // Not where the caller's TMPDIR says.
        let errors = tempfile::tempfile_in("/tmp")?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors.try_clone()?);
        Ok(Self {
            child: command.spawn()?,
            errors,
        })
    }

    /// Waits for the end; see [`child::wait`].
    pub(crate) fn wait(mut self, tick: impl FnMut() -> Tick) -> io::Result<(ExitStatus, Complaints)> {
        let status = child::wait(&mut self.child, tick)?;
        let mut talk = Vec::new();
        self.errors.rewind()?;
        (&self.errors).take(MAX_TALK).read_to_end(&mut talk)?;
        Ok((status, Complaints::parse(&String::from_utf8_lossy(&talk))))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        child::discard(&mut self.child);
    }
}

impl Complaints {
    fn parse(talk: &str) -> Self {
        let lines = talk
            .lines()
            .filter_map(|line| line.strip_prefix("E: Failed to fetch "));
        let pairs = lines.filter_map(|line| line.split_once("  "));
        Self(
            pairs
                .map(|(address, why)| (plain(address), why.trim().to_owned()))
                .collect(),
        )
    }

    /// Why `address` failed, if it was said.
    pub(crate) fn about(&self, address: &str) -> Option<&str> {
        self.0.get(&plain(address)).map(String::as_str)
    }
}

/// An address with its `%XX` decoded and without a user, so that two spellings are equal.
fn plain(address: &str) -> String {
    let mut bytes = Vec::with_capacity(address.len());
    let mut rest = address.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = (*first == b'%').then(|| tail.get(..2)).flatten();
        let decoded =
            decoded.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let start = rest[..end].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[start..])
        }
        None => text,
    }
}

/// Whether APT speaks of the connection and not of the file. It has no other sign than its words, and only the
/// choice between two failing codes hangs on them.
pub(crate) fn is_connection(said: &str) -> bool {
    const WORDS: [&str; 8] = [
        "Could not connect",
        "Unable to connect",
        "Cannot initiate the connection",
        "Could not resolve",
        "Temporary failure resolving",
        "Connection failed",
        "Connection timed out",
        "Network is unreachable",
    ];
    WORDS.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_found_by_any_spelling_of_the_address() {
        let talk = "W: odd\nE: Failed to fetch http://h/big%2bx%7e1.deb  404  Not Found [IP: 127.0.0.1 80]\n   - SHA\n\
                    E: Failed to fetch copy:/a  Hash Sum mismatch\nE: Download Failed\n";
        let complaints = Complaints::parse(talk);
        assert_eq!(
            complaints.about("http://u:p@h/big+x~1.deb"),
            Some("404  Not Found [IP: 127.0.0.1 80]")
        );
        assert_eq!(complaints.about("copy:/a"), Some("Hash Sum mismatch"));
        assert_eq!(complaints.about("copy:/b"), None);
    }

    #[test]
    fn odd_escapes_stay_as_they_are() {
        assert_eq!(plain("http://h/%zz%4"), "http://h/%zz%4");
        assert_eq!(plain("%e2%82"), "\u{fffd}");
    }
}
