//! The gate (rule G1): inside the real run, just before dpkg, apt shows what it is going to do; the gate compares that
//! with what was authorised, archive by archive, and stops apt at any difference.
//!
//! The gate is a script of shell, sed and coreutils (all essential) in the job's folder: it needs no living keeper
//! and works in a chroot. APT passes hooks to a shell and finds their options by their first word, so the hook is a fixed
//! text and the script's path comes by the environment: no path needs quoting. What the gate saw is read and put into
//! words here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::run::{RunError, write_whole};

/// APT finds the options of a hook under its first word, so that is a way to write `/bin/sh` that no other hook begins with:
/// else ours would change what those are told.
const HOOK: &str = "DPkg::Pre-Install-Pkgs::=/bin/../bin/./sh \"$WUA_GATE\"";
const HOOK_VERSION: &str = "DPkg::Tools::Options::/bin/../bin/./sh::Version=3";
const SCRIPT_VARIABLE: &str = "WUA_GATE";

/// Reads `VERSION 3`, the configuration and an empty line, then one line a step, by sed: a shell reads such a pipe byte by byte. A
/// line of another form stays as it is, and is a difference. The sorted steps are held to their hash as the archives are to theirs:
/// each program more would be another millisecond before dpkg starts. Anything unexpected, a full disk included, ends it with an
/// error, and apt with it.
const SCRIPT: &str = r#"# The gate of a wua job: apt asks it before dpkg touches anything.
set -eu
LC_ALL=C
export LC_ALL
base=${WUA_GATE%.sh}
# name old its-architecture its-multi-arch direction new its-architecture its-multi-arch file
sed -e '1{' -e '/^VERSION 3$/!Q1' -e '}' \
    -e '1,/^$/d' \
    -e '/ \*\*CONFIGURE\*\*$/d' \
    -e 's/^\([^ ]*\) \([^ ]*\) \([^ ]*\) [^ ]* [^ ]* [^ ]* [^ ]* [^ ]* \(\*\*REMOVE\*\*\)$/\1 \2 - \3 \4/;t' \
    -e 's/^\([^ ]*\) \([^ ]*\) [^ ]* [^ ]* [^ ]* \([^ ]*\) \([^ ]*\) [^ ]* \(.*\)$/\1 \2 \3 \4 \5/' >"$base.steps"
sort "$base.steps" >"$base.seen"
if ! sha256sum -c --strict --quiet "$base.hashes" >"$base.altered"; then
    echo refused >"$base.verdict"
    echo "wua: apt's plan or an archive is not the authorised one" >&2
    exit 1
fi
echo passed >"$base.verdict"
"#;

/// One step that is authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorised {
    /// The package.
    pub(crate) name: String,
    /// Its architecture after the step; before it, for a removal.
    pub(crate) architecture: String,
    /// The version before.
    pub(crate) old: Option<String>,
    /// The version afterwards; none for a removal.
    pub(crate) new: Option<String>,
    /// The archive as apt names it, and its SHA-256; none for a removal.
    pub(crate) archive: Option<(PathBuf, String)>,
}

impl Authorised {
    fn line(&self) -> Vec<u8> {
        let or_none = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".into());
        let (old, new) = (or_none(&self.old), or_none(&self.new));
        let mut line = format!("{} {old} {new} {} ", self.name, self.architecture).into_bytes();
        match &self.archive {
            Some((path, _)) => line.extend_from_slice(path.as_os_str().as_encoded_bytes()),
            None => line.extend_from_slice(b"**REMOVE**"),
        }
        line.push(b'\n');
        line
    }
}

/// What the gate found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// apt never came so far, the script could not do its work, or it met a difference that is none of packages and archives.
    NotReached,
    /// apt's plan is the authorised one.
    Passed,
    /// It is not. Nothing was touched.
    Refused(Vec<Difference>),
}

