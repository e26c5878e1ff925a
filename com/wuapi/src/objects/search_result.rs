//! `SearchResult`: what a search found.

use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::{ComObject, implement};
use wua_types::OperationResultCode;

use crate::api::{
    ICategoryCollection, ISearchResult, ISearchResult_Impl, IUpdateCollection, IUpdateExceptionCollection,
};
use crate::dispatch::scripted;
use crate::fault::Answer;
use crate::module::Lease;
use crate::objects::update::Found;
use crate::objects::{CategoryCollection, UpdateCollection, UpdateExceptionCollection};

/// The object. Its collections are made once: a client may compare what it gets.
#[implement(ISearchResult, ISupportErrorInfo)]
#[derive(Debug)]
pub struct SearchResult {
    result_code: OperationResultCode,
    root_categories: ComObject<CategoryCollection>,
    updates: ComObject<UpdateCollection>,
    warnings: ComObject<UpdateExceptionCollection>,
    _lease: Lease,
}

scripted!(SearchResult_Impl => ISearchResult);

impl SearchResult {
    /// The result, as objects.
    pub fn new(result: &wua_types::SearchResult) -> Self {
        let found = Found::new(result.updates.iter().cloned());
        Self {
            result_code: result.result_code,
            root_categories: CategoryCollection::found(&result.root_categories, &found),
            updates: UpdateCollection::read_only(found.updates().into_iter().map(ComObject::new)),
            warnings: UpdateExceptionCollection::told(&result.warnings),
            _lease: Lease::default(),
        }
    }
}

impl ISearchResult_Impl for SearchResult_Impl {
    fn result_code(&self) -> Answer<OperationResultCode> {
        Ok(self.result_code)
    }

    fn root_categories(&self) -> Answer<ICategoryCollection> {
        Ok(self.root_categories.to_interface())
    }

    fn updates(&self) -> Answer<IUpdateCollection> {
        Ok(self.updates.to_interface())
    }

    fn warnings(&self) -> Answer<IUpdateExceptionCollection> {
        Ok(self.warnings.to_interface())
    }
}
