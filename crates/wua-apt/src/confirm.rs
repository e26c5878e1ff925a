//! The exact plan of APT itself: one simulated run (`apt-get -s`) whose JSON hook writes down what would be done.
//!
//! The hook is a line of shell that answers APT's greeting and copies what follows into a file of a private folder;
//! APT starts it four times in a run, one after the other, each with its own socket, so the copies are appended.
//! Only `install.pre-prompt` matters: it holds the whole plan (apt.md section 3). A reinstallation of the version
//! that is there does not appear in it. What comes back is checked before anybody uses it: names, architectures
//! and versions become paths and arguments later.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Stdio};

use tempfile::TempDir;
use wua_engine::Failure;
use wua_types::HResult;

use crate::child::{self, Tick};
use crate::text::harmless;
use crate::tree::{AptTree, Program};
use crate::version::is_version;

/// The most a plan's message may have: some kilobytes a package, for every package of a large machine.
const MAX_PLAN: u64 = 256 << 20;
/// The most of APT's talk that is read.
const MAX_TALK: u64 = 1 << 20;

/// Why APT's plan is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfirmError {
    #[error("cannot start `apt-get` to ask what `{asked}` would change")]
    Start { asked: String, source: io::Error },
    #[error("cannot read what `apt-get` would change for `{asked}`")]
    Read { asked: String, source: io::Error },
    #[error("APT refuses `{asked}`: {}", reasons(unmet, said))]
    Refused {
        asked: String,
        /// What it printed about unmet dependencies, a line a package.
        unmet: Vec<String>,
        /// Its errors.
        said: String,
    },
    #[error("the plan that `apt-get` gave for `{asked}` is damaged: {why}")]
    Damaged { asked: String, why: String },
    #[error("stopped at the caller's request")]
    Cancelled,
}

impl ConfirmError {
    pub(crate) fn code(&self) -> HResult {
        match self {
            Self::Start { source, .. } | Self::Read { source, .. } => wua_engine::store::io_code(source),
            Self::Refused { .. } => HResult::WU_E_INVALID_RELATIONSHIP,
            Self::Damaged { .. } => HResult::WU_E_UNEXPECTED,
            Self::Cancelled => HResult::WU_E_CALL_CANCELLED,
        }
    }
}

impl From<ConfirmError> for Failure {
    fn from(error: ConfirmError) -> Self {
        let (code, text) = (error.code(), error.to_string());
        match error {
            ConfirmError::Start { source, .. } | ConfirmError::Read { source, .. } => {
                Self::because(code, text, source)
            }
            _ => Self::new(code, text),
        }
    }
}

/// What APT would do to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Install,
    Upgrade,
    Downgrade,
    Remove,
}

/// One package of APT's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfirmedPackage {
    pub(crate) name: String,
    /// As the archive or dpkg says it, `all` included.
    pub(crate) architecture: String,
    pub(crate) mode: Mode,
    /// The version there now.
    pub(crate) from: Option<String>,
    /// The version there afterwards.
    pub(crate) to: Option<String>,
    /// Where the version comes from.
    pub(crate) origins: Vec<PackageOrigin>,
}

/// An archive that has a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(crate) struct PackageOrigin {
    pub(crate) archive: String,
    pub(crate) codename: String,
    pub(crate) label: String,
}

/// A simulated run of APT that has begun. Dropped unfinished it is ended.
#[derive(Debug)]
pub(crate) struct Simulation {
    child: Child,
    folder: TempDir,
    asked: String,
}

impl Simulation {
    /// Starts `apt-get -s ARGUMENTS`; needs no privilege and takes no lock.
    pub(crate) fn start<S: AsRef<OsStr>>(tree: &AptTree, arguments: &[S]) -> Result<Self, ConfirmError> {
        let asked = described(arguments);
        let failed = |source| ConfirmError::Start {
            asked: asked.clone(),
            source,
        };
        // The path becomes a word of shell text: `/tmp` and letters are safe there, the caller's TMPDIR may not be.
        let folder = tempfile::Builder::new()
            .prefix("wua-plan-")
            .tempdir_in("/tmp")
            .map_err(failed)?;
        let hook = hook(&folder.path().join("plan"));
        let mut command = tree.reading(Program::AptGet);
        // Where it may, APT would leave the order of its plan in the log folder, and a search writes nothing.
        command.args(["-s", "-q", "-o", "Dir::Log::Planner=/dev/null"]);
        for kind in ["Upgrade", "Install"] {
            command.arg("-o").arg(format!("AptCli::Hooks::{kind}::={hook}"));
        }
        command.args(arguments);
        // Files, not pipes: nobody has to read while the simulation runs.
        command.stdout(File::create(folder.path().join("out")).map_err(failed)?);
        command.stderr(File::create(folder.path().join("err")).map_err(failed)?);
        let child = command.stdin(Stdio::null()).spawn().map_err(failed)?;
        Ok(Self { child, folder, asked })
    }

