//! Reading a machine: what is installed, what the archives offer, and what of it APT would choose.
//!
//! Our own code reads everything (rule A1): no privilege, no lock, nothing written. APT itself is asked only for
//! its settings and the names of its index files. The result is a *pre-answer* (apt.md 4.1): the candidates that
//! APT's policy has; which of them an upgrade would really take is confirmed by a simulation of APT elsewhere.

mod apt_config;
mod candidates;
mod expression;
mod indexes;
mod phasing;
mod policy;
mod preferences;
mod reading;
mod record;
mod release;
mod scan;
mod warning;

pub(crate) use apt_config::AptConfig;
pub use candidates::Candidate;
pub use indexes::Archive;
pub use phasing::Phasing;
pub use reading::{Found, Reading, Wanted};
pub use record::ArchiveRecord;
pub use warning::{ReadError, ReadWarning};

/// The source package and its version: `Source: NAME (VERSION)`, where what is missing is the binary's own.
pub(crate) fn source_of(field: Option<&str>, package: &str, version: &str) -> (String, String) {
    let Some(field) = field.map(str::trim).filter(|field| !field.is_empty()) else {
        return (package.to_owned(), version.to_owned());
    };
    match field.split_once('(') {
        Some((name, rest)) => (
            name.trim_end().to_owned(),
            rest.trim_end_matches(')').trim().to_owned(),
        ),
        None => (field.to_owned(), version.to_owned()),
    }
}

/// Reads an index entry as a fuzz target wants it read.
#[cfg(fuzzing)]
pub(crate) fn fuzz(stanza: crate::stanza::Stanza<'_>) {
    if let Ok(record) = ArchiveRecord::parse(stanza, Vec::new()) {
        assert!(crate::version::is_version(&record.version));
        let _ = record.relations();
    }
}

/// Reads a release file and a file of preferences as a fuzz target wants them read.
#[cfg(fuzzing)]
pub(crate) fn fuzz_file(bytes: &[u8]) {
    release::Release::parse(bytes);
    release::offers(bytes, "main/binary-amd64/Packages");
    preferences::fuzz(bytes);
}

#[cfg(test)]
mod tests {
    use super::source_of;

    #[test]
    fn what_the_source_field_leaves_out_is_the_binarys_own() {
        let check = |field, expected: (&str, &str)| {
            let (name, version) = source_of(field, "bin", "1+b1");
            assert_eq!((&*name, &*version), expected);
        };
        check(None, ("bin", "1+b1"));
        check(Some("src"), ("src", "1+b1"));
        check(Some("src (1)"), ("src", "1"));
    }
}
