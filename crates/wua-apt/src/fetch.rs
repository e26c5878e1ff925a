//! The download job: brings the archives of updates into the content store, verified, and the installed versions' too.
//!
//! What the store lacks is taken from APT's cache where the hash is right, else fetched by APT's fetcher (`helper`) in
//! portions, into a folder of its own below the store's, named by hash so that parts are resumed by any later run. An
//! archive counts as soon as the store has hashed it itself. Each update's result is told once; a failing archive fails
//! its own updates only. A missing file (404) is not answered by a refresh here: the caller decides.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use wua_engine::Failure;
use wua_engine::handler::DownloadContext;
use wua_engine::store::{ContentStore, Origin, StoreError, io_code};
use wua_types::{HResult, OperationResultCode, Phase, Update, UpdateDownloadResult};

use crate::changelog;
use crate::child::Tick;
use crate::dpkg::DpkgDatabase;
use crate::helper::{Complaints, Helper, Request, is_connection};
use crate::incoming::{self, free_bytes};
use crate::items::{self, Item, RESERVE, State};
use crate::keep_old::{self, KeepError, OldVersion};
use crate::kept;
use crate::reader::Reading;
use crate::repositories::Repositories;
use crate::tree::AptTree;

/// Brings everything that `updates` need, and keeps what they replace.
///
/// # Errors
/// Nothing can be fetched at all: the store or the fetcher cannot be used.
pub(crate) fn download(
    tree: &AptTree,
    updates: &[Update],
    store: &ContentStore,
    cx: &mut dyn DownloadContext,
    repack: bool,
) -> Result<(), Failure> {
    let incoming = incoming::folder(tree, store)?;
    let Some(_lock) = incoming::lock(&incoming, cx)? else {
        for update in 0..updates.len() {
            cx.finished(update, aborted());
        }
        return Ok(());
    };
    let mut download = Download {
        tree,
        updates,
        store,
        cx,
        repack,
        repositories: Repositories::default(),
        items: Vec::new(),
        told: vec![false; updates.len()],
        old: Vec::new(),
        incoming,
    };
    download.prepare()?;
    download.tell_progress(Phase::Downloading);
    download.settle();
    while !download.cx.abort_requested() {
        let portion = items::portion(&mut download.items, store.folder());
        if portion.is_empty() {
            break;
        }
        download.fetch(&portion)?;
        download.settle();
    }
    // The last portion may have been empty because nothing fits.
    download.settle();
    download.tell_aborted();
    changelog::prune(store);
    kept::keep_if_possible(tree);
    Ok(())
}

struct Download<'a> {
    tree: &'a AptTree,
    updates: &'a [Update],
    store: &'a ContentStore,
    cx: &'a mut dyn DownloadContext,
    repack: bool,
    repositories: Repositories,
    items: Vec<Item>,
    told: Vec<bool>,
    old: Vec<OldVersion>,
    incoming: PathBuf,
}

