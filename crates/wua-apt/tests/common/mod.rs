//! What the tests of applying share: a practice machine with updates of one's own making, a store, and a context that
//! records what it is told.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use wua_apt::apply::{ApplyOptions, apply};
use wua_apt::tree::AptTree;
use wua_engine::Failure;
use wua_engine::handler::{Batch, BatchContext, BatchEnd};
use wua_engine::store::{ContentStore, Origin};
use wua_sandbox::{Package, PracticeMachine, Suite};
use wua_types::{
    HResult, OperationResultCode, Phase, PlannedChange, PlannedUpdate, UpdateId, UpdateIdentity,
    UpdateInstallationResult, UpdateOperation, WaitingFor,
};

/// One package before and after.
pub(crate) struct Change(pub(crate) Option<Package>, pub(crate) Option<Package>);

/// A package that goes from version 1 to 2; `new` gets the second one to do something to it.
pub(crate) fn upgrade(name: &str, new: impl FnOnce(Package) -> Package) -> Change {
    let version = |version: &str| Package::new(name, version).file(format!("usr/share/{name}/data"), version);
    Change(Some(version("1")), Some(new(version("2"))))
}

/// A practice machine whose updates are planned and whose archives, old and new, are in the store.
pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) machine: PracticeMachine,
    pub(crate) tree: AptTree,
    pub(crate) store: ContentStore,
    pub(crate) updates: Vec<PlannedUpdate>,
    runs: AtomicUsize,
}

impl Scene {
    /// Installs the old packages, publishes the new ones, plans one update for each list.
    pub(crate) fn new(updates: Vec<Vec<Change>>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("wua-apply-")
            .tempdir()
            .expect("temporary folder");
        let machine = PracticeMachine::empty(&folder.path().join("machine")).expect("machine");
        let changes = || updates.iter().flatten();
        let old: Vec<_> = changes().filter_map(|change| change.0.clone()).collect();
        machine.publish(Suite::Practice, &old).expect("published");
        machine.refresh().expect("refreshed");
        machine
            .install(&old.iter().map(Package::name).collect::<Vec<_>>())
            .expect("installed");
        let new: Vec<_> = changes().filter_map(|change| change.1.clone()).collect();
        machine.publish(Suite::Practice, &new).expect("published");
        machine.refresh().expect("refreshed");
        let store = ContentStore::new(machine.root().join("var/lib/wua/store"));
        let tree = AptTree::open(machine.root()).expect("tree");
        let mut scene = Self {
            folder,
            machine,
            tree,
            store,
            updates: Vec::new(),
            runs: AtomicUsize::new(0),
        };
        for (number, changes) in updates.iter().enumerate() {
            let changes = changes
                .iter()
                .map(|Change(old, new)| scene.planned(old.as_ref(), new.as_ref()))
                .collect();
            scene.updates.push(planned(number, changes));
        }
        scene
    }

    /// A machine that was made elsewhere, with updates planned elsewhere.
    pub(crate) fn of(folder: TempDir, machine: PracticeMachine, updates: Vec<PlannedUpdate>) -> Self {
        let store = ContentStore::new(machine.root().join("var/lib/wua/store"));
        let tree = AptTree::open(machine.root()).expect("tree");
        Self {
            folder,
            machine,
            tree,
            store,
            updates,
            runs: AtomicUsize::new(0),
        }
    }

    fn planned(&self, old: Option<&Package>, new: Option<&Package>) -> PlannedChange {
        let [old_hash, new_hash] = [old, new].map(|package| package.map(|package| self.keep(package)));
        let architecture = [&new_hash, &old_hash]
            .into_iter()
            .flatten()
            .map(|(_, architecture)| architecture.clone())
            .next();
        PlannedChange {
            name: new.or(old).expect("a package").name().into(),
            architecture: architecture.expect("a package"),
            from: old.map(|package| package.version().into()),
            to: new.map(|package| package.version().into()),
            archive: new_hash.map(|(hash, _)| hash),
        }
    }

    /// Puts a package's archive into the store; its hash and architecture.
    fn keep(&self, package: &Package) -> (String, String) {
        let file = self.folder.path().join("incoming.deb");
        fs::write(&file, package.to_deb().expect("built")).expect("written");
        let mut command = self.machine.command("dpkg-deb");
        let output = command
            .args(["-f".as_ref(), file.as_os_str(), "Architecture".as_ref()])
            .output()
            .expect("run");
        let architecture = String::from_utf8(output.stdout).expect("text").trim().to_owned();
        let label = format!("deb {} {architecture} {}", package.name(), package.version());
        let content = self
            .store
            .put(&file, None, &label, Origin::Downloaded)
            .expect("stored");
        (content.sha256, architecture)
    }

    /// The plan that takes the updates back: every change the other way round, with the old archives.
    pub(crate) fn backwards(&self) -> Vec<PlannedUpdate> {
        let mut updates = self.updates.clone();
        for change in updates.iter_mut().flat_map(|update| &mut update.changes) {
            std::mem::swap(&mut change.from, &mut change.to);
            let label = |version: &String| format!("deb {} {} {version}", change.name, change.architecture);
            let content = change
                .to
                .as_ref()
                .map(label)
                .map(|label| self.store.find(&label).expect("readable"));
            change.archive = content.map(|content| content.expect("stored").sha256);
        }
        updates
    }

