//! The practice machine of the ordeal: ten packages with scripts, a trigger, a configuration file and a new dependency, in two
//! versions; restored from a copy for each round, at the same path.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;
use wua_sandbox::{Package, PracticeMachine, Script, Suite};

use crate::judge::Verdict;
use crate::victims::processes_of;
use crate::{Outcome, quiet};

/// How many packages are upgraded; one more comes new with the upgrade.
pub(crate) const PACKAGES: usize = 10;
const EXTRA: &str = "ordeal-extra";

/// Where a round begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Snapshot {
    /// The old versions are installed and the new ones offered.
    Old = 0,
    /// wua installed the new versions.
    New = 1,
}

/// How long an undisturbed job takes, and from when on dpkg works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    pub(crate) whole: Duration,
    pub(crate) dpkg_from: Duration,
}

#[derive(Debug)]
pub(crate) struct Practice {
    root: PathBuf,
    folder: PathBuf,
    wua: PathBuf,
}

pub(crate) fn is_extra(name: &str) -> bool {
    name == EXTRA
}

/// The `wua` that was built with this program.
pub(crate) fn beside_this_program() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program
        .parent()
        .and_then(Path::parent)
        .ok_or("this program has no folder")?;
    Ok(folder.join("wua"))
}

/// All packages of one version. Scripts take their time, and note when two of one package run at once.
pub(crate) fn packages(version: &str) -> Vec<Package> {
    let script = |name: &str| {
        format!(
            "mark=\"$DPKG_ROOT/var/lib/ordeal/{name}\"\nmkdir -p \"$DPKG_ROOT/var/lib/ordeal\"\n\
             if other=$(cat \"$mark\" 2>/dev/null) && [ -n \"$other\" ] && kill -0 \"$other\" 2>/dev/null &&\n\
             grep -q {name} \"/proc/$other/cmdline\" 2>/dev/null; then echo {name} >>\"$DPKG_ROOT/var/lib/ordeal-doubled\"; fi\n\
             echo $$ >\"$mark\"\nsleep 0.04\nrm -f \"$mark\"\n"
        )
    };
    let mut packages: Vec<Package> = (0..PACKAGES)
        .map(|number| {
            let name = format!("ordeal-{number}");
            let mut package = Package::new(&name, version).script(Script::Postinst, script(&name));
            for file in 0..8 {
                package = package.file(
                    format!("usr/share/{name}/file{file}"),
                    content(&name, version, file),
                );
            }
            match number {
                1 => package.script(Script::Preinst, script(&name)),
                2 => package.conffile("etc/ordeal-2.conf", format!("version = {version}\n")),
                3 => package.trigger("interest-noawait /usr/share/ordeal-4"),
                5 => package.depends(format!("ordeal-6 (= {version})")),
                7 if version == "2" => package.depends(EXTRA),
                8 => package.script(Script::Prerm, script(&name)),
                _ => package,
            }
        })
        .collect();
    if version == "2" {
        packages.push(
            Package::new(EXTRA, version).file(format!("usr/share/{EXTRA}/file0"), content(EXTRA, version, 0)),
        );
    }
    packages
}

/// What file number `file` of a package holds.
pub(crate) fn content(name: &str, version: &str, file: usize) -> String {
    format!("{name} {version} {file}\n").repeat(300)
}

