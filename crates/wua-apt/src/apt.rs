//! [`Apt`]: APT as a source of updates and as the handler that applies them.
//!
//! A thin front: searching is in `source`, deciding in `resolve` and `resolve_back`, fetching in `fetch`, changing in
//! `apply`. What is said here is who may do what, and which machine this is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::Uuid;
use wua_engine::Failure;
use wua_engine::handler::{
    Batch, BatchContext, BatchEnd, Consent, DownloadContext, Finding, InstalledUpdate, Resolution,
    UpdateHandler,
};
use wua_engine::source::{Found, SearchRequest, UpdateSource};
use wua_engine::space::SpaceNeed;
use wua_engine::stage::ExpectedStage;
use wua_engine::store::ContentStore;
use wua_types::{HResult, InstallPlan, PlannedUpdate, Update, UpdateService};

use crate::apply::ApplyOptions;
use crate::keep_old::installed_as;
use crate::tree::{AptTree, TreeError, TreeKind};
use crate::{
    apply, fetch, forecast, health, locks, repair, resolve, resolve_back, restart, source, space, updates,
};

/// How [`Apt`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AptOptions {
    /// Pack installed versions again whose archives are nowhere to be had, so that updates can be taken back.
    pub repack: bool,
    /// How long locks of other programs are waited for; without end if none.
    pub lock_limit: Option<Duration>,
    /// How long a maintainer script may be silent before it is ended; it never is if none.
    pub script_limit: Option<Duration>,
}

impl Default for AptOptions {
    /// Repacks, waits without end, and ends no script.
    fn default() -> Self {
        Self {
            repack: true,
            lock_limit: None,
            script_limit: None,
        }
    }
}

/// The packages of one Debian tree.
#[derive(Debug)]
pub struct Apt {
    tree: AptTree,
    options: AptOptions,
}

impl Apt {
    /// The id of the service that APT's updates come from (rule R47).
    pub const SERVICE_ID: Uuid = updates::SERVICE_ID;

    /// Opens the tree at `root`: the machine itself, a practice machine, or another Debian tree. Changes nothing and
    /// needs no privilege.
    ///
    /// # Errors
    /// `root` is no Debian tree, belongs to somebody else, or a program is missing.
    pub fn open(root: &Path, options: AptOptions) -> Result<Self, Failure> {
        let tree = AptTree::open(root).map_err(|error| {
            let code = match &error {
                TreeError::ForeignPracticeMachine { .. } | TreeError::Foreign { .. } => {
                    HResult::E_ACCESSDENIED
                }
                TreeError::Link { .. } | TreeError::Open { .. } | TreeError::PracticeMachineMoved { .. } => {
                    HResult::E_INVALIDARG
                }
                TreeError::Unreadable { source, .. } => wua_engine::store::io_code(source),
                TreeError::ProgramMissing { .. } => HResult::WU_E_MISSING_HANDLER,
                TreeError::Configuration { source, .. } => wua_engine::store::io_code(source),
                _ => HResult::WU_E_NO_SERVICE,
            };
            Failure::because(code, format!("cannot work on `{}`", root.display()), error)
        })?;
        Ok(Self { tree, options })
    }

    /// The same tree worked on in another way: for callers whose options stand in the tree, which is not to be read before it
    /// is known to be theirs.
    #[must_use]
    pub fn with_options(self, options: AptOptions) -> Self {
        Self { options, ..self }
    }

    /// The tree.
    pub fn tree(&self) -> &AptTree {
        &self.tree
    }
}

impl UpdateSource for Apt {
    fn service(&self) -> UpdateService {
        UpdateService {
            id: Self::SERVICE_ID,
            name: "APT".into(),
            is_managed: false,
            can_register_with_au: true,
            is_registered_with_au: true,
            is_default_au_service: true,
            offers_windows_updates: true,
            is_scan_package_service: false,
            service_url: String::new(),
        }
    }

    /// As the trait says; a refresh needs the right to change the machine.
    fn search(&self, request: &SearchRequest<'_>) -> Result<Found, Failure> {
        if request.refresh {
            self.may_change()?;
        }
        source::search(&self.tree, request, self.options.lock_limit)
    }
}