    /// Where the job of the tests keeps its files.
    pub(crate) fn job(&self) -> PathBuf {
        self.machine.root().join("var/lib/wua/jobs/test")
    }

    /// Installs all updates in one batch.
    pub(crate) fn install(&self, cx: &mut Record) -> Result<BatchEnd, Failure> {
        let members: Vec<_> = (0..self.updates.len()).collect();
        self.apply(
            UpdateOperation::Installation,
            &self.updates,
            &members,
            &ApplyOptions::default(),
            cx,
        )
    }

    pub(crate) fn apply(
        &self,
        operation: UpdateOperation,
        plan: &[PlannedUpdate],
        members: &[usize],
        options: &ApplyOptions,
        cx: &mut Record,
    ) -> Result<BatchEnd, Failure> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let batch = Batch {
            operation,
            plan,
            members,
            number,
            folder: &self.job(),
            store: &self.store,
        };
        apply(&self.tree, &batch, options, cx)
    }

    /// `STATE VERSION` of a package as dpkg has it.
    pub(crate) fn state(&self, name: &str) -> String {
        let state = self.machine.dpkg_state(name);
        state.map_or("absent".into(), |(status, version)| {
            format!("{} {version}", status.rsplit(' ').next().unwrap_or(""))
        })
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.machine.root().join(path).exists()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.machine.root().join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("folder");
        fs::write(path, text).expect("written");
    }
}

pub(crate) fn planned(number: usize, changes: Vec<PlannedChange>) -> PlannedUpdate {
    let update_id = UpdateId(uuid::Uuid::from_u128(number as u128 + 1));
    let title = changes
        .first()
        .map_or_else(String::new, |change| change.name.clone());
    let identity = UpdateIdentity {
        update_id,
        revision_number: 1,
    };
    PlannedUpdate {
        identity,
        title,
        changes,
        unpacked_bytes: 0,
    }
}

pub(crate) fn sha256(file: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(file).expect("readable")))
}

type OnWaiting<'a> = Box<dyn FnMut(&WaitingFor) -> Want + 'a>;

/// What the caller wants once it is told of a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Nothing,
    Abort,
}

/// A context that records.
#[derive(Default)]
pub(crate) struct Record<'a> {
    pub(crate) results: Vec<(usize, UpdateInstallationResult)>,
    pub(crate) steps: Vec<(usize, u32, u32, Phase)>,
    /// Everything in its order, in words.
    pub(crate) story: Vec<String>,
    pub(crate) waits: Vec<Option<WaitingFor>>,
    pub(crate) warnings: Vec<String>,
    pub(crate) aborted: bool,
    pub(crate) on_waiting: Option<OnWaiting<'a>>,
}

impl<'a> Record<'a> {
    pub(crate) fn on_waiting(hook: impl FnMut(&WaitingFor) -> Want + 'a) -> Self {
        Self {
            on_waiting: Some(Box::new(hook)),
            ..Self::default()
        }
    }

    /// The result of an update, which must have exactly one.
    pub(crate) fn result(&self, update: usize) -> &UpdateInstallationResult {
        let mut own = self.results.iter().filter(|(index, _)| *index == update);
        let (Some((_, result)), None) = (own.next(), own.next()) else {
            panic!("{update}: {:?}", self.story)
        };
        result
    }

    pub(crate) fn succeeded(&self, update: usize) -> bool {
        self.result(update).result_code == OperationResultCode::Succeeded
    }

    pub(crate) fn failure(&self, update: usize) -> (HResult, &str) {
        let result = self.result(update);
        assert_eq!(
            result.result_code,
            OperationResultCode::Failed,
            "{:?}",
            self.story
        );
        (result.hresult, &result.message)
    }

    pub(crate) fn waited_for(&self, what: &str) -> bool {
        self.waits.iter().flatten().any(|wait| wait.what == what)
    }
}

impl BatchContext for Record<'_> {
    fn stage(&mut self, _stage: Option<wua_engine::stage::Stage>) {}

    fn abort_requested(&self) -> bool {
        self.aborted
    }
    fn changing(&mut self) {
        self.story.push("changing".into());
    }
    fn step(&mut self, update: usize, done: u32, total: u32, phase: Phase) {
        assert!(done <= total, "{done} of {total}");
        self.story
            .push(format!("step {update} {done}/{total} {}", phase.word()));
        self.steps.push((update, done, total, phase));
    }
    fn waiting(&mut self, what: Option<WaitingFor>) {
        self.story
            .push(format!("waiting {:?}", what.as_ref().map(|wait| &wait.what)));
        if let (Some(wait), Some(hook)) = (&what, &mut self.on_waiting) {
            self.aborted |= hook(wait) == Want::Abort;
        }
        self.waits.push(what);
    }
    fn finished_together(&mut self, results: Vec<(usize, UpdateInstallationResult)>) {
        for (update, result) in results {
            self.story
                .push(format!("finished {update} {}", result.result_code));
            self.results.push((update, result));
        }
    }
    fn warning(&mut self, _code: HResult, message: String) {
        self.story.push(format!("warning {message}"));
        self.warnings.push(message);
    }
}
