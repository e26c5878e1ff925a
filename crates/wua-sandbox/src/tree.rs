//! The layout of a practice tree and the configuration that confines APT and dpkg to it. Pure but for
//! [`lay_out`], which writes the empty tree.
//!
//! Nothing of the host's APT configuration is read: `APT_CONFIG` names a file in the tree, and that file moves all of
//! APT's directories there before APT looks for more. dpkg offers no such way: it always reads the host's
//! `/etc/dpkg/dpkg.cfg` and `dpkg.cfg.d`. Path exclusions found there are undone by a later `--path-include`; hooks and
//! loggers named there would run.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wua_types::practice::{APT_CONFIG, MARK};

use crate::archive::Suite;
use crate::error::SandboxError;

/// The archive, relative to the tree's root.
pub(crate) const ARCHIVE: &str = "srv/archive";
/// The archive's secret key: a throw-away, kept so that an opened machine can publish again.
pub(crate) const SECRET_KEY: &str = "srv/archive-key.asc";
/// The archive's public key, to which the source is bound.
pub(crate) const PUBLIC_KEY: &str = "etc/apt/keyrings/practice.asc";
/// dpkg's own directory.
pub(crate) const DPKG: &str = "var/lib/dpkg";

const STATUS: &str = "var/lib/dpkg/status";
const SOURCES: &str = "etc/apt/sources.list.d/practice.sources";

const DIRECTORIES: [&str; 18] = [
    "etc/apt/apt.conf.d",
    "etc/apt/keyrings",
    "etc/apt/preferences.d",
    "etc/apt/sources.list.d",
    "etc/apt/trusted.gpg.d",
    "run",
    "srv/archive/dists",
    "srv/archive/pool",
    "tmp",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/partial",
    "var/lib/dpkg/alternatives",
    "var/lib/dpkg/info",
    "var/lib/dpkg/parts",
    "var/lib/dpkg/triggers",
    "var/lib/dpkg/updates",
    "var/lib/wua",
    "var/log/apt",
];

/// APT names a list file after its whole address, and file names end at 255 bytes; the rest of the address needs 75.
const LONGEST_ROOT: usize = 170;

/// Checks that APT can work below this absolute path: it takes addresses and options apart at blanks, quotes, colons
/// and the like, and flattens the path into a file name.
pub(crate) fn check_root(root: &Path) -> Result<(), SandboxError> {
    let refuse = |reason: String| {
        Err(SandboxError::UnfitPath {
            path: root.into(),
            reason,
        })
    };
    let Some(text) = root.to_str() else {
        return refuse("its name is not UTF-8".into());
    };
    let fit = |byte: char| byte.is_ascii_alphanumeric() || "/._+-".contains(byte);
    if let Some(odd) = text.chars().find(|byte| !fit(*byte)) {
        return refuse(format!(
            "APT cannot take {odd:?} in a path; use letters, digits and `/._+-`"
        ));
    }
    // An underscore stands for a slash there, so a real one takes three bytes.
    let flattened = text.len() + 2 * text.matches('_').count();
    if flattened > LONGEST_ROOT {
        return refuse(format!(
            "its name is too long for APT ({flattened} of {LONGEST_ROOT} bytes)"
        ));
    }
    Ok(())
}

/// Writes the tree of a machine without packages and without a mark.
pub(crate) fn lay_out(
    root: &Path,
    architecture: &str,
    public_key: &str,
    seed: u64,
) -> Result<(), SandboxError> {
    for directory in DIRECTORIES {
        let path = root.join(directory);
        fs::create_dir_all(&path).map_err(SandboxError::file("create", &path))?;
    }
    // APT decides by the machine's id whether a phased update is its turn.
    let machine_id = hex::encode(&Sha256::digest(seed.to_le_bytes())[..16]);
    let files = [
        (APT_CONFIG, configuration(root, architecture)),
        (SOURCES, sources(root, architecture)),
        (PUBLIC_KEY, public_key.to_string()),
        ("etc/machine-id", machine_id + "\n"),
        (STATUS, String::new()),
        ("var/lib/dpkg/available", String::new()),
    ];
    for (name, text) in files {
        let path = root.join(name);
        fs::write(&path, text).map_err(SandboxError::file("write", &path))?;
    }
    Ok(())
}

