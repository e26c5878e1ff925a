//! The description of one binary package, from which both its archive (`deb`) and its entry in an index (`index`) are
//! made. Names, versions and paths are checked when the archive is built, not when they are given.

use std::collections::BTreeMap;

use crate::deb;
use crate::error::SandboxError;

/// One binary package in one version, ready to become a `.deb`.
///
/// ```
/// use wua_sandbox::{Package, Script};
///
/// let package = Package::new("lantern", "1.2-1")
///     .depends("base (>= 2)")
///     .file("usr/share/lantern/readme", "Light it.\n")
///     .conffile("etc/lantern.conf", "brightness=3\n")
///     .script(Script::Postinst, "echo \"lantern: lit for $1\"");
/// assert!(package.to_deb()?.starts_with(b"!<arch>\n"));
/// # Ok::<(), wua_sandbox::SandboxError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a package does nothing until it is published or built"]
pub struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    pub(crate) source: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) files: BTreeMap<String, FileEntry>,
    pub(crate) scripts: BTreeMap<Script, String>,
    pub(crate) triggers: Vec<String>,
    pub(crate) phased: Option<u8>,
}

/// A file of a package.
#[derive(Clone, Debug)]
pub(crate) struct FileEntry {
    pub(crate) content: Vec<u8>,
    pub(crate) executable: bool,
    pub(crate) conffile: bool,
}

/// A maintainer script.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Script {
    /// Runs before the files are unpacked.
    Preinst,
    /// Runs when the package is configured.
    Postinst,
    /// Runs before the files are removed.
    Prerm,
    /// Runs after the files are removed.
    Postrm,
}

impl Script {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Preinst => "preinst",
            Self::Postinst => "postinst",
            Self::Prerm => "prerm",
            Self::Postrm => "postrm",
        }
    }
}