impl UpdateHandler for Apt {
    fn machine(&self) -> String {
        let kind = match self.tree.kind() {
            TreeKind::Machine => "machine",
            TreeKind::Practice => "practice",
            TreeKind::Other => "tree",
        };
        // The id itself is confidential (machine-id(5)).
        let id = fs::read_to_string(self.tree.path("etc/machine-id")).unwrap_or_default();
        let root = self.tree.root().display();
        match id.trim() {
            "" | "uninitialized" => format!("apt {kind} {root}"),
            id => format!(
                "apt {kind} {}",
                &hex::encode(Sha256::digest(format!("wua {id}")))[..32]
            ),
        }
    }

    fn may_change(&self) -> Result<(), Failure> {
        let me = rustix::process::geteuid();
        let root = self.tree.root();
        let (may, needed) = match self.tree.kind() {
            TreeKind::Practice => {
                let owner = fs::metadata(root).map_or(0, |metadata| metadata.uid());
                (owner == me.as_raw(), format!("its owner (uid {owner})"))
            }
            TreeKind::Machine | TreeKind::Other => (me.is_root(), "root".to_owned()),
        };
        if may {
            return Ok(());
        }
        let text = format!(
            "changing packages of `{}` needs {needed}; you are uid {}",
            root.display(),
            me.as_raw()
        );
        Err(Failure::new(HResult::E_ACCESSDENIED, text))
    }

    fn still_installed(&self, updates: &[&InstalledUpdate]) -> Result<Vec<bool>, Failure> {
        let installed = resolve::database(&self.tree)?;
        let is_there = |update: &&InstalledUpdate| {
            let mut brought = update
                .changes
                .iter()
                .filter(|change| change.to.is_some())
                .peekable();
            brought.peek().is_some()
                && brought.all(|change| {
                    installed_as(&installed, &change.name, &change.architecture)
                        .is_some_and(|package| change.to.as_ref() == Some(&package.version))
                })
        };
        Ok(updates.iter().map(is_there).collect())
    }

    fn resolve_install(&self, updates: &[Update], forced: bool) -> Result<Resolution, Failure> {
        resolve::resolve_install(&self.tree, updates, forced)
    }

    fn resolve_uninstall(
        &self,
        updates: &[InstalledUpdate],
        store: &ContentStore,
    ) -> Result<Resolution, Failure> {
        resolve_back::resolve_uninstall(&self.tree, updates, store)
    }

    fn forecast(&self, updates: &[PlannedUpdate]) -> Vec<Vec<ExpectedStage>> {
        forecast::forecast(&self.tree, updates)
    }

    fn space_needed(&self, plan: &InstallPlan) -> Result<Vec<SpaceNeed>, Failure> {
        space::needed(&self.tree, plan)
    }

    fn download(
        &self,
        updates: &[Update],
        store: &ContentStore,
        cx: &mut dyn DownloadContext,
    ) -> Result<(), Failure> {
        fetch::download(&self.tree, updates, store, cx, self.options.repack)
    }

    fn apply(&self, batch: &Batch<'_>, cx: &mut dyn BatchContext) -> Result<BatchEnd, Failure> {
        let options = ApplyOptions {
            lock_limit: self.options.lock_limit,
            script_limit: self.options.script_limit,
            ..ApplyOptions::default()
        };
        apply::apply(&self.tree, batch, &options, cx)
    }

    fn diagnose(&self, store: &ContentStore) -> Result<Vec<Finding>, Failure> {
        health::diagnose(&self.tree, store)
    }

    fn repair(
        &self,
        folder: &Path,
        number: usize,
        store: &ContentStore,
        consent: Consent,
        cx: &mut dyn BatchContext,
    ) -> Result<Vec<Finding>, Failure> {
        let options = ApplyOptions {
            lock_limit: self.options.lock_limit,
            script_limit: self.options.script_limit,
            ..ApplyOptions::default()
        };
        repair::repair(&self.tree, folder, number, store, consent, &options, cx)
    }

    fn restart_required(&self) -> Result<Option<Vec<String>>, Failure> {
        restart::restart_required(&self.tree)
    }

    fn installs_by_itself(&self) -> bool {
        crate::unattended::is_active(&self.tree)
    }

    fn lock_holder(&self) -> Option<String> {
        locks::holder(&self.tree, &[locks::FRONTEND, locks::DATABASE]).map(|holder| holder.to_string())
    }
}
