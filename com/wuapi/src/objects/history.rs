//! `UpdateHistoryEntry` and its collection, and the two ways to ask for them.

use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::{BSTR, implement};
use wua_types::{HResult, OperationResultCode, ServerSelection, UpdateOperation};

use crate::agent;
use crate::api::{
    ICategoryCollection, IStringCollection, IUpdateHistoryEntry, IUpdateHistoryEntry_Impl,
    IUpdateHistoryEntry2, IUpdateHistoryEntry2_Impl, IUpdateHistoryEntryCollection,
    IUpdateHistoryEntryCollection_Impl, IUpdateIdentity,
};
use crate::dispatch::scripted;
use crate::fault::Answer;
use crate::module::Leased;
use crate::objects::collection::{List, collection};
use crate::objects::{CategoryCollection, Found, StringCollection, UpdateIdentity, bstr};
use crate::value::date;

/// What happened to one update, once.
#[implement(IUpdateHistoryEntry2, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateHistoryEntry(Leased<wua_types::UpdateHistoryEntry>);

scripted!(UpdateHistoryEntry_Impl => IUpdateHistoryEntry2);

/// Entries, newest first.
#[implement(IUpdateHistoryEntryCollection, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateHistoryEntryCollection(List<UpdateHistoryEntry>);

collection! {
    UpdateHistoryEntryCollection, UpdateHistoryEntryCollection_Impl: IUpdateHistoryEntryCollection,
    IUpdateHistoryEntryCollection_Impl of UpdateHistoryEntry: IUpdateHistoryEntry2 as IUpdateHistoryEntry
}

/// `QueryHistory`: of all updates where `criteria` is empty. A count of 0 is refused, documented so; what reaches past the end
/// gives what there is (rule R45).
pub fn query(criteria: &str, start: i32, count: i32) -> Answer<IUpdateHistoryEntryCollection> {
    let start = usize::try_from(start).map_err(|_| HResult::WU_E_INVALIDINDEX)?;
    let count = usize::try_from(count)
        .ok()
        .filter(|count| *count > 0)
        .ok_or(HResult::WU_E_INVALIDINDEX)?;
    let entries = agent::client()?.history(criteria, start, count)?.entries;
    let entries = entries.into_iter().map(|entry| UpdateHistoryEntry(entry.into()));
    Ok(UpdateHistoryEntryCollection::of(entries).into_interface())
}

/// `GetTotalHistoryCount`.
pub fn total() -> Answer<i32> {
    Ok(i32::try_from(agent::client()?.history("", 0, 1)?.total).unwrap_or(i32::MAX))
}

impl IUpdateHistoryEntry_Impl for UpdateHistoryEntry_Impl {
    fn operation(&self) -> Answer<UpdateOperation> {
        Ok(self.0.operation)
    }

    fn result_code(&self) -> Answer<OperationResultCode> {
        Ok(self.0.result_code)
    }

    fn hresult(&self) -> Answer<i32> {
        Ok(self.0.hresult.as_i32())
    }

    fn date(&self) -> Answer<f64> {
        Ok(date(self.0.date))
    }

    fn update_identity(&self) -> Answer<IUpdateIdentity> {
        UpdateIdentity::answer(self.0.update_identity)
    }

    fn title(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.title))
    }

    fn description(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.description))
    }

    fn unmapped_result_code(&self) -> Answer<i32> {
        Ok(self.0.unmapped_result_code)
    }

    fn client_application_id(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.client_application_id))
    }

    fn server_selection(&self) -> Answer<ServerSelection> {
        Ok(self.0.server_selection)
    }

    /// The service's id where it was chosen by its id, and NULL otherwise.
    fn service_id(&self) -> Answer<BSTR> {
        Ok(match self.0.server_selection {
            ServerSelection::Others => bstr(&self.0.service_id.to_string()),
            _ => BSTR::new(),
        })
    }

    fn uninstallation_steps(&self) -> Answer<IStringCollection> {
        Ok(StringCollection::nothing())
    }

    fn uninstallation_notes(&self) -> Answer<BSTR> {
        Ok(BSTR::new())
    }

    fn support_url(&self) -> Answer<BSTR> {
        Ok(bstr(self.0.support_url.as_deref().unwrap_or_default()))
    }
}

impl IUpdateHistoryEntry2_Impl for UpdateHistoryEntry_Impl {
    fn categories(&self) -> Answer<ICategoryCollection> {
        Ok(CategoryCollection::found(&self.0.categories, &Found::default()).into_interface())
    }
}