/// The options without which dpkg would not work on a practice tree, or would work elsewhere.
pub(crate) fn dpkg_options(root: &Path) -> [String; 8] {
    let root = root.display();
    [
        format!("--root={root}"),
        "--force-not-root".into(),
        "--force-script-chrootless".into(),
        "--force-bad-path".into(),
        "--force-confdef".into(),
        "--force-confold".into(),
        "--path-include=*".into(),
        format!("--log={root}/var/log/dpkg.log"),
    ]
}

/// The first line of the configuration; it also tells whether the tree was moved since.
pub(crate) fn first_line(root: &Path) -> String {
    format!("Dir \"{}\";", root.display())
}

fn configuration(root: &Path, architecture: &str) -> String {
    let directory = root.display();
    let options: String = dpkg_options(root)
        .iter()
        .map(|option| format!("  \"{option}\";\n"))
        .collect();
    format!(
        r#"{first}
// The whole configuration of this practice machine (marked by {MARK}); APT reads no file outside it.
Dir::State "{directory}/var/lib/apt";
Dir::State::status "{directory}/{STATUS}";
Dir::Cache "{directory}/var/cache/apt";
Dir::Log "{directory}/var/log/apt";
Dir::Etc "{directory}/etc/apt";
Dir::Etc::Main "{directory}/etc/apt/apt.conf";
Dir::Etc::Parts "{directory}/etc/apt/apt.conf.d";
Dir::Etc::TrustedParts "{directory}/etc/apt/trusted.gpg.d";
Dir::Etc::Trusted "{directory}/etc/apt/trusted.gpg";
Dir::Bin::dpkg "/usr/bin/dpkg";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
DPkg::Path "";
DPkg::Use-Pty "false";
DPkg::Options
{{
{options}}};
"#,
        first = first_line(root),
    )
}

fn sources(root: &Path, architecture: &str) -> String {
    let directory = root.display();
    format!(
        "Types: deb\nURIs: copy:{directory}/{ARCHIVE}\nSuites: {} {}\nComponents: main\n\
         Architectures: {architecture}\nSigned-By: {directory}/{PUBLIC_KEY}\n",
        Suite::Practice.name(),
        Suite::Security.name(),
    )
}

/// The root as an absolute path without links; missing directories are made.
pub(crate) fn make_root(directory: &Path) -> Result<PathBuf, SandboxError> {
    fs::create_dir_all(directory).map_err(SandboxError::file("create", directory))?;
    directory
        .canonicalize()
        .map_err(SandboxError::file("resolve", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_apt_would_take_apart_is_refused_with_the_reason() {
        for path in [
            "/tmp/a b",
            "/tmp/a:b",
            "/tmp/a\"b",
            "/tmp/ä",
            "/tmp/a%20b",
            "/tmp/[1]",
        ] {
            let message = check_root(path.as_ref()).unwrap_err().to_string();
            assert!(message.contains("APT cannot take"), "{message}");
        }
        let long = format!("/tmp/{}", "_".repeat(60));
        assert!(
            check_root(long.as_ref())
                .unwrap_err()
                .to_string()
                .contains("too long for APT (185 of 170 bytes)")
        );
        check_root("/tmp/.practice_2+a-b".as_ref()).unwrap();
    }

    #[test]
    fn the_configuration_names_no_directory_of_the_host() {
        let text = configuration("/practice".as_ref(), "amd64");
        assert!(text.starts_with("Dir \"/practice\";\n"));
        let outside: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("\"/") && !line.contains("\"/practice"))
            .collect();
        assert_eq!(outside, ["Dir::Bin::dpkg \"/usr/bin/dpkg\";"]);
    }
}
