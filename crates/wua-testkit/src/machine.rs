//! A machine in a temporary folder, with a scripted source and handler and a keeper that is a thread.

use std::fs;
use std::sync::Arc;

use tempfile::TempDir;
use uuid::Uuid;
use wua_engine::lock::MachineLock;
use wua_engine::policy::InstallPolicy;
use wua_engine::state::{PublicState, State};
use wua_engine::store::Origin;
use wua_engine::{Folders, Keeper, Machine, Policy, UpdateInstaller, UpdateSession};
use wua_types::{EventLine, Update};

use crate::handler::ScriptedHandler;
use crate::source::ScriptedSource;
use crate::story::Story;
use crate::update::archive;

/// A machine that goes away with this value.
#[derive(Debug)]
pub struct TestMachine {
    folder: TempDir,
    /// What applies updates.
    pub handler: Arc<ScriptedHandler>,
    /// What offers them.
    pub source: Arc<ScriptedSource>,
    machine: Arc<Machine>,
}

impl Default for TestMachine {
    fn default() -> Self {
        Self::new(ScriptedHandler::default())
    }
}

impl TestMachine {
    /// A machine that is offered nothing and runs one update a batch, so that batches follow the collection.
    pub fn new(handler: ScriptedHandler) -> Self {
        let policy = Policy {
            install: InstallPolicy {
                longest_batch_seconds: 0,
                ..InstallPolicy::default()
            },
            ..Policy::default()
        };
        Self::with(handler, ScriptedSource::offering(Vec::new()), policy)
    }

    /// A machine that is offered `updates`.
    pub fn offered(updates: Vec<Update>) -> Self {
        Self::searching(ScriptedSource::offering(updates))
    }

    /// A machine that asks `source`.
    pub fn searching(source: ScriptedSource) -> Self {
        Self::with(ScriptedHandler::default(), source, Policy::default())
    }

    /// A machine with all its parts.
    pub fn with(handler: ScriptedHandler, source: ScriptedSource, policy: Policy) -> Self {
        let folder = temporary_folder();
        let (handler, source) = (Arc::new(handler), Arc::new(source));
        let machine = Machine {
            folders: Folders::new(folder.path()),
            source: source.clone(),
            handler: handler.clone(),
            policy,
            keeper: Keeper::Thread,
        };
        Self {
            folder,
            handler,
            source,
            machine: Arc::new(machine),
        }
    }

    /// The machine.
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// Where its files are.
    pub fn folders(&self) -> &Folders {
        &self.machine.folders
    }

    /// A session with it.
    pub fn session(&self) -> UpdateSession {
        UpdateSession::new(Arc::clone(&self.machine))
    }

    /// An installer of a session of its own.
    pub fn installer(&self) -> UpdateInstaller {
        self.session().create_update_installer()
    }

    /// Its remembered state, open for change.
    pub fn open_state(&self) -> State {
        State::open(self.folders()).expect("the state opens")
    }

    /// Its remembered state. The published file must say the same as the database.
    pub fn state(&self) -> PublicState {
        let state = PublicState::read(self.folders()).expect("the state reads");
        if self.folders().database().exists() {
            let text = fs::read(self.folders().public_state()).expect("the state is published");
            let mut published: PublicState = parse(&text);
            let mut newest = state.clone();
            newest.history.truncate(published.history.len().max(1000));
            published.version = newest.version;
            assert_eq!(published, newest, "the published state is that of the database");
        }
        state
    }

    /// Puts the archives of the updates' new versions into the store.
    pub fn stock(&self, updates: &[Update]) {
        for package in updates.iter().flat_map(Update::packages) {
            let version = package.candidate.as_deref().expect("a new version");
            self.put(&package.name, &package.architecture, version, Origin::Downloaded);
        }
    }

    /// Puts the archives of the installed versions into the store.
    pub fn keep_previous(&self, updates: &[Update], origin: Origin) {
        for package in updates.iter().flat_map(Update::packages) {
            if let Some(version) = &package.installed {
                self.put(&package.name, &package.architecture, version, origin);
            }
        }
    }

    fn put(&self, name: &str, architecture: &str, version: &str, origin: Origin) {
        let file = self.folder.path().join(format!("{name}_{version}.deb"));
        fs::write(&file, archive(name, version)).expect("an archive is written");
        let label = format!("deb {name} {architecture} {version}");
        self.machine
            .store()
            .put(&file, None, &label, origin)
            .expect("an archive is stored");
        fs::remove_file(file).expect("the archive was there");
    }

    /// Installs `updates`, whose archives it stores before, and expects all to succeed.
    pub fn install(&self, updates: &[Update]) {
        self.stock(updates);
        let result = self
            .installer()
            .install(updates.into())
            .expect("the installation begins");
        assert_eq!(result.hresult, wua_types::HResult::S_OK, "{result:?}");
    }

    /// What a job's event file says; every line must be understood.
    pub fn events(&self, job: Uuid) -> Vec<EventLine> {
        let text = fs::read_to_string(self.folders().job(job).events()).expect("the job has events");
        assert!(text.ends_with('\n'), "the last line is whole");
        text.lines().map(|line| parse(line.as_bytes())).collect()
    }

    /// What a job's event file tells, held against all its laws.
    pub fn story(&self, job: Uuid) -> Story {
        Story::read(&self.events(job))
    }

    /// Nothing of wua's is on the machine: no job, no state, no lock.
    ///
    /// # Panics
    /// Something is.
    pub fn assert_untouched(&self) {
        let there: Vec<_> = fs::read_dir(self.folder.path())
            .expect("the folder is there")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert!(there.is_empty(), "{there:?}");
    }

    /// No job runs and none is unfinished; the lock is free.
    ///
    /// # Panics
    /// It is otherwise.
    pub fn assert_idle(&self) {
        assert!(!self.installer().is_busy(), "busy");
        let lock = MachineLock::take(&self.folders().lock(), Uuid::nil()).expect("the lock file is there");
        assert!(lock.is_some(), "the lock is held");
        assert_eq!(self.state().unfinished, []);
    }

    /// The jobs that left a folder.
    pub fn job_folders(&self) -> usize {
        fs::read_dir(self.folders().jobs()).map_or(0, Iterator::count)
    }
}

/// A folder in memory where the system has such a place: the engine writes durably, and disks are slow at that.
fn temporary_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary folder")
}

fn parse<T: for<'a> serde::Deserialize<'a>>(text: &[u8]) -> T {
    serde_json::from_slice(text)
        .unwrap_or_else(|error| panic!("`{}` is not understood: {error}", String::from_utf8_lossy(text)))
}
