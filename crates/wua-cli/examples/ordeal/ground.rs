//! Where the ordeal takes place: one machine at one path, restored from a copy for each round. Either a practice machine
//! ([`crate::practice`]), or a real root with real pending updates that the caller made (`--root`).
//!
//! How the machine has to look before and after is recorded from what plain apt-get makes of it, not from wua.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::copy;
use crate::expected::{Expected, Settled};
use crate::judge::Verdict;
use crate::victims::{Victim, kill, processes_of};
use crate::{Outcome, practice, quiet, wait_for_silence};

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
pub(crate) struct Ground {
    root: PathBuf,
    folder: PathBuf,
    wua: PathBuf,
    is_real: bool,
    expected: Expected,
}

impl Ground {
    /// Makes the machine in `folder`: a practice machine, or a copy of the real root `real`, whose indexes are fetched.
    pub(crate) fn make(folder: &Path, wua: &Path, real: Option<&Path>) -> Outcome<Self> {
        let mut ground = Self {
            root: folder.join("machine"),
            folder: folder.into(),
            wua: wua.canonicalize()?,
            is_real: real.is_some(),
            expected: Expected::default(),
        };
        match real {
            Some(real) => copy(real, &ground.root)?,
            None => practice::make(&ground.root)?,
        }
        ground.keep(Snapshot::Old)?;
        let old = Settled::record(&ground.root)?;
        let status = ground.plain_upgrade()?.status()?;
        if !status.success() {
            return Err(format!("plain apt-get ended with {status}").into());
        }
        ground.expected = Expected::between(old, Settled::record(&ground.root)?)?;
        ground.restore(Snapshot::Old)?;
        let status = ground.command(ground.job_of(Snapshot::Old)).status()?;
        if !status.success() {
            return Err(format!("an undisturbed upgrade ended with {status}").into());
        }
        ground.keep(Snapshot::New)?;
        Ok(ground)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.expected
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
        // What it says is kept for whoever looks into a failed round.
        let log = OpenOptions::new().create(true).append(true).open(self.log());
        if let Ok((out, err)) = log.and_then(|log| Ok((log.try_clone()?, log))) {
            command.stdout(out).stderr(err);
        }
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.join("words")
    }

    pub(crate) fn start(&self, words: &[&str]) -> Outcome<Child> {
        Ok(self.command(words).spawn()?)
    }

    fn kept(&self, snapshot: Snapshot) -> PathBuf {
        self.folder.join(format!("{snapshot:?}").to_lowercase())
    }

    fn keep(&self, snapshot: Snapshot) -> Outcome<()> {
        copy(&self.root, &self.kept(snapshot))
    }

    pub(crate) fn restore(&self, snapshot: Snapshot) -> Outcome<()> {
        copy(&self.kept(snapshot), &self.root)?;
        fs::write(self.log(), "")?;
        Ok(())
    }

    /// Puts the machine aside as it is now, for whoever looks into a failed round.
    pub(crate) fn put_aside(&self, round: u32) -> Outcome<PathBuf> {
        let place = self.folder.join(format!("failed-{round}"));
        copy(&self.root, &place)?;
        fs::copy(self.log(), place.join("words"))?;
        Ok(place)
    }

    /// The same upgrade as unattended-upgrades does it: by plain apt-get.
    fn plain_upgrade(&self) -> Outcome<Command> {
        let mut command = if self.is_real {
            let mut command = Command::new("chroot");
            command.arg(&self.root).arg("apt-get").env_clear().envs([
                ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
                ("LC_ALL", "C.UTF-8"),
                ("DEBIAN_FRONTEND", "noninteractive"),
            ]);
            command
        } else {
            practice::apt_get(&self.root)?
        };
        command.args(["-y", "-q", "upgrade", "--with-new-pkgs"]);
        command.args(["-o", "Dpkg::Options::=--force-confdef"]);
        command.args(["-o", "Dpkg::Options::=--force-confold"]);
        // What it starts is known by this.
        command.env("WUA_ORDEAL", &self.root);
        quiet(&mut command);
        Ok(command)
    }