impl Practice {
    pub(crate) fn make(folder: &Path, wua: &Path) -> Outcome<Self> {
        let practice = Self {
            root: folder.join("machine"),
            folder: folder.into(),
            wua: wua.canonicalize()?,
        };
        let machine = PracticeMachine::empty(&practice.root)?;
        machine.publish(Suite::Practice, &packages("1"))?;
        machine.refresh()?;
        let names: Vec<String> = (0..PACKAGES).map(|number| format!("ordeal-{number}")).collect();
        machine.install(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        machine.publish(Suite::Practice, &packages("2"))?;
        machine.refresh()?;
        practice.keep(Snapshot::Old)?;
        let status = practice.command(practice.job_of(Snapshot::Old)).status()?;
        if !status.success() {
            return Err(format!("an undisturbed upgrade ended with {status}").into());
        }
        practice.keep(Snapshot::New)?;
        Ok(practice)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn job_of(&self, from: Snapshot) -> &'static [&'static str] {
        match from {
            Snapshot::Old => &["install", "--all"],
            Snapshot::New => &["uninstall", "--all"],
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.wua);
        quiet(command.arg("--root").arg(&self.root).args(words));
        command
    }

    pub(crate) fn start(&self, words: &[&str]) -> Outcome<Child> {
        Ok(self.command(words).spawn()?)
    }

    fn copy(&self, from: &Path, to: &Path) -> Outcome<()> {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        let status = Command::new("cp")
            .arg("-a")
            .arg("--")
            .arg(from)
            .arg(to)
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("cp ended with {status}").into())
        }
    }

    fn kept(&self, snapshot: Snapshot) -> PathBuf {
        self.folder.join(format!("{snapshot:?}").to_lowercase())
    }

    fn keep(&self, snapshot: Snapshot) -> Outcome<()> {
        self.copy(&self.root, &self.kept(snapshot))
    }

    pub(crate) fn restore(&self, snapshot: Snapshot) -> Outcome<()> {
        self.copy(&self.kept(snapshot), &self.root)
    }

    /// Does the job undisturbed and looks when dpkg begins.
    pub(crate) fn length_of(&self, from: Snapshot) -> Outcome<Length> {
        self.restore(from)?;
        let begun = Instant::now();
        let mut front = self.start(self.job_of(from))?;
        let mut dpkg_from = None;
        while front.try_wait()?.is_none() {
            let works = || processes_of(&self.root).iter().any(|process| process.is_worker());
            if dpkg_from.is_none() && self.root.join("var/lib/wua/jobs").exists() && works() {
                dpkg_from = Some(begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let whole = begun.elapsed();
        Ok(Length {
            whole,
            dpkg_from: dpkg_from.unwrap_or(whole / 2),
        })
    }

    /// Whether plain `dpkg --configure -a` makes a copy of the machine whole.
    pub(crate) fn configure_copy(&self) -> Outcome<bool> {
        let copy = self.folder.join("copy");
        self.copy(&self.root, &copy)?;
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", copy.display())).args([
            "--force-not-root",
            "--force-script-chrootless",
            "--force-bad-path",
            "--force-confdef",
            "--force-confold",
            "--configure",
            "-a",
        ]);
        quiet(&mut command).status()?;
        Ok(crate::judge::is_whole(&copy)?)
    }

    /// How many results in the history say what is not so.
    pub(crate) fn false_results(&self, verdict: &Verdict) -> Outcome<u32> {
        let output = Command::new(&self.wua)
            .arg("--root")
            .arg(&self.root)
            .args(["--output", "json", "history", "--limit", "10000"])
            .output()?;
        let history: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| -> Box<dyn Error> { format!("the history cannot be read: {error}").into() })?;
        let mut wrong = history["unfinished"].as_array().map_or(1, Vec::len) as u32;
        let mut seen = std::collections::BTreeSet::new();
        for entry in history["entries"].as_array().into_iter().flatten() {
            let name = entry["title"]
                .as_str()
                .unwrap_or_default()
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned();
            // Newest first: only the last word on an update can be true now.
            if !seen.insert(name.clone()) {
                continue;
            }
            let succeeded = matches!(entry["result_code"].as_i64(), Some(2 | 3));
            let wanted = if entry["operation"] == "install" { "2" } else { "1" };
            let is_there = verdict.is_settled(&name, wanted);
            // A failure that a later repair mended was a failure all the same.
            if succeeded && !is_there {
                wrong += 1;
            }
        }
        Ok(wrong)
    }

    /// How often two scripts of one package ran at once.
    pub(crate) fn doubled(&self) -> u32 {
        let noted = fs::read_to_string(self.root.join("var/lib/ordeal-doubled")).unwrap_or_default();
        noted.lines().count() as u32
    }
}