impl Package {
    /// A package without files, for all architectures, being its own source.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            architecture: "all".into(),
            source: None,
            fields: Vec::new(),
            files: BTreeMap::new(),
            scripts: BTreeMap::new(),
            triggers: Vec::new(),
            phased: None,
        }
    }

    /// The package's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The package's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Sets the architecture; `all` unless told.
    pub fn architecture(mut self, architecture: impl Into<String>) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// Sets the source package: its name, or `name (version)` where the version differs.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets a field of the control file; an earlier value of the field is replaced. Further lines of the value become
    /// continuation lines.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.fields
            .retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        self.fields.push((name, value.into()));
        self
    }

    /// Sets the `Depends` field.
    pub fn depends(self, relations: impl Into<String>) -> Self {
        self.field("Depends", relations)
    }

    /// Sets the `Multi-Arch` field, for example to `same`.
    pub fn multi_arch(self, value: impl Into<String>) -> Self {
        self.field("Multi-Arch", value)
    }

    /// Adds a file; the path is relative to the tree's root.
    pub fn file(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path, content, false, false)
    }

    /// Adds a file that everybody may execute.
    pub fn executable(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path, content, true, false)
    }

    /// Adds a configuration file, whose local changes dpkg keeps.
    pub fn conffile(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path, content, false, true)
    }

    /// Adds the changelog in Debian's place and form (compressed).
    pub fn changelog(self, text: &str) -> Self {
        let path = format!("usr/share/doc/{}/changelog.Debian.gz", self.name);
        self.file(path, deb::gzip(text.as_bytes()))
    }

    /// Sets a maintainer script. It gets `#!/bin/sh` and `set -e` if it has no interpreter line. It runs outside a
    /// chroot: paths have to begin with `$DPKG_ROOT`.
    pub fn script(mut self, script: Script, body: impl AsRef<str>) -> Self {
        let body = body.as_ref();
        let text = match body.starts_with("#!") {
            true => body.to_string(),
            false => format!("#!/bin/sh\nset -e\n{}\n", body.trim_end()),
        };
        self.scripts.insert(script, text);
        self
    }

    /// Adds a line to the `triggers` file, for example `interest /usr/share/man` or `activate-noawait rebuild`.
    pub fn trigger(mut self, directive: impl Into<String>) -> Self {
        self.triggers.push(directive.into());
        self
    }

    /// Sets the percentage of machines that are offered this version (`Phased-Update-Percentage`, in the index only).
    pub fn phased(mut self, percentage: u8) -> Self {
        self.phased = Some(percentage);
        self
    }

    /// Builds the archive. The same description gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Package`] if a name, version, path or field cannot be part of an archive.
    pub fn to_deb(&self) -> Result<Vec<u8>, SandboxError> {
        self.check()?;
        deb::build(self)
    }

    /// The name of the archive's file: the version without its epoch, as in real archives.
    pub(crate) fn file_name(&self) -> String {
        let version = self
            .version
            .split_once(':')
            .map_or(self.version.as_str(), |(_, version)| version);
        format!("{}_{version}_{}.deb", self.name, self.architecture)
    }

    /// The paragraph of the control file, each line ended.
    pub(crate) fn control(&self) -> String {
        let mut text = format!("Package: {}\n", self.name);
        let mut add = |name: &str, value: &str| {
            text.push_str(name);
            text.push(':');
            for (number, line) in value.trim_end().lines().enumerate() {
                text.push_str(match (number, line.trim().is_empty()) {
                    (0, _) => " ",
                    (_, false) => "\n ",
                    (_, true) => "\n .",
                });
                text.push_str(line.trim());
            }
            text.push('\n');
        };
        if let Some(source) = self.source.as_deref().filter(|source| *source != self.name) {
            add("Source", source);
        }
        add("Version", &self.version);
        add("Architecture", &self.architecture);
        let given = |name: &str| {
            self.fields
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        if !given("Maintainer") {
            add("Maintainer", "Practice Archive <archive@practice.invalid>");
        }
        if !given("Installed-Size") {
            add("Installed-Size", &self.installed_size().to_string());
        }
        for (name, value) in self
            .fields
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("Description"))
        {
            add(name, value);
        }
        let description = self
            .fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("Description"));
        add(
            "Description",
            description.map_or("package of a practice machine", |(_, value)| value),
        );
        text
    }

    fn entry(
        mut self,
        path: impl Into<String>,
        content: impl Into<Vec<u8>>,
        executable: bool,
        conffile: bool,
    ) -> Self {
        let content = content.into();
        self.files.insert(
            path.into(),
            FileEntry {
                content,
                executable,
                conffile,
            },
        );
        self
    }

    /// In KiB, every file rounded up and every directory counted as one, as Debian's tools do.
    fn installed_size(&self) -> usize {
        let files: usize = self
            .files
            .values()
            .map(|file| file.content.len().div_ceil(1024))
            .sum();
        files + deb::directories(self).len()
    }

    fn check(&self) -> Result<(), SandboxError> {
        let refuse = |reason: String| {
            Err(SandboxError::Package {
                name: self.name.clone(),
                reason,
            })
        };
        if !is_name(&self.name) {
            return refuse("its name may only have lower case letters, digits, `+`, `-` and `.`".into());
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+:~-".contains(&byte);
        if !self.version.starts_with(|first: char| first.is_ascii_digit())
            || !self.version.bytes().all(allowed)
        {
            return refuse(format!("`{}` is not a version", self.version));
        }
        if !is_name(&self.architecture) {
            return refuse(format!("`{}` is not an architecture", self.architecture));
        }
        if let Some(path) = self.files.keys().find(|path| !is_path(path)) {
            return refuse(format!("`{path}` is not a plain path relative to the root"));
        }
        let bad_name = |name: &str| {
            name.is_empty()
                || !name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if let Some((name, _)) = self
            .fields
            .iter()
            .find(|(name, value)| bad_name(name) || value.trim().is_empty())
        {
            return refuse(format!("field `{name}` has an unfit name or no value"));
        }
        let one_line = self.source.iter().chain(&self.triggers);
        match one_line.into_iter().find(|text| text.contains('\n')) {
            Some(text) => refuse(format!("`{text}` has to be one line")),
            None => Ok(()),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

/// Relative, without empty, `.` or `..` parts, and printable: safe to unpack below any root.
pub(crate) fn is_path(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_paragraph_folds_long_values_and_ends_with_the_description() {
        let package = Package::new("pixelry-tools", "1:2.7-1")
            .source("pixelry (2.7-1)")
            .field("Description", "pictures\nMore about it.\n\nAnd the end.")
            .depends("libpixelry3 (= 1:2.7-1)");
        assert_eq!(
            package.control(),
            "Package: pixelry-tools\nSource: pixelry (2.7-1)\nVersion: 1:2.7-1\nArchitecture: all\n\
             Maintainer: Practice Archive <archive@practice.invalid>\nInstalled-Size: 0\n\
             Depends: libpixelry3 (= 1:2.7-1)\nDescription: pictures\n More about it.\n .\n And the end.\n"
        );
        assert_eq!(package.file_name(), "pixelry-tools_2.7-1_all.deb");
    }

    #[test]
    fn a_description_that_could_leave_the_tree_is_refused() {
        for path in ["/etc/passwd", "../x", "usr//x", "usr/./x", "", "usr/\n"] {
            assert!(
                Package::new("x1", "1").file(path, "").to_deb().is_err(),
                "{path:?}"
            );
        }
        for (name, version) in [
            ("../x", "1"),
            ("X", "1"),
            ("", "1"),
            ("x1", ""),
            ("x1", "1/2"),
            ("x1", "a b"),
        ] {
            assert!(
                Package::new(name, version).to_deb().is_err(),
                "{name:?} {version:?}"
            );
        }
    }
}