    /// How long plain apt-get takes.
    pub(crate) fn plain_length(&self) -> Outcome<Duration> {
        self.restore(Snapshot::Old)?;
        let begun = Instant::now();
        let status = self.plain_upgrade()?.status()?;
        if status.success() {
            Ok(begun.elapsed())
        } else {
            Err(format!("plain apt-get ended with {status}").into())
        }
    }

    /// The baseline of a round: the same kill at plain apt-get, then plain `dpkg --configure -a`. Whether the kill left the
    /// machine unfinished, and whether dpkg made it whole.
    pub(crate) fn baseline(&self, victim: Victim, instant: Duration) -> Outcome<(bool, bool)> {
        self.restore(Snapshot::Old)?;
        let mut front = self.plain_upgrade()?.spawn()?;
        std::thread::sleep(instant);
        kill(victim, front.id(), &self.root);
        front.wait()?;
        wait_for_silence(&self.root, None)?;
        let is_unfinished = !crate::judge::judge(&self.root, &self.expected)?.is_whole();
        let is_healed = is_unfinished && self.configure()?;
        Ok((is_unfinished, is_healed))
    }

    /// Whether plain `dpkg --configure -a` makes the machine whole.
    fn configure(&self) -> Outcome<bool> {
        let mut command = if self.is_real {
            let mut command = Command::new("chroot");
            command.arg(&self.root).arg("dpkg");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        } else {
            practice::dpkg(&self.root)?
        };
        command.args(["--force-confdef", "--force-confold", "--configure", "-a"]);
        quiet(&mut command).status()?;
        Ok(crate::judge::judge(&self.root, &self.expected)?.is_whole())
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

    /// What the history says that is not so, as sentences: a success that is none, an update twice in one job, a job that is
    /// still listed as unfinished, a change that no record tells.
    pub(crate) fn false_results(&self, from: Snapshot, verdict: &Verdict) -> Outcome<Vec<String>> {
        let output = Command::new(&self.wua)
            .arg("--root")
            .arg(&self.root)
            .args(["--output", "json", "history", "--limit", "10000"])
            .output()?;
        let history: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| -> Box<dyn Error> { format!("the history cannot be read: {error}").into() })?;
        let mut wrong = Vec::new();
        for job in history["unfinished"].as_array().into_iter().flatten() {
            wrong.push(format!("still listed as unfinished: {job}"));
        }
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let (mut told, mut latest) = (BTreeSet::new(), BTreeSet::new());
        let wanted = if from == Snapshot::Old {
            "install"
        } else {
            "uninstall"
        };
        for entry in history["entries"].as_array().into_iter().flatten() {
            let title = text(entry, "title");
            let source = title.split(' ').next().unwrap_or_default().to_owned();
            if !told.insert((text(entry, "job"), title.clone())) {
                wrong.push(format!("{title} stands twice in the history of one job"));
            }
            // Newest first: only the last word on an update can be true now.
            if !latest.insert(source.clone()) {
                continue;
            }
            let operation = text(entry, "operation");
            let side = if operation == "install" {
                Snapshot::New
            } else {
                Snapshot::Old
            };
            let succeeded = matches!(entry["result_code"].as_i64(), Some(2 | 3));
            // A failure that a later repair mended was a failure all the same.
            if succeeded && !self.expected.is_at(&source, side, verdict) {
                wrong.push(format!("{title}: {operation} succeeded, says the history"));
            }
            if operation != wanted && self.expected.is_at(&source, opposite(from), verdict) {
                wrong.push(format!("{title}: the history does not know that it was changed"));
            }
        }
        Ok(wrong)
    }

    /// How often two scripts of one package ran at once; only the scripts of practice packages tell.
    pub(crate) fn doubled(&self) -> u32 {
        let noted = fs::read_to_string(self.root.join(practice::DOUBLED)).unwrap_or_default();
        noted.lines().count() as u32
    }
}

/// Where a round that begins at `from` is to end.
pub(crate) fn opposite(from: Snapshot) -> Snapshot {
    match from {
        Snapshot::Old => Snapshot::New,
        Snapshot::New => Snapshot::Old,
    }
}
