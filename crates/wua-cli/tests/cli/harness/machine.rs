//! A practice machine of a test's own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use wua_sandbox::{Fault, PracticeMachine, Recipe};

use super::front::Front;
use super::laws::{self, Extent};
use super::run::{Run, program, run};

/// The harness's own words before those of a test: `--root DIR`.
const HIDDEN: usize = 2;

/// A practice machine that is removed at the end of the test.
pub(crate) struct Machine {
    pub(crate) practice: PracticeMachine,
    _folder: TempDir,
}

impl Machine {
    /// A machine with so many healthy updates (`inkpot`, `pixelry`, `postbird`, …) and one for each fault. Slow scripts are
    /// quick on it.
    pub(crate) fn new(updates: usize, faults: &[Fault]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("wua-cli-")
            .tempdir()
            .expect("a temporary folder");
        let recipe = Recipe {
            updates,
            seed: 1,
            faults: faults.iter().copied().collect(),
        };
        let practice =
            PracticeMachine::create(&folder.path().join("m"), &recipe).expect("a practice machine");
        let machine = Self {
            practice,
            _folder: folder,
        };
        machine.write("etc/wua/slow-steps", "0\n");
        machine
    }

    /// Its root.
    pub(crate) fn root(&self) -> &Path {
        self.practice.root()
    }

    /// A path on it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Writes a file on it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    /// The one file whose path below `folder` ends with `ending`.
    pub(crate) fn file(&self, folder: &str, ending: &str) -> PathBuf {
        let entries = fs::read_dir(self.path(folder)).expect("a folder");
        let mut paths = entries.map(|entry| entry.expect("an entry").path());
        let fits = |path: &PathBuf| path.to_string_lossy().ends_with(ending);
        paths
            .find(fits)
            .unwrap_or_else(|| panic!("{folder} has no file that ends with {ending}"))
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = program();
        command.arg("--root").arg(self.root()).args(arguments);
        command
    }

    /// Runs a command on it to the end.
    pub(crate) fn wua<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        run(&mut self.command(arguments), HIDDEN)
    }

    /// Runs a command as this user and group, which takes root.
    pub(crate) fn wua_as<A: AsRef<OsStr>>(&self, user: u32, arguments: impl IntoIterator<Item = A>) -> Run {
        use std::os::unix::process::CommandExt as _;
        run(self.command(arguments).uid(user).gid(user), HIDDEN)
    }

    /// Runs a command on it that succeeds, and gives its document.
    #[track_caller]
    pub(crate) fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Value {
        self.document(0, arguments)
    }

    /// Runs a command on it that ends with `code` and a document.
    #[track_caller]
    pub(crate) fn document<A: AsRef<OsStr>>(
        &self,
        code: i32,
        arguments: impl IntoIterator<Item = A>,
    ) -> Value {
        let words = arguments.into_iter().map(|word| word.as_ref().to_owned());
        let words: Vec<_> = words.chain(["--output".into(), "json".into()]).collect();
        self.wua(words).ends(code).document()
    }

    /// Starts a command on it that tells event lines.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Front {
        Front::start(self.command(arguments).args(["--output", "jsonl"]), HIDDEN)
    }

    /// Starts a command on it that speaks to people.
    pub(crate) fn start_text<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Front {
        Front::start(&mut self.command(arguments), HIDDEN)
    }

    /// The titles of the updates that a search finds, in their order.
    #[track_caller]
    pub(crate) fn titles(&self, criteria: &str) -> Vec<String> {
        titles(&self.json(["search", criteria]))
    }

    /// The id of an update that the machine can have or has.
    #[track_caller]
    pub(crate) fn id(&self, name: &str) -> String {
        let shown = self.json(["show", name]);
        shown["updates"][0]["id"].as_str().expect("an id").into()
    }

    /// The installed version of a package, and whether it is configured.
    pub(crate) fn installed(&self, package: &str) -> String {
        let (status, version) = self.practice.dpkg_state(package).expect("dpkg knows it");
        if status == "install ok installed" {
            version
        } else {
            format!("{version} ({status})")
        }
    }

    /// While the gate is closed, the script of `docfinder` waits.
    pub(crate) fn close_gate(&self) {
        self.write("etc/wua/slow-gate", "");
    }

    /// Lets the script of `docfinder` go on.
    pub(crate) fn open_gate(&self) {
        fs::remove_file(self.path("etc/wua/slow-gate")).expect("the gate was closed");
    }

    /// Gives every update a batch of its own, so that a job can be stopped between any two.
    pub(crate) fn small_batches(&self) {
        self.write("etc/wua/wua.toml", "[install]\nlongest_batch_seconds = 0\n");
    }

    /// The event files of its jobs keep the laws, too.
    fn check_jobs(&self) {
        let Ok(jobs) = fs::read_dir(self.path("var/lib/wua/jobs")) else {
            return;
        };
        for job in jobs {
            let Ok(text) = fs::read_to_string(job.expect("an entry").path().join("events.jsonl")) else {
                continue;
            };
            let lines: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).expect("an event file has lines of JSON"))
                .collect();
            laws::check(&lines, Extent::Job);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Whatever waits at the gate of a failed test can end.
            let _ = fs::remove_file(self.path("etc/wua/slow-gate"));
        } else {
            self.check_jobs();
        }
    }
}

/// The titles of a document's updates, in their order.
pub(crate) fn titles(document: &Value) -> Vec<String> {
    let updates = document["updates"].as_object().expect("updates by id");
    let mut titles: Vec<String> = updates
        .values()
        .map(|update| update["title"].as_str().expect("a title").into())
        .collect();
    titles.sort();
    titles
}
