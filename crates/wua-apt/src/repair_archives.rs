//! The archives that a repair needs: those of the store, else those that an index offers, fetched and verified as for a download.
//!
//! apt itself fetches nothing in a repair, so every archive that it is shown has a hash that was computed here, and the gate holds
//! it to that.

use wua_engine::Failure;
use wua_engine::handler::{BatchContext, DownloadContext};
use wua_engine::store::ContentStore;
use wua_types::{HResult, PackageChange, Phase, PlannedChange, Update, UpdateDownloadResult, WaitingFor};

use crate::fetch;
use crate::keep_old;
use crate::offers::Offers;
use crate::repositories::Repositories;
use crate::tree::AptTree;
use crate::updates;

/// Names to each change the archive that brings it, and fetches those that the store lacks. Why some cannot be had; their changes
/// have no archive then.
///
/// # Errors
/// The store cannot be used, or an abort was asked for (`WU_E_CALL_CANCELLED`).
pub(crate) fn provide(
    tree: &AptTree,
    store: &ContentStore,
    changes: &mut [PlannedChange],
    cx: &mut dyn BatchContext,
) -> Result<Vec<String>, Failure> {
    changes
        .iter_mut()
        .for_each(|change| change.archive = stored(store, change));
    let is_lacking = |change: &PlannedChange| change.to.is_some() && change.archive.is_none();
    let mut lacking: Vec<_> = changes.iter_mut().filter(|change| is_lacking(change)).collect();
    if lacking.is_empty() {
        return Ok(Vec::new());
    }
    let offers = Offers::read(tree, lacking.iter().map(|change| change.name.as_str()))?;
    let repositories = offers.repositories();
    let wanted: Vec<Update> = lacking
        .iter()
        .map(|change| download_of(change, &offers, repositories))
        .collect();
    let mut fetching = Fetching { cx, said: Vec::new() };
    fetch::download(tree, &wanted, store, &mut fetching, false)?;
    if fetching.cx.abort_requested() {
        let sentence = "an abort was asked for while archives were fetched";
        return Err(Failure::new(HResult::WU_E_CALL_CANCELLED, sentence));
    }
    for change in &mut lacking {
        change.archive = stored(store, change);
    }
    Ok(fetching.said)
}

/// The hash of the sound archive that the store has for what a change brings.
fn stored(store: &ContentStore, change: &PlannedChange) -> Option<String> {
    let label = keep_old::label(&change.name, &change.architecture, change.to.as_deref()?);
    let content = store.find(&label).ok().flatten()?;
    match store.verify(&content.sha256) {
        Ok(_) => Some(content.sha256),
        Err(error) => {
            tracing::warn!(%label, %error, "a stored archive cannot be used");
            None
        }
    }
}

/// What the downloader is asked for. A version that no index offers has no content, and that is what it will say.
fn download_of(change: &PlannedChange, offers: &Offers, repositories: &Repositories) -> Update {
    let record = offers.brought_by(change);
    let package = PackageChange {
        name: change.name.clone(),
        architecture: change.architecture.clone(),
        installed: change.from.clone(),
        candidate: change.to.clone(),
        installed_size: 0,
        content: record.and_then(|record| updates::content(record, repositories)),
    };
    let identity = wua_types::UpdateIdentity {
        update_id: wua_types::UpdateId(uuid::Uuid::nil()),
        revision_number: 0,
    };
    Update {
        package: Some(package),
        ..Update::new(
            identity,
            format!("{} {}", change.name, change.to.as_deref().unwrap_or_default()),
        )
    }
}

/// A download inside a repair: failures are reasons, waits are the repair's.
struct Fetching<'a> {
    cx: &'a mut dyn BatchContext,
    said: Vec<String>,
}

impl DownloadContext for Fetching<'_> {
    fn abort_requested(&self) -> bool {
        self.cx.abort_requested()
    }

    fn bytes(&mut self, _: usize, _: u64, _: u64, _: Phase) {}

    fn waiting(&mut self, what: Option<WaitingFor>) {
        self.cx.waiting(what);
    }

    fn finished(&mut self, _: usize, result: UpdateDownloadResult) {
        if !result.result_code.is_success() {
            self.said.push(result.message);
        }
    }

    fn warning(&mut self, _: HResult, message: String) {
        // That a version is not kept for an undo concerns nobody whose machine is broken.
        tracing::info!(message, "while archives of a repair were fetched");
    }
}
