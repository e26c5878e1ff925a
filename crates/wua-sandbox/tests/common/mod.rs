//! What every test of practice machines needs: a machine in a temporary directory, and apt-get's answers in short.

use std::process::Output;

use tempfile::TempDir;
use wua_sandbox::{Fault, PracticeMachine, Recipe};

/// A machine and the directory that goes away with it.
pub(crate) struct Practice {
    pub(crate) machine: PracticeMachine,
    _directory: TempDir,
}

/// A machine by a recipe. Without apt-get and dpkg the test fails and says so: nothing is skipped.
pub(crate) fn create(recipe: &Recipe) -> Practice {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let machine = PracticeMachine::create(directory.path(), recipe).unwrap_or_else(|error| panic!("{error}"));
    Practice {
        machine,
        _directory: directory,
    }
}

/// A machine with one healthy update, `inkpot`, and the fault's.
pub(crate) fn with_fault(fault: Fault) -> Practice {
    create(&Recipe {
        updates: 1,
        faults: [fault].into(),
        ..Recipe::default()
    })
}

/// A machine without packages.
pub(crate) fn empty() -> Practice {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let machine = PracticeMachine::empty(directory.path()).unwrap_or_else(|error| panic!("{error}"));
    Practice {
        machine,
        _directory: directory,
    }
}

impl Practice {
    /// What `apt-get upgrade --with-new-pkgs` would install, sorted, each as `name version`.
    pub(crate) fn offered(&self) -> Vec<String> {
        let output = self.apt(&["-s", "upgrade", "--with-new-pkgs"]);
        assert!(output.status.success(), "{}", text(&output));
        let words = |line: &str| {
            let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
            let version = rest.split_once('(')?.1.split_whitespace().next()?;
            Some(format!("{name} {version}"))
        };
        let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(words)
            .collect();
        lines.sort();
        lines
    }

    /// Really upgrades everything that is offered.
    pub(crate) fn upgrade(&self) -> Output {
        self.apt(&["-y", "-q", "upgrade", "--with-new-pkgs"])
    }

    pub(crate) fn apt(&self, arguments: &[&str]) -> Output {
        self.machine
            .apt_get(arguments)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// A package's state in short: `installed 1.2-1`.
    pub(crate) fn state(&self, name: &str) -> String {
        match self.machine.dpkg_state(name) {
            Some((status, version)) => {
                let short = status.strip_prefix("install ok ").unwrap_or(&status);
                format!("{short} {version}")
            }
            None => "unknown".into(),
        }
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.machine.root().join(path).exists()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.machine.root().join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// Both streams of a program that has ended.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