impl Download<'_> {
    /// Works out what is needed and what is here already.
    fn prepare(&mut self) -> Result<(), Failure> {
        let store_failed =
            |error: StoreError| Failure::because(error.code(), "the store cannot be read", error);
        match DpkgDatabase::read(self.tree.root()) {
            Ok(installed) => {
                self.old = OldVersion::lacking(self.updates, &installed, self.store).map_err(store_failed)?;
            }
            Err(error) => {
                let failure = Failure::because(
                    HResult::WU_E_UNEXPECTED,
                    "the installed versions are unknown",
                    error,
                );
                self.cx.warning(
                    failure.code(),
                    format!("{}; undo will not be possible", failure.sentence()),
                );
            }
        }
        self.repositories = Repositories::ask(self.tree).unwrap_or_default();
        self.keep_cached_old();
        self.look_for_old();
        self.items = items::list(self.tree, self.updates, &self.old, self.store);
        Ok(())
    }

    fn keep_cached_old(&mut self) {
        let (tree, store) = (self.tree, self.store);
        self.old.retain(|old| match old.save_from_cache(tree, store) {
            Ok(saved) => !saved,
            Err(error) => {
                tracing::warn!(label = old.label(), %error, "a cached archive cannot be kept");
                true
            }
        });
    }

    /// Indexes are read only if an old version has to be looked for.
    fn look_for_old(&mut self) {
        if self.old.is_empty() {
            return;
        }
        match Reading::of(self.tree) {
            Ok(reading) => keep_old::look_for_offers(&reading, &self.repositories, &mut self.old),
            Err(error) => tracing::warn!(%error, "old versions are not looked for in the archives"),
        }
    }

    fn fetch(&mut self, portion: &[usize]) -> Result<(), Failure> {
        let resumed: Vec<bool> = portion.iter().map(|place| self.arrived(*place) > 0).collect();
        let requests: Vec<Request> = portion.iter().map(|place| self.request(*place)).collect();
        let failed = |error: io::Error| {
            Failure::because(io_code(&error), "cannot run APT's fetcher `apt-helper`", error)
        };
        let helper = Helper::start(self.tree, &requests).map_err(failed)?;
        let (status, complaints) = helper.wait(|| self.tick(portion)).map_err(failed)?;
        for (place, resumed) in portion.iter().zip(resumed) {
            self.conclude(*place, resumed, status, &complaints);
        }
        self.tell_progress(Phase::Downloading);
        Ok(())
    }

    fn request(&self, place: usize) -> Request {
        let item = &self.items[place];
        Request {
            address: self.repositories.with_credentials(&item.address),
            target: self.part(item),
            sha256: item.sha256.clone(),
            size: item.size,
        }
    }

    /// Looks how far the files have grown, and takes in those that are whole.
    fn tick(&mut self, portion: &[usize]) -> Tick {
        if self.cx.abort_requested() {
            return Tick::Interrupt;
        }
        let mut changed = false;
        for &place in portion {
            if !self.items[place].is_wanted() {
                continue;
            }
            let (before, now) = (self.items[place].arrived, self.arrived(place));
            changed |= before != now;
            self.items[place].arrived = now;
            if now == self.items[place].size && now > 0 && before != now {
                self.take_in(place);
            }
        }
        if changed {
            self.tell_progress(Phase::Downloading);
        }
        Tick::Continue
    }

    /// Puts a whole file into the store if its hash is right. The fetcher is left to end with its own copy.
    fn take_in(&mut self, place: usize) -> bool {
        let item = &self.items[place];
        match self.store.put(
            &self.part(item),
            Some(&item.sha256),
            &item.label,
            Origin::Downloaded,
        ) {
            Ok(_) => {
                items::note_changelog(self.store, item);
                self.items[place].state = State::Here;
                true
            }
            // Not whole after all, or damaged: the fetcher's own check tells at its end.
            Err(StoreError::WrongHash { .. }) => false,
            Err(error) => {
                let failure = Failure::because(error.code(), "the archive cannot be stored", error);
                self.items[place].state = State::Failed(failure.code(), failure.sentence());
                false
            }
        }
    }

    /// What became of a file when the fetcher has ended.
    fn conclude(&mut self, place: usize, resumed: bool, status: ExitStatus, complaints: &Complaints) {
        let part = self.part(&self.items[place]);
        let damaged = part.with_extension("deb.FAILED");
        if self.items[place].is_wanted() && part.is_file() && self.take_in(place) {
            self.items[place].arrived = 0;
        }
        let was_damaged = fs::remove_file(&damaged).is_ok();
        let item = &self.items[place];
        if !item.is_wanted() {
            let _ = fs::remove_file(&part);
            return;
        }
        if self.cx.abort_requested() {
            return;
        }
        let address = &item.address;
        let said = complaints.about(address);
        let second_try = item.state == State::WantedWhole;
        let state = if was_damaged && resumed && !second_try {
            State::WantedWhole
        } else if was_damaged {
            let why = said.unwrap_or("its hash is wrong");
            let why = format!("`{address}` is not the archive that the signed index promises: {why}");
            State::Failed(HResult::WU_E_DM_INCORRECTFILEHASH, why)
        } else if free_bytes(self.store.folder()).is_some_and(|free| free < item.size.min(RESERVE)) {
            let why = format!(
                "the disk of `{}` filled up while `{address}` was fetched",
                self.store.folder().display()
            );
            State::Failed(HResult::ERROR_DISK_FULL, why)
        } else {
            let why = said.map_or_else(|| format!("the fetcher ended with {status}"), str::to_owned);
            let code = if is_connection(&why) {
                HResult::WU_E_NO_CONNECTION
            } else {
                HResult::WU_E_DOWNLOAD_FAILED
            };
            State::Failed(code, format!("`{address}` cannot be fetched: {why}"))
        };
        self.items[place].state = state;
        self.items[place].arrived = 0;
    }

    fn part(&self, item: &Item) -> PathBuf {
        self.incoming.join(format!("{}.deb", item.sha256))
    }

    fn arrived(&self, place: usize) -> u64 {
        fs::metadata(self.part(&self.items[place])).map_or(0, |metadata| metadata.len())
    }

    /// Ends every update whose archives are all decided: keeps what it replaces and tells its result.
    fn settle(&mut self) {
        for update in 0..self.updates.len() {
            let mut items = self.items.iter().filter(|item| item.owners.contains(&update));
            let waits_for_old = self.old.iter().any(|old| {
                let label = old.label();
                old.update == update
                    && self
                        .items
                        .iter()
                        .any(|item| item.label == label && item.is_wanted())
            });
            let is_decided = !items.clone().any(Item::is_wanted) && !waits_for_old;
            if self.told[update] || !is_decided || self.cx.abort_requested() {
                continue;
            }
            let failed = items.clone().find_map(|item| match &item.state {
                State::Failed(code, why) => Some((*code, why.clone())),
                _ => None,
            });
            let result = match failed {
                Some((code, why)) => UpdateDownloadResult::new(OperationResultCode::Failed, code, why),
                None => {
                    let came = items.any(|item| item.state == State::Here);
                    let code = if came {
                        HResult::S_OK
                    } else {
                        HResult::WU_S_ALREADY_DOWNLOADED
                    };
                    self.keep_old(update);
                    UpdateDownloadResult::new(OperationResultCode::Succeeded, code, "")
                }
            };
            self.told[update] = true;
            self.cx.finished(update, result);
        }
    }

    /// Keeps the versions that an update replaces and nothing has brought yet.
    fn keep_old(&mut self, update: usize) {
        let here = |items: &[Item], label: &str| {
            items
                .iter()
                .any(|item| item.label == label && matches!(item.state, State::Here | State::Kept))
        };
        let (mine, others) = std::mem::take(&mut self.old)
            .into_iter()
            .partition(|old| old.update == update);
        self.old = others;
        let mine: Vec<OldVersion> = mine;
        let mine: Vec<_> = mine
            .into_iter()
            .filter(|old| !here(&self.items, &old.label()))
            .collect();
        if mine.is_empty() {
            return;
        }
        let bytes = self.bytes_of(update);
        self.cx.bytes(update, bytes.0, bytes.1, Phase::Saving);
        for old in mine {
            let saved = if self.repack {
                old.save_repacked(self.tree, self.store)
            } else {
                Err(KeepError::TurnedOff)
            };
            let (name, version) = (&old.package.name, &old.package.version);
            match saved {
                Ok(repacked) if repacked.missing.is_empty() => {}
                Ok(repacked) => {
                    let (first, count) = (&repacked.missing[0], repacked.missing.len());
                    let text = format!(
                        "`{name}` {version} was kept without {count} of its files that are not on the disk, such as `/{first}`"
                    );
                    self.cx.warning(HResult::S_FALSE, text);
                }
                Err(error) => {
                    let code = error.code();
                    let failure = Failure::because(
                        code,
                        format!(
                            "the archive of the installed `{name}` {version} is not kept, so undo will not be possible"
                        ),
                        error,
                    );
                    self.cx.warning(code, failure.sentence());
                }
            }
        }
    }

    fn bytes_of(&self, update: usize) -> (u64, u64) {
        let items = self.items.iter().filter(|item| item.owners.contains(&update));
        items.fold((0, 0), |(here, total), item| {
            let own = if matches!(item.state, State::Here | State::Kept) {
                item.size
            } else {
                item.arrived.min(item.size)
            };
            (here + own, total + item.size)
        })
    }

    fn tell_progress(&mut self, phase: Phase) {
        for update in 0..self.updates.len() {
            if !self.told[update] {
                let (here, total) = self.bytes_of(update);
                self.cx.bytes(update, here, total, phase);
            }
        }
    }

    /// Tells those that have no result yet that they are not going to have a better one.
    fn tell_aborted(&mut self) {
        for update in 0..self.updates.len() {
            if !std::mem::replace(&mut self.told[update], true) {
                self.cx.finished(update, aborted());
            }
        }
    }
}

fn aborted() -> UpdateDownloadResult {
    let code = HResult::WU_E_CALL_CANCELLED;
    UpdateDownloadResult::new(
        OperationResultCode::Aborted,
        code,
        "stopped at the caller's request",
    )
}
