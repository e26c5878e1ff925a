//! Where archive files lie: the base addresses below which the indexes name their files.
//!
//! Only APT knows them for certain (flat archives, mirrors), so it is asked. Passwords inside addresses are for APT
//! alone: updates carry addresses without them, and they are put back when something is fetched.

use std::collections::HashMap;

use crate::answers::Answers;
use crate::reader::ReadError;
use crate::stanza::Stanzas;
use crate::tree::AptTree;

/// Which base address belongs to which archive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repositories {
    /// By the archive's address without credentials: the base of its files, as configured.
    bases: HashMap<String, String>,
}

impl Repositories {
    /// Those that APT's answers name.
    pub(crate) fn of(answers: &Answers) -> Self {
        let targets = Stanzas::new(answers.targets.as_bytes());
        let pairs = targets.filter_map(|(_, target)| {
            let (base, files) = (target.text("Base-URI")?, target.text("Repo-URI")?);
            Some((without_credentials(&base), files.into_owned()))
        });
        Self {
            bases: pairs.collect(),
        }
    }

    /// Asks APT, or takes what it said last.
    ///
    /// # Errors
    /// APT cannot be asked.
    pub(crate) fn ask(tree: &AptTree) -> Result<Self, ReadError> {
        Ok(Self::of(&Answers::of(tree)?))
    }

    /// Where `filename` of the archive at `archive` (without credentials) is offered, without credentials.
    pub(crate) fn address(&self, archive: &str, filename: &str) -> Option<String> {
        let base = self.bases.get(archive)?;
        Some(format!(
            "{}/{filename}",
            without_credentials(base).trim_end_matches('/')
        ))
    }

    /// The address as it has to be asked for, with the credentials its source has.
    pub(crate) fn with_credentials(&self, address: &str) -> String {
        let known = self.bases.values().find_map(|base| {
            let rest = address.strip_prefix(&without_credentials(base))?;
            Some(format!("{base}{rest}"))
        });
        known.unwrap_or_else(|| address.to_owned())
    }
}

/// `scheme://user:password@host/…` without the user.
fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden_and_put_back() {
        let targets = "Base-URI: http://user:p@ss@h.example/x/sub/\nRepo-URI: http://user:p@ss@h.example/x/\n\n\
                       Base-URI: copy:/srv/a/dists/stable/\nRepo-URI: copy:/srv/a/\n";
        let known = Repositories::of(&Answers {
            settings: String::new(),
            targets: targets.into(),
        });
        let address = known
            .address("http://h.example/x/sub/", "pool/a.deb")
            .expect("known");
        assert_eq!(address, "http://h.example/x/pool/a.deb");
        assert_eq!(
            known.with_credentials(&address),
            "http://user:p@ss@h.example/x/pool/a.deb"
        );
        assert_eq!(
            known.address("copy:/srv/a/dists/stable/", "b.deb").as_deref(),
            Some("copy:/srv/a/b.deb")
        );
        assert_eq!(known.with_credentials("http://other/a"), "http://other/a");
        assert_eq!(known.address("http://gone/", "b.deb"), None);
    }
}
