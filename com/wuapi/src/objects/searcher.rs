//! `UpdateSearcher`: how to search. The search itself is in `jobs`.

use std::sync::Mutex;

use uuid::Uuid;
use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, IUnknown, implement};
use wua_types::{HResult, SearchScope, ServerSelection};

use crate::api::{
    ISearchJob, ISearchResult, IUpdateHistoryEntryCollection, IUpdateSearcher_Impl, IUpdateSearcher2_Impl,
    IUpdateSearcher3, IUpdateSearcher3_Impl,
};
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::Lease;
use crate::objects::client_id::ClientId;
use crate::objects::{bstr, history, lock};
use crate::{border, jobs};

/// How a search is to be done: the searcher's properties, as they are when it begins.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// `CanAutomaticallyUpgradeService`.
    pub can_automatically_upgrade_service: bool,
    /// `IncludePotentiallySupersededUpdates`.
    pub include_potentially_superseded_updates: bool,
    /// `ServerSelection`.
    pub server_selection: ServerSelection,
    /// `Online`.
    pub online: bool,
    /// `ServiceID`, for a selection of others.
    pub service_id: Uuid,
    /// `IgnoreDownloadPriority`.
    pub ignore_download_priority: bool,
    /// `SearchScope`.
    pub search_scope: SearchScope,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            can_automatically_upgrade_service: false,
            include_potentially_superseded_updates: false,
            server_selection: ServerSelection::Default,
            online: true,
            service_id: Uuid::nil(),
            ignore_download_priority: false,
            search_scope: SearchScope::Default,
        }
    }
}

/// A search about to begin.
#[derive(Clone, Debug)]
pub struct SearchSnapshot {
    /// What to search for, as it was given.
    pub criteria: String,
    /// Who asks.
    pub client_application_id: Option<String>,
    /// How.
    pub options: SearchOptions,
}

/// The object.
#[implement(IUpdateSearcher3, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct UpdateSearcher {
    client_id: ClientId,
    options: Mutex<SearchOptions>,
    _lease: Lease,
}

scripted!(UpdateSearcher_Impl => IUpdateSearcher3);

impl UpdateSearcher {
    /// One that a session makes.
    pub fn of_session(client_id: ClientId) -> Self {
        Self {
            client_id,
            ..Self::default()
        }
    }

    /// For a search that begins.
    fn snapshot(&self, criteria: &BSTR) -> SearchSnapshot {
        SearchSnapshot {
            criteria: criteria.to_string(),
            client_application_id: self.client_id.name(),
            options: lock(&self.options).clone(),
        }
    }

    fn set(&self, set: impl FnOnce(&mut SearchOptions)) -> Answer<()> {
        set(&mut lock(&self.options));
        Ok(())
    }
}

impl IUpdateSearcher_Impl for UpdateSearcher_Impl {
    fn can_automatically_upgrade_service(&self) -> Answer<bool> {
        Ok(lock(&self.options).can_automatically_upgrade_service)
    }

    fn put_can_automatically_upgrade_service(&self, value: bool) -> Answer<()> {
        self.set(|options| options.can_automatically_upgrade_service = value)
    }

    fn client_application_id(&self) -> Answer<BSTR> {
        Ok(self.client_id.get())
    }

    fn put_client_application_id(&self, value: &BSTR) -> Answer<()> {
        self.client_id.put(value);
        Ok(())
    }

    fn include_potentially_superseded_updates(&self) -> Answer<bool> {
        Ok(lock(&self.options).include_potentially_superseded_updates)
    }

    fn put_include_potentially_superseded_updates(&self, value: bool) -> Answer<()> {
        self.set(|options| options.include_potentially_superseded_updates = value)
    }

    fn server_selection(&self) -> Answer<ServerSelection> {
        Ok(lock(&self.options).server_selection)
    }

    fn put_server_selection(&self, value: ServerSelection) -> Answer<()> {
        self.set(|options| options.server_selection = value)
    }

    fn begin_search(
        &self,
        criteria: &BSTR,
        on_completed: Option<&IUnknown>,
        state: &VARIANT,
    ) -> Answer<ISearchJob> {
        jobs::begin_search(self.snapshot(criteria), on_completed, state)
    }

    fn end_search(&self, search_job: Option<&ISearchJob>) -> Answer<ISearchResult> {
        jobs::end_search(search_job)
    }

    /// Rule R43: a quote is doubled.
    fn escape_string(&self, unescaped: &BSTR) -> Answer<BSTR> {
        let mut escaped = Vec::with_capacity(unescaped.len());
        for unit in unescaped.iter().copied() {
            escaped.push(unit);
            if unit == u16::from(b'\'') {
                escaped.push(unit);
            }
        }
        Ok(BSTR::from_wide(&escaped))
    }

    fn query_history(&self, start_index: i32, count: i32) -> Answer<IUpdateHistoryEntryCollection> {
        history::query("", start_index, count)
    }

    fn search(&self, criteria: &BSTR) -> Answer<ISearchResult> {
        jobs::search(self.snapshot(criteria))
    }

    fn online(&self) -> Answer<bool> {
        Ok(lock(&self.options).online)
    }

    fn put_online(&self, value: bool) -> Answer<()> {
        self.set(|options| options.online = value)
    }

    fn get_total_history_count(&self) -> Answer<i32> {
        history::total()
    }

    fn service_id(&self) -> Answer<BSTR> {
        Ok(bstr(&lock(&self.options).service_id.to_string()))
    }

    fn put_service_id(&self, value: &BSTR) -> Answer<()> {
        let text = value.to_string();
        let id = if border::is_null(value) || text.is_empty() {
            Uuid::nil()
        } else {
            Uuid::parse_str(&text).map_err(|_| {
                Fault::new(
                    HResult::E_INVALIDARG,
                    format!("`{text}` is not the id of a service"),
                )
            })?
        };
        self.set(|options| options.service_id = id)
    }
}

impl IUpdateSearcher2_Impl for UpdateSearcher_Impl {
    fn ignore_download_priority(&self) -> Answer<bool> {
        Ok(lock(&self.options).ignore_download_priority)
    }

    fn put_ignore_download_priority(&self, value: bool) -> Answer<()> {
        self.set(|options| options.ignore_download_priority = value)
    }
}

impl IUpdateSearcher3_Impl for UpdateSearcher_Impl {
    fn search_scope(&self) -> Answer<SearchScope> {
        Ok(lock(&self.options).search_scope)
    }

    fn put_search_scope(&self, value: SearchScope) -> Answer<()> {
        match value {
            SearchScope::Default | SearchScope::MachineOnly | SearchScope::CurrentUserOnly => {
                self.set(|options| options.search_scope = value)
            }
            SearchScope::MachineAndCurrentUser | SearchScope::MachineAndAllUsers | SearchScope::AllUsers => {
                Err(HResult::WU_E_UNSUPPORTED_SEARCHSCOPE.into())
            }
        }
    }
}
