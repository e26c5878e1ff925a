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
    /// What a practice machine upgrades; none for a real root.
    transaction: Option<Transaction>,
}

impl Ground {
    /// Practice machines in `folder` with the transaction's packages at version 2, which another tool or wua itself brought
    /// there from version 1, and with version 3 on offer.
    pub(crate) fn practice(folder: &Path, wua: &Path, transaction: Transaction) -> Outcome<Self> {
        let ground = Self {
            folder: folder.into(),
            wua: wua.into(),
            transaction: Some(transaction),
        };
        let machine = PracticeMachine::empty(&ground.root())?;
        if transaction == Transaction::Download {
            let port = server::serve(machine.archive().root().into())?;
            let sources = fs::read_to_string(ground.root().join(SOURCES))?;
            let copied = format!("copy:{}", machine.archive().root().display());
            let served = sources.replace(&copied, &format!("http://127.0.0.1:{port}"));
            fs::write(ground.root().join(SOURCES), served)?;
        }
        ground.offer(transaction, 1)?;
        let packages = transaction.packages(1)?;
        machine.install(&packages.iter().map(|package| package.name()).collect::<Vec<_>>())?;
        ground.offer(transaction, 2)?;
        copy(&ground.root(), &ground.before())?;
        finish(&mut ground.apt_get(&["upgrade"])?)?;
        ground.make_ready(transaction, Learned::Nothing)?;
        Ok(ground)
    }

    /// Copies in `folder` of the root `real`, whose indexes and archives are fetched.
    pub(crate) fn real(folder: &Path, wua: &Path, real: &Path) -> Outcome<Self> {
        let ground = Self {
            folder: folder.into(),
            wua: wua.into(),
            transaction: None,
        };
        fs::create_dir_all(folder)?;
        copy(real, &ground.kept(Learned::Nothing))?;
        Ok(ground)
    }

    /// Lets wua make the one earlier run, anew each time: how long one run takes is a matter of luck.
    pub(crate) fn teach(&self) -> Outcome<()> {
        let Some(transaction) = self.transaction else {
            return self.teach_by_copy();
        };
        copy(&self.before(), &self.root())?;
        rustix::fs::sync();
        finish(&mut self.wua(&["install", "--all"]))?;
        self.make_ready(transaction, Learned::OneRun)
    }

    /// A real root has one upgrade to make: what was learned comes from the same one of another copy.
    fn teach_by_copy(&self) -> Outcome<()> {
        self.restore(Learned::Nothing)?;
        finish(&mut self.wua(&["install", "--all"]))?;
        let state = self.root().join(STATE);
        let taught = fs::read(&state)?;
        self.restore(Learned::Nothing)?;
        fs::create_dir_all(state.parent().ok_or("the state has no folder")?)?;
        fs::write(state, taught)?;
        self.keep(Learned::OneRun)
    }

    /// Version 2 is installed: keeps the machine with version 3 on offer.
    fn make_ready(&self, transaction: Transaction, learned: Learned) -> Outcome<()> {
        finish(&mut self.apt_get(&["clean"])?)?;
        self.offer(transaction, 3)?;
        self.keep(learned)
    }

    fn offer(&self, transaction: Transaction, version: u32) -> Outcome<()> {
        let machine = PracticeMachine::open(&self.root())?;
        machine.publish(Suite::Practice, &transaction.packages(version)?)?;
        Ok(machine.refresh()?)
    }

    /// The practice machine before the run that teaches.
    fn before(&self) -> PathBuf {
        self.folder.join("before")
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
        let mut command = if self.transaction.is_some() {
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
