//! Where archive files lie: the base addresses below which the indexes name their files.
//!
//! Only APT knows them for certain (flat archives, mirrors), so it is asked. Passwords inside addresses are for APT
//! alone: updates carry addresses without them, and they are put back when something is fetched.

use std::collections::HashMap;
use std::io;
use std::process::{Child, Stdio};

use crate::tree::{AptTree, Program};

/// The question to APT, while it is being answered.
#[derive(Debug)]
pub(crate) struct Asked(Child);

/// Which base address belongs to which archive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repositories {
    /// By the archive's address without credentials: the base of its files, as configured.
    bases: HashMap<String, String>,
}

/// Asks APT; about 20 ms, in a process beside us.
pub(crate) fn ask(tree: &AptTree) -> io::Result<Asked> {
    let mut command = tree.reading(Program::AptGet);
    command.args([
        "indextargets",
        "--no-release-info",
        "--format",
        "$(BASE_URI) $(REPO_URI)",
        "Target-Of: deb",
    ]);
    // Nothing but the sources is looked at then.
    command.args([
        "-oDir::State::lists=/nonexistent/",
        "-oDir::State::status=/dev/null",
    ]);
    command.args(["-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache="]);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Asked)
}

impl Asked {
    /// Waits for the answer.
    pub(crate) fn answer(self) -> io::Result<Repositories> {
        let output = self.0.wait_with_output()?;
        Ok(Repositories::parse(&String::from_utf8_lossy(&output.stdout)))
    }
}

impl Repositories {
    fn parse(answer: &str) -> Self {
        let pairs = answer.lines().filter_map(|line| line.split_once(' '));
        Self {
            bases: pairs
                .map(|(base, files)| (without_credentials(base), files.to_owned()))
                .collect(),
        }
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
        let known = Repositories::parse(
            "http://user:p@ss@h.example/x/sub/ http://user:p@ss@h.example/x/\n\
             copy:/srv/a/dists/stable/ copy:/srv/a/\n",
        );
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
