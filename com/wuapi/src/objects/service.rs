//! `UpdateService`, its collection and its registration: who offers updates.

use uuid::Uuid;
use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, ComObject, implement};
use wua_types::UpdateServiceRegistrationState;

use crate::api::{
    IStringCollection, IUpdateService, IUpdateService_Impl, IUpdateService2, IUpdateService2_Impl,
    IUpdateServiceCollection, IUpdateServiceCollection_Impl, IUpdateServiceRegistration,
    IUpdateServiceRegistration_Impl,
};
use crate::dispatch::scripted;
use crate::fault::Answer;
use crate::module::Leased;
use crate::objects::collection::{List, collection};
use crate::objects::{StringCollection, bstr};

/// A service. It needs no authorisation: it is part of the machine's own configuration.
#[implement(IUpdateService2, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateService(Leased<wua_types::UpdateService>);

scripted!(UpdateService_Impl => IUpdateService2);

impl From<wua_types::UpdateService> for UpdateService {
    fn from(facts: wua_types::UpdateService) -> Self {
        Self(facts.into())
    }
}

/// The services that the agent knows.
#[implement(IUpdateServiceCollection, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateServiceCollection(List<UpdateService>);

collection! {
    UpdateServiceCollection, UpdateServiceCollection_Impl: IUpdateServiceCollection, IUpdateServiceCollection_Impl
    of UpdateService: IUpdateService2 as IUpdateService
}

impl IUpdateService_Impl for UpdateService_Impl {
    fn name(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.name))
    }

    fn content_validation_cert(&self) -> Answer<VARIANT> {
        Ok(VARIANT::default())
    }

    fn expiration_date(&self) -> Answer<f64> {
        Ok(0.0)
    }

    fn is_managed(&self) -> Answer<bool> {
        Ok(self.0.is_managed)
    }

    fn is_registered_with_au(&self) -> Answer<bool> {
        Ok(self.0.is_registered_with_au)
    }

    fn issue_date(&self) -> Answer<f64> {
        Ok(0.0)
    }

    fn offers_windows_updates(&self) -> Answer<bool> {
        Ok(self.0.offers_windows_updates)
    }

    fn redirect_urls(&self) -> Answer<IStringCollection> {
        Ok(StringCollection::nothing())
    }

    fn service_id(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.id.to_string()))
    }

    fn is_scan_package_service(&self) -> Answer<bool> {
        Ok(self.0.is_scan_package_service)
    }

    fn can_register_with_au(&self) -> Answer<bool> {
        Ok(self.0.can_register_with_au)
    }

    fn service_url(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.service_url))
    }

    fn setup_prefix(&self) -> Answer<BSTR> {
        Ok(BSTR::new())
    }
}

impl IUpdateService2_Impl for UpdateService_Impl {
    fn is_default_au_service(&self) -> Answer<bool> {
        Ok(self.0.is_default_au_service)
    }
}

/// How a service is registered, or that it is not.
#[derive(Debug)]
pub struct Registration {
    /// Whether it is.
    pub state: UpdateServiceRegistrationState,
    /// Which one.
    pub id: Uuid,
    /// Whether automatic updates will use it once it is registered.
    pub is_pending_with_au: bool,
    /// The service, where there is one.
    pub service: Option<ComObject<UpdateService>>,
}

/// The object that tells it.
#[implement(IUpdateServiceRegistration, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateServiceRegistration(Leased<Registration>);

scripted!(UpdateServiceRegistration_Impl => IUpdateServiceRegistration);

impl From<Registration> for UpdateServiceRegistration {
    fn from(registration: Registration) -> Self {
        Self(registration.into())
    }
}

impl IUpdateServiceRegistration_Impl for UpdateServiceRegistration_Impl {
    fn registration_state(&self) -> Answer<UpdateServiceRegistrationState> {
        Ok(self.0.state)
    }

    fn service_id(&self) -> Answer<BSTR> {
        Ok(bstr(&self.0.id.to_string()))
    }

    fn is_pending_registration_with_au(&self) -> Answer<bool> {
        Ok(self.0.is_pending_with_au)
    }

    fn service(&self) -> Answer<Option<IUpdateService2>> {
        Ok(self.0.service.as_ref().map(ComObject::to_interface))
    }
}