    /// Waits for the end, asking `abort` meanwhile, and gives the plan. A run that has nothing to do is an empty plan.
    pub(crate) fn finish(mut self, abort: impl Fn() -> bool) -> Result<Vec<ConfirmedPackage>, ConfirmError> {
        let tick = || if abort() { Tick::Interrupt } else { Tick::Continue };
        let read = |source| ConfirmError::Read {
            asked: self.asked.clone(),
            source,
        };
        let status = child::wait(&mut self.child, tick).map_err(read)?;
        if abort() {
            return Err(ConfirmError::Cancelled);
        }
        if !status.success() {
            let talk = |name| read_up_to(&self.folder.path().join(name), MAX_TALK).unwrap_or_default();
            let unmet = unmet(&String::from_utf8_lossy(&talk("out")));
            let mut said = child::said(&talk("err"));
            if said.is_empty() {
                said = format!("it ended with {status} and said nothing");
            }
            return Err(ConfirmError::Refused {
                asked: self.asked.clone(),
                unmet,
                said,
            });
        }
        let plan = read_up_to(&self.folder.path().join("plan"), MAX_PLAN).map_err(read)?;
        parse(&plan).map_err(|why| ConfirmError::Damaged {
            asked: self.asked.clone(),
            why,
        })
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        child::discard(&mut self.child);
    }
}

/// One simulation from start to end, without an abort.
pub(crate) fn ask<S: AsRef<OsStr>>(
    tree: &AptTree,
    arguments: &[S],
) -> Result<Vec<ConfirmedPackage>, ConfirmError> {
    Simulation::start(tree, arguments)?.finish(|| false)
}

fn hook(plan: &Path) -> String {
    let answer = r#"{"jsonrpc":"2.0","id":0,"result":{"version":"0.2"}}"#;
    format!(
        r"printf '{answer}\n\n' >&$APT_HOOK_SOCKET; cat <&$APT_HOOK_SOCKET >>{}",
        plan.display()
    )
}

/// The question in short, for messages.
fn described<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let words: Vec<_> = arguments
        .iter()
        .map(|argument| argument.as_ref().to_string_lossy())
        .collect();
    match words.len() {
        0..=6 => words.join(" "),
        more => format!("{} … ({} more)", words[..5].join(" "), more - 5),
    }
}

/// The block that APT prints under "unmet dependencies", a line a package: `NAME : REASON; REASON`.
fn unmet(talk: &str) -> Vec<String> {
    let block = talk
        .lines()
        .skip_while(|line| !line.ends_with("unmet dependencies:"))
        .skip(1);
    let mut packages: Vec<String> = Vec::new();
    for line in block.take_while(|line| line.starts_with(' ')) {
        let words = harmless(&line.split_whitespace().collect::<Vec<_>>().join(" "));
        match packages.last_mut() {
            // Further reasons of a package stand below the first.
            Some(last) if !words.contains(" : ") => {
                last.push_str("; ");
                last.push_str(&words);
            }
            _ => packages.push(words),
        }
    }
    packages
}

fn reasons(unmet: &[String], said: &str) -> String {
    let first = unmet.iter().take(4).map(String::as_str);
    first.chain([said]).collect::<Vec<_>>().join("; ")
}

/// Reads a file that may be missing, up to a bound.
fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(limit + 1).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than any real plan",
        ));
    }
    Ok(bytes)
}

#[derive(serde::Deserialize)]
struct Message {
    params: Parameters,
}

#[derive(serde::Deserialize)]
struct Parameters {
    #[serde(default)]
    packages: Vec<RawPackage>,
}

#[derive(serde::Deserialize)]
struct RawPackage {
    name: String,
    architecture: String,
    mode: String,
    #[serde(default)]
    versions: RawVersions,
}

#[derive(Default, serde::Deserialize)]
struct RawVersions {
    install: Option<RawVersion>,
    current: Option<RawVersion>,
}

#[derive(serde::Deserialize)]
struct RawVersion {
    version: String,
    architecture: String,
    #[serde(default)]
    origins: Vec<PackageOrigin>,
}

pub(crate) fn parse(plan: &[u8]) -> Result<Vec<ConfirmedPackage>, String> {
    let is_plan =
        |line: &&[u8]| memchr::memmem::find(line, b"\"org.debian.apt.hooks.install.pre-prompt\"").is_some();
    let Some(line) = plan.split(|byte| *byte == b'\n').find(is_plan) else {
        return Ok(Vec::new());
    };
    let message: Message = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    message.params.packages.into_iter().map(checked).collect()
}

