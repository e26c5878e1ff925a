//! A machine for tests, written out as a practice tree, and APT's opinion of it.

#![allow(dead_code, reason = "every test uses a part of it")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wua_apt::dpkg::InstalledPackage;
use wua_apt::reader::{Candidate, Reading};
use wua_apt::tree::AptTree;

/// A machine, described.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) installed: Vec<Entry>,
    pub(crate) archives: Vec<TestArchive>,
    /// The preferences file and the files of its folder.
    pub(crate) preferences: Vec<String>,
    pub(crate) default_release: Option<String>,
    /// More lines of APT configuration.
    pub(crate) settings: String,
}

/// A package in the status file or in an index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) package: String,
    pub(crate) architecture: String,
    pub(crate) version: String,
    pub(crate) source: Option<String>,
    /// `Status`, for installed ones.
    pub(crate) status: String,
    /// Further lines.
    pub(crate) fields: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct TestArchive {
    /// `http://host` or `copy:/path`
    pub(crate) uri: String,
    pub(crate) suite: String,
    /// The Release file.
    pub(crate) release: String,
    /// By component and architecture.
    pub(crate) indexes: Vec<(String, String, Vec<Entry>)>,
}

/// One line of `apt list --upgradable`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Upgrade {
    pub(crate) package: String,
    pub(crate) architecture: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Upgrade {
    /// APT's line names the architecture of the installed version.
    pub(crate) fn of(candidate: &Candidate, reading: &Reading) -> Self {
        let record = &candidate.record;
        let filed_under = |architecture: &str| match architecture {
            "all" => reading.native_architecture.clone(),
            other => other.to_owned(),
        };
        let same = |one: &&InstalledPackage| {
            one.version == candidate.installed_version
                && filed_under(&one.architecture) == filed_under(&record.architecture)
        };
        let installed = reading
            .installed
            .named(&record.package)
            .iter()
            .find(same)
            .unwrap();
        Self {
            package: record.package.clone(),
            architecture: installed.architecture.clone(),
            from: candidate.installed_version.clone(),
            to: candidate.record.version.clone(),
        }
    }
}

impl Machine {
    pub(crate) fn holds(&self, package: &str) -> bool {
        self.installed
            .iter()
            .any(|entry| entry.package == package && entry.status.starts_with("hold"))
    }

    pub(crate) fn write(&self) -> TestTree {
        let folder = tempfile::tempdir().unwrap();
        let tree = TestTree {
            root: folder.path().to_owned(),
            _folder: folder,
        };
        let native = native_architecture();
        let foreign = foreign_architecture();
        let root = tree.root.display();
        for folder in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/log/apt",
        ] {
            fs::create_dir_all(tree.root.join(folder)).unwrap();
        }
        tree.file("etc/wua/practice-machine", "");
        let release = self
            .default_release
            .as_ref()
            .map(|release| format!("APT::Default-Release \"{release}\";\n"));
        let config = format!(
            "Dir \"{root}\";\nDir::State::status \"{root}/var/lib/dpkg/status\";\n\
             Dir::Etc::Parts \"{root}/etc/apt/apt.conf.d\";\nDir::Bin::dpkg \"/usr/bin/dpkg\";\n\
             APT::Architecture \"{native}\";\nAPT::Architectures {{ \"{native}\"; \"{foreign}\"; }};\n\
             APT::Sandbox::User \"\";\n{}{}",
            release.unwrap_or_default(),
            self.settings
        );
        tree.file("etc/apt/practice.conf", &config);
        tree.file(
            "var/lib/dpkg/status",
            &self.installed.iter().map(Entry::stanza).collect::<String>(),
        );
        for (i, text) in self.preferences.iter().enumerate() {
            let file = match i {
                0 => "etc/apt/preferences".to_owned(),
                _ => format!(
                    "etc/apt/preferences.d/{}{i}",
                    if i % 2 == 0 { "b.pref" } else { "a" }.replace(".pref", "")
                ),
            };
            tree.file(&file, text);
        }
        let mut sources = String::new();
        for archive in &self.archives {
            archive.write(&tree, &mut sources);
        }
        tree.file("etc/apt/sources.list", &sources);
        tree
    }
}

