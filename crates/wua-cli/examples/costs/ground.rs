//! Where it takes place: one practice machine at one path, restored from a copy before each measurement.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use wua_sandbox::{Package, PracticeMachine, Script, Suite};

use crate::Outcome;
use crate::common::copy;

/// How far the machine is before it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prepared {
    /// The new versions are offered.
    Offered,
    /// Their archives are here, apt's and wua's.
    Fetched,
}

#[derive(Debug)]
pub(crate) struct Ground {
    folder: PathBuf,
    wua: PathBuf,
    packages: usize,
}

impl Ground {
    pub(crate) fn make(folder: &Path, wua: &Path, packages: usize) -> Outcome<Self> {
        let ground = Self {
            folder: folder.into(),
            wua: wua.canonicalize()?,
            packages,
        };
        let machine = PracticeMachine::empty(&ground.root())?;
        machine.publish(Suite::Practice, &ground.versions("1"))?;
        machine.refresh()?;
        let names = ground.names();
        machine.install(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        // Nobody has the old archives any more: for undo they are packed again.
        ground.time(ground.program("apt-get")?.arg("clean"))?;
        machine.publish(Suite::Practice, &ground.versions("2"))?;
        machine.refresh()?;
        ground.keep(Prepared::Offered)?;
        ground.time(&mut ground.wua(&["download", "--all"]))?;
        ground.time(ground.apt_get_install()?.arg("--download-only"))?;
        ground.keep(Prepared::Fetched)?;
        Ok(ground)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("machine")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn names(&self) -> Vec<String> {
        (0..self.packages)
            .map(|number| format!("cost-{number}"))
            .collect()
    }

    /// Ordinary small packages: a few files, every third with a script that does next to nothing.
    fn versions(&self, version: &str) -> Vec<Package> {
        let package = |(number, name): (usize, &String)| {
            let mut package = Package::new(name, version);
            for file in 0..6 {
                let content = format!("{name} {version} {file}\n").repeat(200);
                package = package.file(format!("usr/share/{name}/file{file}"), content);
            }
            if number % 3 == 0 {
                package.script(Script::Postinst, "true\n")
            } else {
                package
            }
        };
        self.names().iter().enumerate().map(package).collect()
    }

    pub(crate) fn restore(&self, prepared: Prepared) -> Outcome<()> {
        copy(&self.kept(prepared), &self.root())?;
        // What is still to be written would slow down whoever is measured next.
        rustix::fs::sync();
        Ok(())
    }

    fn keep(&self, prepared: Prepared) -> Outcome<()> {
        copy(&self.root(), &self.kept(prepared))
    }

    fn kept(&self, prepared: Prepared) -> PathBuf {
        self.folder.join(format!("{prepared:?}").to_lowercase())
    }

    pub(crate) fn wua(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.wua);
        command.arg("--root").arg(self.root()).args(words);
        quiet(&mut command);
        command
    }

    /// apt-get, told to install the new version of every package.
    pub(crate) fn apt_get_install(&self) -> Outcome<Command> {
        let mut command = self.program("apt-get")?;
        // Its own is on the machine's file system, and wua's run of apt has none.
        command.env_remove("TMPDIR");
        command.args(["-y", "-q", "install"]).args(self.names());
        quiet(&mut command);
        Ok(command)
    }

    /// A program of this machine that works on the practice machine as apt-get does there.
    pub(crate) fn program(&self, name: &str) -> Outcome<Command> {
        Ok(PracticeMachine::open(&self.root())?.command(name))
    }

    /// Whether old versions that no archive has any more are packed again.
    pub(crate) fn repack(&self, repack: bool) -> Outcome<()> {
        let folder = self.root().join("etc/wua");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("wua.toml"), format!("[undo]\nrepack = {repack}\n"))?;
        Ok(())
    }

    /// In how many batches the machine's last installation went.
    pub(crate) fn batches(&self) -> Outcome<usize> {
        for job in fs::read_dir(self.root().join("var/lib/wua/jobs"))? {
            let order: Value = serde_json::from_slice(&fs::read(job?.path().join("order.json"))?)?;
            let batches = order["plan"]["batches"].as_array().map_or(0, Vec::len);
            if batches > 0 {
                return Ok(batches);
            }
        }
        Err("no job is left".into())
    }

    /// Seconds that a command takes. It must succeed, and have installed everything if it was to install.
    pub(crate) fn time(&self, command: &mut Command) -> Outcome<f64> {
        let begun = Instant::now();
        let status = command.status()?;
        let took = begun.elapsed().as_secs_f64();
        if status.success() {
            Ok(took)
        } else {
            Err(format!("{command:?} ended with {status}").into())
        }
    }

    /// Fails unless every package has its new version.
    pub(crate) fn assert_upgraded(&self) -> Outcome<()> {
        let machine = PracticeMachine::open(&self.root())?;
        for name in self.names() {
            let state = machine.dpkg_state(&name);
            if state != Some(("install ok installed".into(), "2".into())) {
                return Err(format!("{name} is not upgraded: {state:?}").into());
            }
        }
        Ok(())
    }
}

fn quiet(command: &mut Command) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
}
