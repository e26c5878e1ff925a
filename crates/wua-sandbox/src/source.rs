//! A source package of the practice archive in its two versions, and how its binary packages are filled: programs that
//! say their version, libraries of noise, manuals of prose, and changelogs in Debian's form.

use crate::archive::Suite;
use crate::content::Generator;
use crate::fault::Fault;
use crate::package::Package;

/// A source package: installed in its old version, offered in its new one.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) suite: Suite,
    pub(crate) old: String,
    pub(crate) new: String,
    pub(crate) section: &'static str,
    /// What the new version changes, as its changelog says it.
    pub(crate) change: String,
    /// The number after `CVE-2026-` of the flaw that the new version closes.
    pub(crate) cve: Option<u32>,
    pub(crate) binaries: Vec<Binary>,
    pub(crate) fault: Option<Fault>,
}

/// A binary package of a source.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) summary: String,
    /// What the old and the new version depend on; `{version}` stands for the source's version, empty is nothing.
    pub(crate) depends: [String; 2],
    pub(crate) presence: Presence,
}

/// In which versions of its source a binary package exists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Presence {
    Both,
    Old,
    New,
}

/// What a binary package holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A program with its manual.
    Program,
    /// A program with a configuration file, `etc/NAME/NAME.conf`.
    Service,
    /// A shared library, installed because something else needs it.
    Library,
    /// Tables and texts for all architectures.
    Data,
    /// Fonts for all architectures.
    Fonts,
    /// An operating system's kernel, installed because the meta package needs it.
    Kernel,
    /// Nothing but dependencies.
    Meta,
}

/// Which of its two versions a source is built in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Release {
    Old,
    New,
}

impl Binary {
    /// A binary package of both versions that depends on nothing.
    pub(crate) fn new(name: impl Into<String>, kind: Kind, summary: impl Into<String>) -> Self {
        let (name, summary) = (name.into(), summary.into());
        Self {
            name,
            kind,
            summary,
            depends: Default::default(),
            presence: Presence::Both,
        }
    }

    /// The same dependencies in both versions.
    pub(crate) fn needs(mut self, relations: &str) -> Self {
        self.depends = [relations.into(), relations.into()];
        self
    }

    fn exists_in(&self, release: Release) -> bool {
        match self.presence {
            Presence::Both => true,
            Presence::Old => release == Release::Old,
            Presence::New => release == Release::New,
        }
    }
}

impl Source {
    /// The binary packages of one version.
    pub(crate) fn packages(&self, release: Release, architecture: &str, seed: u64) -> Vec<Package> {
        let there = self.binaries.iter().filter(|binary| binary.exists_in(release));
        there
            .map(|binary| self.package(binary, release, architecture, seed))
            .collect()
    }

    /// The binary packages that an administrator would ask for; the others come as their dependencies.
    pub(crate) fn asked_for(&self) -> impl Iterator<Item = &str> {
        let asked = |binary: &&Binary| !matches!(binary.kind, Kind::Library | Kind::Kernel);
        self.binaries
            .iter()
            .filter(asked)
            .map(|binary| binary.name.as_str())
    }

    pub(crate) fn version(&self, release: Release) -> &str {
        match release {
            Release::Old => &self.old,
            Release::New => &self.new,
        }
    }

    fn package(&self, binary: &Binary, release: Release, architecture: &str, seed: u64) -> Package {
        let version = self.version(release);
        let Binary { name, summary, .. } = binary;
        let depends = binary.depends[release as usize].replace("{version}", version);
        let architecture = match binary.kind {
            Kind::Data | Kind::Fonts => "all",
            _ => architecture,
        };
        let mut package = Package::new(name, version)
            .architecture(architecture)
            .source(&self.name);
        if binary.kind == Kind::Library {
            package = package.multi_arch("same");
        }
        if !depends.is_empty() {
            package = package.depends(depends);
        }
        package = package
            .field(
                "Section",
                if binary.kind == Kind::Library {
                    "libs"
                } else {
                    self.section
                },
            )
            .field("Priority", "optional")
            .field("Homepage", format!("https://{}.example.org/", self.name))
            .field(
                "Description",
                format!("{summary}\n{}", self.long_description(binary)),
            )
            .changelog(&self.changelog(release))
            .file(
                format!("usr/share/doc/{name}/copyright"),
                format!("{COPYRIGHT}{}\n", self.name),
            );
        fill(
            package,
            binary,
            version,
            &mut Generator::new(seed, &format!("{name} {version}")),
        )
    }

