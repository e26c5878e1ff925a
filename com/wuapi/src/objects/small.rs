//! Small objects that only tell what they hold: identity, behaviour, contents, warnings.

use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::{BSTR, ComObject, implement};
use wua_types::{HResult, InstallationImpact, InstallationRebootBehavior, UpdateExceptionContext};

use crate::api::{
    IInstallationBehavior, IInstallationBehavior_Impl, IUpdateDownloadContent, IUpdateDownloadContent_Impl,
    IUpdateDownloadContent2, IUpdateDownloadContent2_Impl, IUpdateDownloadContentCollection,
    IUpdateDownloadContentCollection_Impl, IUpdateException, IUpdateException_Impl,
    IUpdateExceptionCollection, IUpdateExceptionCollection_Impl, IUpdateIdentity, IUpdateIdentity_Impl,
};
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::Leased;
use crate::objects::bstr;
use crate::objects::collection::{List, collection};

/// An update's id and revision.
#[implement(IUpdateIdentity, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateIdentity(Leased<wua_types::UpdateIdentity>);

scripted!(UpdateIdentity_Impl => IUpdateIdentity);

impl UpdateIdentity {
    /// For a member that answers it.
    pub fn answer(identity: wua_types::UpdateIdentity) -> Answer<IUpdateIdentity> {
        Ok(Self(identity.into()).into())
    }
}

impl IUpdateIdentity_Impl for UpdateIdentity_Impl {
    fn revision_number(&self) -> Answer<i32> {
        i32::try_from(self.0.revision_number)
            .map_err(|_| Fault::new(HResult::WU_E_UNEXPECTED, "The revision's number is too great"))
    }

    fn update_id(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.update_id.to_string()))
    }
}

/// What installing or removing may do.
#[implement(IInstallationBehavior, ISupportErrorInfo)]
#[derive(Debug)]
pub struct InstallationBehavior(Leased<wua_types::InstallationBehavior>);

scripted!(InstallationBehavior_Impl => IInstallationBehavior);

impl InstallationBehavior {
    /// For a member that answers it; there may be none.
    pub fn answer(
        behavior: Option<wua_types::InstallationBehavior>,
    ) -> Answer<Option<IInstallationBehavior>> {
        Ok(behavior.map(|behavior| Self(behavior.into()).into()))
    }
}

impl IInstallationBehavior_Impl for InstallationBehavior_Impl {
    fn can_request_user_input(&self) -> Answer<bool> {
        Ok(self.0.can_request_user_input)
    }

    fn impact(&self) -> Answer<InstallationImpact> {
        Ok(self.0.impact)
    }

    fn reboot_behavior(&self) -> Answer<InstallationRebootBehavior> {
        Ok(self.0.reboot_behavior)
    }

    fn requires_network_connectivity(&self) -> Answer<bool> {
        Ok(self.0.requires_network_connectivity)
    }
}

/// One file of an update.
#[implement(IUpdateDownloadContent2, ISupportErrorInfo)]
#[derive(Debug)]
pub struct DownloadContent(Leased<wua_types::DownloadContent>);

impl DownloadContent {
    /// An object that tells of that file.
    pub fn new(content: wua_types::DownloadContent) -> Self {
        Self(content.into())
    }
}

scripted!(DownloadContent_Impl => IUpdateDownloadContent2);

impl IUpdateDownloadContent_Impl for DownloadContent_Impl {
    fn download_url(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.url))
    }
}

impl IUpdateDownloadContent2_Impl for DownloadContent_Impl {
    fn is_delta_compressed_content(&self) -> Answer<bool> {
        Ok(false)
    }
}

/// The files of an update.
#[implement(IUpdateDownloadContentCollection, ISupportErrorInfo)]
#[derive(Debug)]
pub struct DownloadContentCollection(List<DownloadContent>);

collection! {
    DownloadContentCollection, DownloadContentCollection_Impl: IUpdateDownloadContentCollection,
    IUpdateDownloadContentCollection_Impl of DownloadContent: IUpdateDownloadContent2 as IUpdateDownloadContent
}

/// A warning of a search.
#[implement(IUpdateException, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateException(Leased<wua_types::UpdateException>);

scripted!(UpdateException_Impl => IUpdateException);

impl IUpdateException_Impl for UpdateException_Impl {
    fn message(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.message))
    }

    fn hresult(&self) -> Answer<i32> {
        Ok(self.0.hresult.as_i32())
    }

    fn context(&self) -> Answer<UpdateExceptionContext> {
        Ok(self.0.context)
    }
}

/// The warnings of a search.
#[implement(IUpdateExceptionCollection, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateExceptionCollection(List<UpdateException>);

collection! {
    UpdateExceptionCollection, UpdateExceptionCollection_Impl: IUpdateExceptionCollection, IUpdateExceptionCollection_Impl
    of UpdateException: IUpdateException as IUpdateException
}

impl UpdateExceptionCollection {
    /// Those warnings.
    pub fn told(warnings: &[wua_types::UpdateException]) -> ComObject<Self> {
        Self::of(
            warnings
                .iter()
                .cloned()
                .map(|warning| UpdateException(warning.into())),
        )
    }
}