impl Entry {
    pub(crate) fn stanza(&self) -> String {
        let Self {
            package,
            architecture,
            version,
            source,
            status,
            fields,
        } = self;
        let mut text = format!("Package: {package}\nArchitecture: {architecture}\nVersion: {version}\n");
        if let Some(source) = source {
            writeln!(text, "Source: {source}").unwrap();
        }
        if !status.is_empty() {
            writeln!(text, "Status: {status}").unwrap();
        }
        text + fields + "Maintainer: nobody\nDescription: test\n\n"
    }
}

impl TestArchive {
    fn write(&self, tree: &TestTree, sources: &mut String) {
        let Self {
            uri,
            suite,
            release,
            indexes,
        } = self;
        let components: BTreeSet<_> = indexes
            .iter()
            .map(|(component, _, _)| component.as_str())
            .collect();
        let components = components.into_iter().collect::<Vec<_>>().join(" ");
        writeln!(sources, "deb [trusted=yes] {uri} {suite} {components}").unwrap();
        let (_, rest) = uri.split_once(':').unwrap();
        let rest = rest.replace("u:p@", "");
        let prefix = format!(
            "{}_dists_{suite}_",
            rest.trim_start_matches("//").replace('/', "_")
        );
        tree.file(&format!("var/lib/apt/lists/{prefix}Release"), release);
        for (component, architecture, entries) in indexes {
            let text: String = entries.iter().map(Entry::stanza).collect();
            tree.file(
                &format!("var/lib/apt/lists/{prefix}{component}_binary-{architecture}_Packages"),
                &text,
            );
        }
    }
}

/// A machine on the disk.
pub(crate) struct TestTree {
    root: PathBuf,
    _folder: tempfile::TempDir,
}

impl TestTree {
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn open(&self) -> AptTree {
        AptTree::open(&self.root).unwrap()
    }

    pub(crate) fn file(&self, relative: &str, text: &str) {
        let path = self.root.join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What APT would upgrade if nothing stood in the way.
    pub(crate) fn apt_list_upgradable(&self) -> BTreeSet<Upgrade> {
        self.apt("apt", &["list", "--upgradable"])
            .lines()
            .filter_map(parse_line)
            .collect()
    }

    /// Runs a program of APT on the tree; gives its output.
    pub(crate) fn apt(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs([("LC_ALL", "C.UTF-8"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")])
            .env("APT_CONFIG", self.root.join("etc/apt/practice.conf"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}\n{}", self.root.display());
        String::from_utf8(output.stdout).unwrap()
    }

    /// What decides about some packages, for the message of a failed test.
    pub(crate) fn describe(&self, packages: &[&str]) -> String {
        let arguments: Vec<_> = std::iter::once("policy")
            .chain(packages.iter().copied())
            .collect();
        let mut text = self.apt("apt-cache", &arguments);
        for folder in [
            "etc/apt",
            "etc/apt/preferences.d",
            "var/lib/dpkg",
            "var/lib/apt/lists",
        ] {
            for file in fs::read_dir(self.root.join(folder))
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
            {
                describe_file(&file.path(), packages, &mut text);
            }
        }
        text
    }
}

/// The stanzas of indexes and of the status file that matter, other files whole.
fn describe_file(path: &Path, packages: &[&str], text: &mut String) {
    let Ok(content) = fs::read_to_string(path) else {
        return;
    };
    writeln!(text, "--- {}", path.display()).unwrap();
    let is_list = path.ends_with("status") || path.to_string_lossy().ends_with("_Packages");
    let matters = |stanza: &&str| {
        !is_list
            || packages
                .iter()
                .any(|name| stanza.starts_with(&format!("Package: {name}\n")))
    };
    content
        .split("\n\n")
        .filter(matters)
        .for_each(|stanza| writeln!(text, "{stanza}\n").unwrap());
}

/// `NAME/SUITES VERSION ARCH [upgradable from: OLD]`
fn parse_line(line: &str) -> Option<Upgrade> {
    let mut words = line.split(' ');
    let (package, _) = words.next()?.split_once('/')?;
    let (to, architecture) = (words.next()?.to_owned(), words.next()?.to_owned());
    let from = line
        .split_once("[upgradable from: ")?
        .1
        .trim_end_matches(']')
        .to_owned();
    Some(Upgrade {
        package: package.to_owned(),
        architecture,
        from,
        to,
    })
}

/// This machine's architecture.
pub(crate) fn native_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Some other one.
pub(crate) fn foreign_architecture() -> &'static str {
    if native_architecture() == "i386" {
        "amd64"
    } else {
        "i386"
    }
}
