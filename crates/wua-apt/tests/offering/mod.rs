//! What the tests of offering, fetching and resolving share: a practice machine with its store, and a listener.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use wua_apt::{Apt, AptOptions};
use wua_engine::handler::{DownloadContext, InstalledUpdate, UpdateHandler as _};
use wua_engine::source::{Found, SearchRequest, UpdateSource as _};
use wua_engine::store::ContentStore;
use wua_sandbox::{Fault, Package, PracticeMachine, Recipe, Suite};
use wua_types::{HResult, Phase, Update, UpdateDownloadResult, WaitingFor};

/// A practice machine in a temporary folder, and a store beside it.
pub(crate) struct World {
    pub(crate) machine: PracticeMachine,
    pub(crate) store: ContentStore,
    pub(crate) apt: Apt,
    _folder: tempfile::TempDir,
}

impl World {
    /// Without updates of the recipe's own; `old` is installed, then `new` is published.
    pub(crate) fn of(old: &[Package], new: &[Package]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let machine = PracticeMachine::empty(&folder.path().join("machine")).expect("an empty machine");
        machine.publish(Suite::Practice, old).expect("published");
        machine
            .publish(Suite::Security, &[Package::new("spare", "1")])
            .expect("published");
        machine.refresh().expect("refreshed");
        let names: Vec<_> = old.iter().map(Package::name).collect();
        machine.install(&names).expect("installed");
        machine.publish(Suite::Practice, new).expect("published");
        machine.refresh().expect("refreshed");
        machine.apt_get(&["clean"]).expect("cleaned");
        Self::around(folder, machine)
    }

    /// Made by a recipe.
    pub(crate) fn with(updates: usize, faults: &[Fault]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let recipe = Recipe {
            updates,
            faults: faults.iter().copied().collect(),
            ..Recipe::default()
        };
        let machine = PracticeMachine::create(&folder.path().join("machine"), &recipe).expect("a machine");
        Self::around(folder, machine)
    }

    fn around(folder: tempfile::TempDir, machine: PracticeMachine) -> Self {
        let store = ContentStore::new(folder.path().join("store"));
        let apt = Apt::open(machine.root(), AptOptions::default()).expect("a tree");
        // APT would try unreachable servers for seconds.
        let retries = machine.root().join("etc/apt/apt.conf.d/99retries");
        std::fs::write(retries, "Acquire::Retries \"0\";\n").expect("written");
        Self {
            machine,
            store,
            apt,
            _folder: folder,
        }
    }

    pub(crate) fn search(&self) -> Found {
        let abort = AtomicBool::new(false);
        let request = SearchRequest {
            refresh: false,
            store: &self.store,
            abort: &abort,
            waiting: &|_| (),
        };
        self.apt.search(&request).expect("a search")
    }

    /// The updates found, each by the name of its source.
    pub(crate) fn update(&self, source: &str) -> Update {
        let found = self.search();
        let mut titles = found.updates.iter().map(|update| update.title.clone());
        let wanted = |update: &&Update| update.title.split(' ').next() == Some(source);
        match found.updates.iter().find(wanted) {
            Some(update) => update.clone(),
            None => panic!("no `{source}` among {:?}", titles.by_ref().collect::<Vec<_>>()),
        }
    }

    /// Downloads and gives what was told.
    pub(crate) fn download(&self, updates: &[Update]) -> Listener {
        let mut listener = Listener::default();
        self.apt
            .download(updates, &self.store, &mut listener)
            .expect("a download");
        listener
    }

    /// Installs updates by plain apt-get, as if wua had done it.
    pub(crate) fn install(
        &self,
        updates: &[Update],
        changes: Vec<Vec<wua_types::PlannedChange>>,
    ) -> Vec<InstalledUpdate> {
        let exact: Vec<_> = changes
            .iter()
            .flatten()
            .map(|change| format!("{}={}", change.label(), change.to.as_deref().unwrap_or("")))
            .collect();
        let names: Vec<_> = exact.iter().map(String::as_str).collect();
        self.machine.install(&names).expect("installed");
        let pairs = updates.iter().cloned().zip(changes);
        pairs
            .map(|(update, changes)| InstalledUpdate { update, changes })
            .collect()
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.machine.root().join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"))
    }

    pub(crate) fn root(&self) -> &Path {
        self.machine.root()
    }
}

/// Listens to a download.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    pub(crate) abort: bool,
    pub(crate) results: Vec<(usize, UpdateDownloadResult)>,
    pub(crate) bytes: Vec<(usize, u64, u64, Phase)>,
    pub(crate) warnings: Vec<(HResult, String)>,
}

impl Listener {
    /// The result of an update, which must have been told once.
    pub(crate) fn result(&self, update: usize) -> &UpdateDownloadResult {
        let told: Vec<_> = self
            .results
            .iter()
            .filter(|(place, _)| *place == update)
            .collect();
        assert_eq!(told.len(), 1, "{self:?}");
        &told[0].1
    }
}

impl DownloadContext for Listener {
    fn abort_requested(&self) -> bool {
        self.abort
    }
    fn bytes(&mut self, update: usize, here: u64, total: u64, phase: Phase) {
        self.bytes.push((update, here, total, phase));
    }
    fn waiting(&mut self, _: Option<WaitingFor>) {}
    fn finished(&mut self, update: usize, result: UpdateDownloadResult) {
        self.results.push((update, result));
    }
    fn warning(&mut self, code: HResult, message: String) {
        self.warnings.push((code, message));
    }
}
