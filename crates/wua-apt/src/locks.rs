//! Who else is changing the machine's packages: the four locks of apt and dpkg (rule L1).
//!
//! Only looks. Locks are taken by apt and dpkg themselves, and neither a lock file nor its holder is ever touched (rules
//! L2, L3). A process never sees its own record locks, and looking would release them: do not hold these locks here.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::tree::AptTree;

/// The lock that a program takes for the time it works with packages.
pub const FRONTEND: &str = "var/lib/dpkg/lock-frontend";
/// dpkg's own lock on its database.
pub const DATABASE: &str = "var/lib/dpkg/lock";
/// The lock on APT's folder of downloaded archives.
pub const ARCHIVES: &str = "var/cache/apt/archives/lock";
/// The lock on APT's indexes.
pub const LISTS: &str = "var/lib/apt/lists/lock";

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Its process, as seen from here; none where it lives in another container.
    pub pid: Option<u32>,
    /// The program's name, where it can be found out.
    pub name: Option<String>,
}

impl fmt::Display for LockHolder {
    /// `NAME (PID)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("another program");
        match self.pid {
            Some(pid) => write!(f, "{name} ({pid})"),
            None => f.write_str(name),
        }
    }
}

/// Who holds one of `locks` of the tree; the first that is held. Unreadable locks count as free: apt tells better.
pub fn holder(tree: &AptTree, locks: &[&str]) -> Option<LockHolder> {
    locks.iter().find_map(|lock| holder_of(&tree.path(lock)))
}

fn holder_of(lock: &Path) -> Option<LockHolder> {
    let pid = match File::open(lock) {
        // The lock files are readable by root only, but a lock on one is no secret.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => listed_holder(lock)?,
        Err(_) => return None,
        Ok(file) => {
            let found = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock)).ok()??;
            found.pid.map(|pid| pid.as_raw_nonzero().get().cast_unsigned())
        }
    };
    Some(LockHolder {
        pid,
        name: pid.and_then(name_of),
    })
}

/// What the system's list of locks says about a file that cannot be opened.
fn listed_holder(lock: &Path) -> Option<Option<u32>> {
    let file = fs::metadata(lock).ok()?;
    let (major, minor) = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    let wanted = format!("{major:02x}:{minor:02x}:{}", file.ino());
    listed(&fs::read_to_string("/proc/locks").ok()?, &wanted)
}

/// Reads lines such as `1: POSIX  ADVISORY  WRITE 30772 08:01:131090 0 EOF`; those with `->` only wait.
fn listed(table: &str, wanted: &str) -> Option<Option<u32>> {
    table.lines().find_map(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        match words[..] {
            [_, "POSIX" | "OFDLCK", _, _, pid, place, ..] if place == wanted => Some(pid.parse().ok()),
            _ => None,
        }
    })
}

fn name_of(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let name: String = name
        .trim_end()
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_list_names_the_holder_and_not_who_waits() {
        let table = "1: POSIX  ADVISORY  WRITE 30772 08:01:131090 0 EOF\n\
                     1: -> POSIX  ADVISORY  WRITE 30773 08:01:131090 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 11 08:01:5 0 EOF\n\
                     3: OFDLCK ADVISORY  WRITE -1 00:1b:6 0 EOF\n";
        assert_eq!(listed(table, "08:01:131090"), Some(Some(30772)));
        assert_eq!(listed(table, "08:01:5"), None);
        assert_eq!(listed(table, "00:1b:6"), Some(None));
        assert_eq!(listed(table, "08:01:7"), None);
    }

    #[test]
    fn a_holder_is_named_as_far_as_known() {
        let holder = |pid, name: Option<&str>| {
            LockHolder {
                pid,
                name: name.map(Into::into),
            }
            .to_string()
        };
        assert_eq!(holder(Some(7), Some("unattended-upgr")), "unattended-upgr (7)");
        assert_eq!(holder(Some(7), None), "another program (7)");
        assert_eq!(holder(None, None), "another program");
    }
}