/// One difference between apt's plan and the authorised one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The package.
    pub(crate) name: String,
    /// Its architecture.
    pub(crate) architecture: String,
    /// Whether nothing was authorised about the package.
    pub(crate) is_extra: bool,
    /// The version apt wants there; none for a removal.
    pub(crate) wanted: Option<String>,
    /// Whether the archive's bytes are the difference.
    pub(crate) is_altered: bool,
    /// The difference as a sentence without its full stop.
    pub(crate) sentence: String,
}

/// Forgets what the gate of the run `tag` found: another run begins with it.
pub(crate) fn forget_verdict(folder: &Path, tag: &str) {
    let verdict = with_ending(&folder.join(format!("gate-{tag}")), "verdict");
    if let Err(error) = fs::remove_file(&verdict)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %verdict.display(), %error, "what the gate found before cannot be forgotten");
    }
}

/// The gate of one run.
#[derive(Debug)]
pub(crate) struct Gate {
    base: PathBuf,
    script: PathBuf,
    authorised: Vec<Authorised>,
}

impl Gate {
    /// Writes the gate of the run `tag` into the job's folder. `inside` is the folder as apt will see it.
    pub(crate) fn prepare(
        folder: &Path,
        inside: &Path,
        tag: &str,
        authorised: Vec<Authorised>,
    ) -> Result<Self, RunError> {
        let base = folder.join(format!("gate-{tag}"));
        let mut lines: Vec<Vec<u8>> = authorised.iter().map(Authorised::line).collect();
        // As the script's sort does it.
        lines.sort();
        let steps = hex::encode(Sha256::digest(lines.concat()));
        let steps = (inside.join(format!("gate-{tag}.seen")), steps);
        let archives = authorised.iter().filter_map(|step| step.archive.as_ref());
        let hashes = std::iter::once(&steps)
            .chain(archives)
            .flat_map(|(path, sha256)| {
                [
                    sha256.as_bytes(),
                    b"  ",
                    path.as_os_str().as_encoded_bytes(),
                    b"\n",
                ]
                .concat()
            });
        write_whole(&with_ending(&base, "hashes"), &hashes.collect::<Vec<_>>())?;
        write_whole(&with_ending(&base, "sh"), SCRIPT.as_bytes())?;
        Ok(Self {
            script: inside.join(format!("gate-{tag}.sh")),
            base,
            authorised,
        })
    }

    /// Makes a command that starts apt ask this gate.
    pub(crate) fn guard(&self, command: &mut Command) {
        command
            .args(["-o", HOOK, "-o", HOOK_VERSION])
            .env(SCRIPT_VARIABLE, &self.script);
    }

