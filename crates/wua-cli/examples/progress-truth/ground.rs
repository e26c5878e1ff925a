//! Where it takes place: one machine at one path, restored from a copy before each measurement. Either a practice machine,
//! or a copy of a real root with pending updates that the caller made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wua_sandbox::{PracticeMachine, Suite};

use crate::common::copy;
use crate::transaction::Transaction;
use crate::{Outcome, server};

/// Where the agent keeps what it learned, relative to the root.
const STATE: &str = "var/lib/wua/wua.db";
const SOURCES: &str = "etc/apt/sources.list.d/practice.sources";

/// What the agent knows before it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// Nothing: another tool made every change until now.
    Nothing,
    /// What one earlier run of similar updates taught it.
    OneRun,
}

impl Learned {
    fn folder(self) -> &'static str {
        match self {
            Self::Nothing => "nothing-learned",
            Self::OneRun => "one-run",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ground {
    folder: PathBuf,
    wua: PathBuf,
    is_practice: bool,
}

impl Ground {
    /// Practice machines in `folder` with the transaction's packages at version 2, which another tool or wua itself brought
    /// there from version 1, and with version 3 on offer.
    pub(crate) fn practice(folder: &Path, wua: &Path, transaction: Transaction) -> Outcome<Self> {
        let ground = Self {
            folder: folder.into(),
            wua: wua.into(),
            is_practice: true,
        };
        let machine = PracticeMachine::empty(&ground.root())?;
        if transaction == Transaction::Download {
            let port = server::serve(machine.archive().root().into())?;
            let sources = fs::read_to_string(ground.root().join(SOURCES))?;
            let copied = format!("copy:{}", machine.archive().root().display());
            let served = sources.replace(&copied, &format!("http://127.0.0.1:{port}"));
            fs::write(ground.root().join(SOURCES), served)?;
        }
        let offer = |version| -> Outcome<()> {
            machine.publish(Suite::Practice, &transaction.packages(version)?)?;
            Ok(machine.refresh()?)
        };
        offer(1)?;
        let packages = transaction.packages(1)?;
        machine.install(&packages.iter().map(|package| package.name()).collect::<Vec<_>>())?;
        offer(2)?;
        let before = folder.join("before");
        copy(&ground.root(), &before)?;
        for learned in [Learned::Nothing, Learned::OneRun] {
            copy(&before, &ground.root())?;
            match learned {
                Learned::Nothing => finish(&mut ground.apt_get(&["upgrade"])?)?,
                Learned::OneRun => finish(&mut ground.wua(&["install", "--all"]))?,
            }
            finish(&mut ground.apt_get(&["clean"])?)?;
            offer(3)?;
            ground.keep(learned)?;
        }
        Ok(ground)
    }

    /// Copies in `folder` of the root `real`, whose indexes and archives are fetched. What was learned comes from an upgrade of
    /// another copy.
    pub(crate) fn real(folder: &Path, wua: &Path, real: &Path) -> Outcome<Self> {
        let ground = Self {
            folder: folder.into(),
            wua: wua.into(),
            is_practice: false,
        };
        fs::create_dir_all(folder)?;
        copy(real, &ground.kept(Learned::Nothing))?;
        ground.restore(Learned::Nothing)?;
        finish(&mut ground.wua(&["install", "--all"]))?;
        let taught = fs::read(ground.root().join(STATE))?;
        ground.restore(Learned::Nothing)?;
        let state = ground.root().join(STATE);
        fs::create_dir_all(state.parent().ok_or("the state has no folder")?)?;
        fs::write(state, taught)?;
        ground.keep(Learned::OneRun)?;
        Ok(ground)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("machine")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Brings the machine back to where it was before the transaction.
    pub(crate) fn restore(&self, learned: Learned) -> Outcome<()> {
        copy(&self.kept(learned), &self.root())?;
        // What is still to be written would slow down whoever is measured next.
        rustix::fs::sync();
        Ok(())
    }

    fn keep(&self, learned: Learned) -> Outcome<()> {
        copy(&self.root(), &self.kept(learned))
    }

    fn kept(&self, learned: Learned) -> PathBuf {
        self.folder.join(learned.folder())
    }

    /// A program of this machine that works on the practice machine as apt-get does there.
    pub(crate) fn program(&self, name: &str) -> Outcome<Command> {
        Ok(PracticeMachine::open(&self.root())?.command(name))
    }

    /// apt-get with these words, set as unattended-upgrades does it. Its status lines go to its output, its other words nowhere.
    pub(crate) fn apt_get(&self, words: &[&str]) -> Outcome<Command> {
        let status_lines = ["-c", "exec \"$@\" 3>&1 >&2", "sh"];
        let mut command = if self.is_practice {
            let mut command = self.program("sh")?;
            command.args(status_lines).arg("apt-get");
            command
        } else {
            let mut command = Command::new("sh");
            command
                .args(status_lines)
                .arg("chroot")
                .arg(self.root())
                .arg("apt-get");
            command.env_clear().envs([
                ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
                ("LC_ALL", "C.UTF-8"),
                ("DEBIAN_FRONTEND", "noninteractive"),
            ]);
            command
        };
        for option in [
            "APT::Status-Fd=3",
            "APT::Get::Assume-Yes=true",
            "APT::Get::Upgrade-Allow-New=true",
            "Dpkg::Options::=--force-confdef",
            "Dpkg::Options::=--force-confold",
        ] {
            command.args(["-o", option]);
        }
        command.args(words).stdin(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }

    /// wua with these words, its events on its output.
    pub(crate) fn wua(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.wua);
        command
            .arg("--root")
            .arg(self.root())
            .args(["--output", "jsonl"])
            .args(words);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// Runs a program whose words nobody reads.
pub(crate) fn finish(command: &mut Command) -> Outcome<()> {
    let status = command.stdout(Stdio::null()).status()?;
    match status.code() {
        // wua says by 10 that all is done and a restart needed.
        Some(0 | 10) => Ok(()),
        _ => Err(format!("{command:?} ended with {status}").into()),
    }
}