    fn long_description(&self, binary: &Binary) -> String {
        let purpose = match binary.kind {
            Kind::Program => "This package has the program and its manual.",
            Kind::Service => "This package has the service, its manual and its configuration file.",
            Kind::Library => "This package has the shared library; programs that use it bring it along.",
            Kind::Data => "This package has files that are the same on all architectures.",
            Kind::Fonts => "The fonts come in a regular, a bold and an italic style.",
            Kind::Kernel => "This package has the kernel image and its map.",
            Kind::Meta => "This package is empty: it depends on the newest release and so brings it.",
        };
        format!(
            "{purpose}\n\nIt is a part of {}, a product invented for practising updates.",
            self.name
        )
    }

    fn changelog(&self, release: Release) -> String {
        let Self {
            name,
            suite,
            old,
            new,
            ..
        } = self;
        let first = format!(
            "{name} ({old}) practice; urgency=medium\n\n  * Initial release for practice machines.\n\n{SIGNATURE}  \
             Mon, 02 Mar 2026 10:00:00 +0000\n"
        );
        let (urgency, flaw) = match self.cve {
            Some(number) => (
                "high",
                format!("\n  * CVE-2026-{number:05}: crafted input was not checked."),
            ),
            None => ("medium", String::new()),
        };
        match release {
            Release::Old => first,
            Release::New => format!(
                "{name} ({new}) {}; urgency={urgency}\n\n  * {}{flaw}\n\n{SIGNATURE}  \
                 Tue, 14 Apr 2026 09:30:00 +0000\n\n{first}",
                suite.name(),
                self.change,
            ),
        }
    }
}

const SIGNATURE: &str = " -- Practice Archive <archive@practice.invalid>";
const COPYRIGHT: &str = "Nothing here was written by anybody: the files are made up for practising updates.\n\n\
                         License: public-domain\nSource: ";

/// The files of a package, a few kB, different for each version.
fn fill(package: Package, binary: &Binary, version: &str, generator: &mut Generator) -> Package {
    let name = &binary.name;
    let program = format!("#!/bin/sh\necho \"{name} {version}\"\n");
    let manual = |generator: &mut Generator| format!("{name} {version}\n\n{}", generator.prose(3000));
    match binary.kind {
        Kind::Program => package
            .executable(format!("usr/bin/{name}"), program)
            .file(format!("usr/share/{name}/manual.txt"), manual(generator)),
        Kind::Service => package
            .executable(format!("usr/sbin/{name}"), program)
            .conffile(
                format!("etc/{name}/{name}.conf"),
                format!("# {name}\nlisten = localhost\nlevel = 3\n"),
            )
            .file(format!("usr/share/{name}/manual.txt"), manual(generator)),
        Kind::Library => {
            let path = format!("usr/lib/practice/{}/{name}.so", package.architecture);
            package.file(path, generator.noise(8 << 10))
        }
        Kind::Data => package
            .file(format!("usr/share/{name}/tables.bin"), generator.noise(4 << 10))
            .file(format!("usr/share/{name}/readme.txt"), manual(generator)),
        Kind::Fonts => ["Regular", "Bold", "Italic"]
            .into_iter()
            .fold(package, |package, style| {
                package.file(
                    format!("usr/share/fonts/truetype/{name}/{name}-{style}.ttf"),
                    generator.noise(6 << 10),
                )
            }),
        Kind::Kernel => {
            let release = name.trim_start_matches("linux-image-");
            package
                .file(format!("boot/vmlinuz-{release}"), generator.noise(32 << 10))
                .file(format!("boot/System.map-{release}"), generator.prose(8 << 10))
        }
        Kind::Meta => package,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_security_changelog_names_the_flaw_above_the_older_entry() {
        let source = Source {
            name: "postbird".into(),
            suite: Suite::Security,
            old: "3.8.1-2".into(),
            new: "3.8.1-2+deb12u1".into(),
            section: "mail",
            change: "Check lengths.".into(),
            cve: Some(4711),
            binaries: Vec::new(),
            fault: None,
        };
        let text = source.changelog(Release::New);
        assert!(
            text.starts_with("postbird (3.8.1-2+deb12u1) practice-security; urgency=high\n\n  * Check"),
            "{text}"
        );
        assert!(
            text.contains("  * CVE-2026-04711: ") && text.ends_with(&source.changelog(Release::Old)),
            "{text}"
        );
    }
}