    /// What the gate found in the run that has ended.
    pub(crate) fn verdict(&self) -> Verdict {
        let text = |ending| {
            let bytes = fs::read(with_ending(&self.base, ending)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        match text("verdict").as_str() {
            "passed\n" => return Verdict::Passed,
            "refused\n" => {}
            _ => return Verdict::NotReached,
        }
        let mut differences = compare(&self.authorised, seen_steps(&text("seen")));
        if differences.is_empty() {
            // Asked only where the steps agree: another plan brings other archives, and all of ours would be missing.
            differences = self.altered(&text("altered"));
        }
        if differences.is_empty() {
            Verdict::NotReached
        } else {
            Verdict::Refused(differences)
        }
    }

    /// Reads `PATH: FAILED` and the like, as sha256sum says it.
    fn altered(&self, text: &str) -> Vec<Difference> {
        let named = |path: &Path| {
            text.lines()
                .any(|line| line.starts_with(&format!("{}: FAILED", path.display())))
        };
        let steps = self.authorised.iter();
        let altered = steps.filter(|step| step.archive.as_ref().is_some_and(|(path, _)| named(path)));
        altered
            .map(|step| Difference {
                is_altered: true,
                sentence: format!(
                    "the archive of `{}` was altered after it had been verified",
                    step.name
                ),
                ..difference(&step.name, &step.architecture, step.new.clone())
            })
            .collect()
    }
}

fn with_ending(base: &Path, ending: &str) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn difference(name: &str, architecture: &str, wanted: Option<String>) -> Difference {
    Difference {
        name: name.into(),
        architecture: architecture.into(),
        is_extra: false,
        wanted,
        is_altered: false,
        sentence: String::new(),
    }
}

/// The steps of apt's plan, by package and architecture.
pub(crate) type SeenSteps = BTreeMap<(String, String), SeenStep>;

/// What apt wants to do to a package.
#[derive(Clone, Debug)]
pub(crate) struct SeenStep {
    /// The version before.
    pub(crate) old: Option<String>,
    /// The version afterwards; none for a removal.
    pub(crate) new: Option<String>,
    /// The archive as apt names it, where that is known.
    pub(crate) file: Option<String>,
}

/// Reads what the gate wrote down.
pub(crate) fn seen_steps(seen: &str) -> SeenSteps {
    let steps = seen.lines().filter_map(|line| {
        let fields: Vec<_> = line.splitn(5, ' ').collect();
        let [name, old, new, architecture, file] = fields[..] else {
            return None;
        };
        let some = |version: &str| (version != "-").then(|| version.to_owned());
        let step = SeenStep {
            old: some(old),
            new: some(new),
            file: Some(file.into()),
        };
        Some(((name.into(), architecture.into()), step))
    });
    steps.collect()
}

/// Compares the authorised steps with apt's, package by package.
pub(crate) fn compare(authorised: &[Authorised], mut steps: SeenSteps) -> Vec<Difference> {
    let mut differences = Vec::new();
    for step in authorised {
        let Authorised {
            name, architecture, ..
        } = step;
        let found = steps.remove(&(name.clone(), architecture.clone()));
        let wanted = found.as_ref().and_then(|found| found.new.clone());
        if let Some(sentence) = deviation(step, found) {
            differences.push(Difference {
                sentence,
                ..difference(name, architecture, wanted)
            });
        }
    }
    for ((name, architecture), SeenStep { new, .. }) in steps {
        let sentence = match &new {
            Some(new) => format!("apt also wants to install `{name}` {new}"),
            None => format!("apt also wants to remove `{name}`"),
        };
        differences.push(Difference {
            is_extra: true,
            sentence,
            ..difference(&name, &architecture, new)
        });
    }
    differences
}

/// How apt's step differs from an authorised one, if it does.
fn deviation(step: &Authorised, found: Option<SeenStep>) -> Option<String> {
    let Authorised {
        name,
        old,
        new,
        archive,
        ..
    } = step;
    let Some(found) = found else {
        return Some(match new {
            Some(new) => format!("apt does not want to install `{name}` {new}"),
            None => format!("apt does not want to remove `{name}`"),
        });
    };
    if found.new != *new {
        return Some(match (found.new, new) {
            (Some(found), Some(new)) => format!("apt wants to install `{name}` {found} instead of {new}"),
            (Some(found), None) => format!("apt wants to install `{name}` {found} instead of removing it"),
            (None, _) => format!("apt wants to remove `{name}`"),
        });
    }
    if found.old != *old {
        let at = |version: &Option<String>| match version {
            Some(version) => format!("at {version}"),
            None => "not installed".into(),
        };
        return Some(format!("`{name}` is {} instead of {}", at(&found.old), at(old)));
    }
    match (found.file.as_deref()?, archive.as_ref()?) {
        ("**ERROR**", _) => Some(format!("apt finds no archive of `{name}`")),
        (file, (path, _)) if path != Path::new(file) => {
            Some(format!("apt wants to take `{name}` from `{file}`"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Stdio;

    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn step(name: &str, old: Option<&str>, new: Option<&str>, folder: &Path) -> Authorised {
        let archive = new.map(|_| (folder.join(format!("{name}.deb")), ABC.into()));
        let owned = |text: Option<&str>| text.map(Into::into);
        Authorised {
            name: name.into(),
            architecture: "amd64".into(),
            old: owned(old),
            new: owned(new),
            archive,
        }
    }

    fn check(authorised: &[(&str, Option<&str>, Option<&str>)], shown: &str) -> (bool, Verdict) {
        check_protocol("VERSION 3", authorised, shown)
    }

    /// Shows a plan to the script as apt does; whether it passes.
    fn ask(gate: &Gate, input: &str) -> bool {
        let hook = HOOK.split_once('=').expect("an option").1;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", hook])
            .env(SCRIPT_VARIABLE, &gate.script)
            .stdin(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = shell.spawn().expect("there is a shell");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).expect("written");
        drop(stdin);
        child.wait().expect("waited for").success()
    }

    /// Runs the real script in a folder whose name would break an unquoted shell, and tells its verdict.
    fn check_protocol(
        protocol: &str,
        authorised: &[(&str, Option<&str>, Option<&str>)],
        shown: &str,
    ) -> (bool, Verdict) {
        let parent = tempfile::tempdir().expect("temporary folder");
        let folder = parent.path().join("a b'c\"$(d)");
        fs::create_dir(&folder).expect("folder");
        for (name, ..) in authorised {
            fs::write(
                folder.join(format!("{name}.deb")),
                if *name == "altered" { "abd" } else { "abc" },
            )
            .expect("file");
        }
        let steps = authorised
            .iter()
            .map(|(name, old, new)| step(name, *old, *new, &folder))
            .collect();
        let gate = Gate::prepare(&folder, &folder, "1.0", steps).expect("written");
        let shown = shown.replace("@", &format!("{}/", folder.display()));
        let passed = ask(
            &gate,
            &format!("{protocol}\nAPT::Architecture=amd64\nA::Password=secret\n\n{shown}"),
        );
        for file in fs::read_dir(&folder).expect("the folder") {
            let written = fs::read_to_string(file.expect("a file").path()).expect("text");
            assert!(
                !written.contains("secret"),
                "the configuration may hold credentials"
            );
        }
        (passed, gate.verdict())
    }

    fn refused(authorised: &[(&str, Option<&str>, Option<&str>)], shown: &str) -> Vec<String> {
        match check(authorised, shown) {
            (false, Verdict::Refused(differences)) => {
                differences.into_iter().map(|one| one.sentence).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_authorised_plan_passes_in_any_order_and_with_leftovers_to_configure() {
        let authorised = [
            ("a", Some("1"), Some("2")),
            ("b", None, Some("1:3")),
            ("c", Some("5"), None),
        ];
        let shown = "c 5 amd64 none > - - none **REMOVE**\nb - - none < 1:3 amd64 same @b.deb\n\
                     a 1 amd64 none < 2 amd64 none @a.deb\na 1 amd64 none < 2 amd64 none **CONFIGURE**\n\
                     old 5.2-1 amd64 none = 5.2-1 amd64 none **CONFIGURE**\n";
        assert_eq!(check(&authorised, shown), (true, Verdict::Passed));
    }

    #[test]
    fn a_plan_in_another_protocol_or_form_does_not_pass() {
        let authorised = [("a", Some("1"), Some("2"))];
        let shown = "a 1 amd64 none < 2 amd64 none @a.deb\n";
        assert_eq!(check(&authorised, shown), (true, Verdict::Passed));
        assert_eq!(
            check_protocol("VERSION 2", &authorised, shown),
            (false, Verdict::NotReached)
        );
        let (passed, _) = check(&authorised, "a 1 < 2 @a.deb\n");
        assert!(!passed);
    }

    #[test]
    fn an_extra_package_and_an_unexpected_removal_are_named() {
        let shown = "a 1 amd64 none < 2 amd64 none @a.deb\nx - - none < 7 all none @x.deb\ny 1 amd64 none > - - none **REMOVE**\n";
        let sentences = refused(&[("a", Some("1"), Some("2"))], shown);
        assert_eq!(
            sentences,
            ["apt also wants to install `x` 7", "apt also wants to remove `y`"]
        );
    }

    #[test]
    fn another_version_before_or_after_is_named() {
        let shown = "a 1 amd64 none < 2.1 amd64 none @a.deb\nb 1.5 amd64 none < 2 amd64 none @b.deb\n";
        let sentences = refused(&[("a", Some("1"), Some("2")), ("b", Some("1"), Some("2"))], shown);
        assert_eq!(
            sentences,
            [
                "apt wants to install `a` 2.1 instead of 2",
                "`b` is at 1.5 instead of at 1"
            ]
        );
    }

    #[test]
    fn a_missing_package_another_archive_and_none_are_named() {
        let shown = "b 1 amd64 none < 2 amd64 none /tmp/b.deb\nc 1 amd64 none < 2 amd64 none **ERROR**\n";
        let authorised = [
            ("a", Some("1"), Some("2")),
            ("b", Some("1"), Some("2")),
            ("c", Some("1"), Some("2")),
        ];
        let expected = [
            "apt does not want to install `a` 2",
            "apt wants to take `b` from `/tmp/b.deb`",
            "apt finds no archive of `c`",
        ];
        assert_eq!(refused(&authorised, shown), expected);
    }

    #[test]
    fn an_altered_archive_is_noticed() {
        let shown = "altered 1 amd64 none < 2 amd64 none @altered.deb\n";
        let sentences = refused(&[("altered", Some("1"), Some("2"))], shown);
        assert_eq!(
            sentences,
            ["the archive of `altered` was altered after it had been verified"]
        );
    }

    #[test]
    fn a_plan_of_removals_alone_is_held_to() {
        let authorised = [("a", Some("1"), None)];
        let removal = |name: &str| format!("{name} 1 amd64 none > - - none **REMOVE**\n");
        assert_eq!(check(&authorised, &removal("a")), (true, Verdict::Passed));
        assert_eq!(
            refused(&authorised, &(removal("a") + &removal("b"))),
            ["apt also wants to remove `b`"]
        );
    }

    #[test]
    fn a_hash_that_is_none_does_not_pass() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::write(folder.path().join("a.deb"), "abc").expect("file");
        let mut steps = vec![step("a", Some("1"), Some("2"), folder.path())];
        for (hash, passes) in [(ABC, true), (&ABC[1..], false)] {
            steps[0].archive = Some((folder.path().join("a.deb"), hash.into()));
            let gate = Gate::prepare(folder.path(), folder.path(), "1.0", steps.clone()).expect("written");
            let shown = "a 1 amd64 none < 2 amd64 none @a.deb\n";
            let shown = shown.replace('@', &format!("{}/", folder.path().display()));
            assert_eq!(ask(&gate, &format!("VERSION 3\n\n{shown}")), passes, "{hash}");
        }
    }

    #[test]
    fn a_verdict_can_be_forgotten_for_another_run() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let gate = Gate::prepare(folder.path(), folder.path(), "1.0", Vec::new()).expect("written");
        assert!(ask(&gate, "VERSION 3\n\n"));
        assert_eq!(gate.verdict(), Verdict::Passed);
        forget_verdict(folder.path(), "1.0");
        assert_eq!(gate.verdict(), Verdict::NotReached);
    }

    #[test]
    fn a_gate_that_was_cut_short_has_refused_nothing() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let steps = vec![step("a", Some("1"), Some("2"), folder.path())];
        let gate = Gate::prepare(folder.path(), folder.path(), "1.0", steps).expect("written");
        fs::write(folder.path().join("gate-1.0.seen"), "").expect("half of it");
        assert_eq!(gate.verdict(), Verdict::NotReached);
        fs::write(folder.path().join("gate-1.0.verdict"), "pass").expect("half of it");
        assert_eq!(gate.verdict(), Verdict::NotReached);
    }
}
