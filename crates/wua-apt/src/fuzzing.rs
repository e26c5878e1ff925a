//! Doors for the fuzz targets in `fuzz/`, which are strangers to this crate. Built by cargo-fuzz only.
#![allow(missing_docs, reason = "no part of the library")]

use std::path::PathBuf;

use crate::confirm;
use crate::gate::{self, Authorised};
use crate::stanza::Stanzas;
use crate::{dpkg, reader, relations, version};

/// The answer of APT's hook.
pub fn hook(bytes: &[u8]) {
    if let Ok(packages) = confirm::parse(bytes) {
        for package in packages {
            assert!(confirm::is_package_name(&package.name));
            let versions = package.from.iter().chain(&package.to);
            versions.for_each(|text| assert!(version::is_version(text)));
        }
    }
}

/// What the gate wrote down: the first part is what was authorised, and stands as well for what was seen.
pub fn gate(authorised: &str, seen: &str) {
    // What apt says of an archive that it does not find is never authorised.
    let authorised = authorised.replace("**ERROR**", "");
    let steps = gate::seen_steps(&authorised);
    let plan: Vec<Authorised> = steps
        .into_iter()
        .map(|((name, architecture), step)| Authorised {
            archive: step
                .new
                .as_ref()
                .and(step.file)
                .map(|file| (PathBuf::from(file), String::new())),
            name,
            architecture,
            old: step.old,
            new: step.new,
        })
        .collect();
    assert!(gate::compare(&plan, gate::seen_steps(&authorised)).is_empty());
    let seen = gate::seen_steps(seen);
    let strangers = seen
        .keys()
        .filter(|(name, architecture)| {
            !plan
                .iter()
                .any(|step| step.name == *name && step.architecture == *architecture)
        })
        .count();
    let differences = gate::compare(&plan, seen);
    assert_eq!(
        differences
            .iter()
            .filter(|difference| difference.is_extra)
            .count(),
        strangers
    );
}

/// An index, a status file, a release file, preferences: all are stanzas.
pub fn stanzas(bytes: &[u8]) {
    for (offset, stanza) in Stanzas::new(bytes) {
        assert!(bytes[offset..].starts_with(stanza.bytes()));
        let _ = stanza.package();
        dpkg::fuzz(stanza);
        reader::fuzz(stanza);
        for name in ["Depends", "Provides", "Conflicts"] {
            for relation in relations::field(stanza, name).into_iter().flatten() {
                let _ = relation.accepts("1.0-1");
            }
        }
    }
    reader::fuzz_file(bytes);
}