fn checked(raw: RawPackage) -> Result<ConfirmedPackage, String> {
    let mode = match raw.mode.as_str() {
        "install" => Mode::Install,
        "upgrade" => Mode::Upgrade,
        "downgrade" => Mode::Downgrade,
        "deinstall" | "purge" => Mode::Remove,
        other => return Err(format!("`{}` has the unknown mode `{other}`", raw.name)),
    };
    let (from, to) = match mode {
        Mode::Remove => (raw.versions.current, None),
        _ => (raw.versions.current, raw.versions.install),
    };
    // A package that is only marked (kept configuration, say) has neither and is no change.
    let version = to.as_ref().or(from.as_ref());
    let architecture = version
        .map_or(&raw.architecture, |version| &version.architecture)
        .clone();
    if mode != Mode::Remove && to.is_none() {
        return Err(format!("`{}` is to be changed to no version", raw.name));
    }
    for text in [from.as_ref(), to.as_ref()]
        .into_iter()
        .flatten()
        .map(|version| &version.version)
    {
        if !is_version(text) {
            return Err(format!("`{}` has the version `{text}`, which is none", raw.name));
        }
    }
    if !is_package_name(&raw.name) || !is_architecture(&architecture) {
        return Err(format!("`{}:{architecture}` is no name of a package", raw.name));
    }
    let origins = to
        .as_ref()
        .map(|version| version.origins.clone())
        .unwrap_or_default();
    let text = |version: Option<RawVersion>| version.map(|version| version.version);
    Ok(ConfirmedPackage {
        name: raw.name,
        architecture,
        mode,
        from: text(from),
        to: text(to),
        origins,
    })
}

/// Whether dpkg would take this as the name of a package.
pub(crate) fn is_package_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

/// Whether dpkg would take this as the name of an architecture.
pub(crate) fn is_architecture(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(packages: &str) -> Vec<u8> {
        let head = r#"{"jsonrpc":"2.0","method":"org.debian.apt.hooks."#;
        format!(
            "{head}hello\",\"id\":0,\"params\":{{\"versions\":[\"0.1\",\"0.2\"]}}}}\n\n\
             {head}install.pre-prompt\",\"params\":{{\"command\":\"upgrade\",\"packages\":[{packages}]}}}}\n\n"
        )
        .into_bytes()
    }

    const UPGRADE: &str = r#"{"id":1,"name":"fonts-meadow","architecture":"amd64","mode":"upgrade","automatic":false,
        "versions":{"install":{"id":1,"version":"1.106-1","architecture":"all","pin":500,"origins":[{"archive":"practice",
        "codename":"practice","origin":"Practice","label":"Practice","site":""}]},
        "current":{"id":18,"version":"1.104-1","architecture":"all","pin":100,"origins":[]}}}"#;

    #[test]
    fn a_plan_is_read_with_the_archives_own_architecture() {
        let packages = parse(&message(&UPGRADE.replace('\n', ""))).expect("a plan");
        let origin = PackageOrigin {
            archive: "practice".into(),
            codename: "practice".into(),
            label: "Practice".into(),
        };
        let expected = ConfirmedPackage {
            name: "fonts-meadow".into(),
            architecture: "all".into(),
            mode: Mode::Upgrade,
            from: Some("1.104-1".into()),
            to: Some("1.106-1".into()),
            origins: vec![origin],
        };
        assert_eq!(packages, [expected]);
    }

    #[test]
    fn a_run_without_a_plan_has_nothing_to_do() {
        assert_eq!(parse(b""), Ok(Vec::new()));
    }

    #[test]
    fn a_hostile_plan_is_refused() {
        let plain = UPGRADE.replace('\n', "");
        for (from, to) in [
            ("fonts-meadow", "../../etc"),
            ("fonts-meadow", "--config"),
            ("1.106-1", "1 2"),
            ("\"all\"", "\"a/b\""),
            ("\"upgrade\"", "\"explode\""),
            ("\"install\":", "\"other\":"),
        ] {
            assert!(parse(&message(&plain.replace(from, to))).is_err(), "{to}");
        }
        assert!(parse(&message("{")).is_err());
    }

    #[test]
    fn unmet_dependencies_become_a_line_a_package() {
        let talk = "Some packages could not be installed.\nThe following packages have unmet dependencies:\n \
                    brightshell : Depends: libbright4 (>= 4) but it is not installable\n               \
                    Recommends: x\n other : Depends: y\nnext\n";
        let expected = [
            "brightshell : Depends: libbright4 (>= 4) but it is not installable; Recommends: x",
            "other : Depends: y",
        ];
        assert_eq!(unmet(talk), expected);
    }
}
