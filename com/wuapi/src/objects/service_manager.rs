//! `UpdateServiceManager`: which services there are. They come from the machine's own configuration, so most of what would add or
//! remove one is refused, each with a code that is documented for it (wua.md 8.2).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use uuid::Uuid;
use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, ComObject, implement};
use wua_types::{HResult, UpdateServiceRegistrationState};

use crate::agent;
use crate::api::{
    IUpdateLockdown, IUpdateLockdown_Impl, IUpdateService, IUpdateService2, IUpdateServiceCollection,
    IUpdateServiceManager_Impl, IUpdateServiceManager2, IUpdateServiceManager2_Impl,
    IUpdateServiceRegistration,
};
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::Lease;
use crate::objects::client_id::ClientId;
use crate::objects::lock;
use crate::objects::lockdown::Lockdown;
use crate::objects::service::{
    Registration, UpdateService, UpdateServiceCollection, UpdateServiceRegistration,
};
use crate::value;

/// Flags of `AddService2`.
const ALLOW_PENDING_REGISTRATION: i32 = 1;
const ALLOW_ONLINE_REGISTRATION: i32 = 2;
const REGISTER_SERVICE_WITH_AU: i32 = 4;

/// The object.
#[implement(IUpdateServiceManager2, IUpdateLockdown, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct UpdateServiceManager {
    client_id: ClientId,
    lockdown: Lockdown,
    _lease: Lease,
}

scripted!(UpdateServiceManager_Impl => IUpdateServiceManager2);

impl UpdateServiceManager {
    /// One that a session makes.
    pub fn of_session(client_id: ClientId) -> Self {
        Self {
            client_id,
            ..Self::default()
        }
    }
}

/// Services whose registration was put off, and whether automatic updates are to use them then (`AddService2`). They wait for the
/// next search that goes online, and for no longer than this process runs, since no search here reaches a new service.
static PENDING: Mutex<BTreeMap<Uuid, bool>> = Mutex::new(BTreeMap::new());

/// Called when a search goes online: pending registrations end then.
pub fn end_pending_registrations() {
    lock(&PENDING).clear();
}

/// The id that a client names a service by.
fn id(text: &BSTR, otherwise: HResult) -> Answer<Uuid> {
    let text = text.to_string();
    Uuid::parse_str(text.trim())
        .map_err(|_| Fault::new(otherwise, format!("`{text}` is not the id of a service")))
}

fn find(id: Uuid) -> Answer<Option<wua_types::UpdateService>> {
    Ok(agent::client()?
        .services()?
        .into_iter()
        .find(|service| service.id == id))
}

fn from_configuration() -> Fault {
    Fault::new(
        HResult::WU_E_DS_INVALIDOPERATION,
        "Services come from this machine's own configuration, not from authorisation cabinets or the network",
    )
}

/// `AddService2` after its checks.
fn add(id: Uuid, flags: i32) -> Answer<Registration> {
    let with_au = flags & REGISTER_SERVICE_WITH_AU != 0;
    match find(id)? {
        Some(service) => {
            if with_au && !service.is_registered_with_au {
                agent::client()?.register_service_with_au(id, true)?;
            }
            registered(id)
        }
        None => {
            if flags & ALLOW_PENDING_REGISTRATION != 0 {
                lock(&PENDING).insert(id, with_au);
            }
            // Documented: a registration that is only put off succeeds now, and none is assured for later. One that was tried, too,
            // says how that went, and is put off all the same.
            if flags & !REGISTER_SERVICE_WITH_AU != ALLOW_PENDING_REGISTRATION {
                return Err(from_configuration());
            }
            registered(id)
        }
    }
}

fn registered(id: Uuid) -> Answer<Registration> {
    let service = find(id)?;
    let pending = lock(&PENDING).get(&id).copied();
    let state = match (&service, pending) {
        (Some(_), _) => UpdateServiceRegistrationState::Registered,
        (None, Some(_)) => UpdateServiceRegistrationState::RegistrationPending,
        (None, None) => UpdateServiceRegistrationState::NotRegistered,
    };
    Ok(Registration {
        state,
        id,
        is_pending_with_au: service.is_none() && pending == Some(true),
        service: service.map(|service| ComObject::new(UpdateService::from(service))),
    })
}

/// How many services automatic updates use.
fn used(services: &[wua_types::UpdateService]) -> usize {
    services
        .iter()
        .filter(|service| service.is_registered_with_au)
        .count()
}

impl IUpdateServiceManager_Impl for UpdateServiceManager_Impl {
    fn services(&self) -> Answer<IUpdateServiceCollection> {
        let services = agent::client()?.services()?;
        Ok(UpdateServiceCollection::of(services.into_iter().map(UpdateService::from)).into_interface())
    }

    fn add_service(&self, service_id: &BSTR, authorization_cab_path: &BSTR) -> Answer<IUpdateService> {
        let id = id(service_id, HResult::E_INVALIDARG)?;
        if authorization_cab_path.is_empty() {
            return Err(HResult::E_INVALIDARG.into());
        }
        let registration = add(id, 0)?;
        let service = registration.service.ok_or_else(from_configuration)?;
        Ok(service.into_interface::<IUpdateService2>().into())
    }

    fn register_service_with_au(&self, service_id: &BSTR) -> Answer<()> {
        let id = id(service_id, HResult::WU_E_INVALID_OPERATION)?;
        Ok(agent::client()?.register_service_with_au(id, true)?)
    }

    fn remove_service(&self, service_id: &BSTR) -> Answer<()> {
        self.lockdown.permits()?;
        let id = id(service_id, HResult::E_INVALIDARG)?;
        if lock(&PENDING).remove(&id).is_some() {
            return Ok(());
        }
        let services = agent::client()?.services()?;
        let service = services
            .iter()
            .find(|service| service.id == id)
            .ok_or(HResult::WU_E_DS_UNKNOWNSERVICE)?;
        if service.offers_windows_updates || (service.is_registered_with_au && used(&services) == 1) {
            return Err(HResult::WU_E_DS_NEEDWINDOWSSERVICE.into());
        }
        Err(from_configuration())
    }

    fn unregister_service_with_au(&self, service_id: &BSTR) -> Answer<()> {
        let id = id(service_id, HResult::WU_E_DS_UNKNOWNSERVICE)?;
        let services = agent::client()?.services()?;
        let is_used = |service: &wua_types::UpdateService| service.id == id && service.is_registered_with_au;
        if services.iter().any(is_used) && used(&services) == 1 {
            return Err(HResult::WU_E_DS_NEEDWINDOWSSERVICE.into());
        }
        Ok(agent::client()?.register_service_with_au(id, false)?)
    }

    fn add_scan_package_service(
        &self,
        service_name: &BSTR,
        scan_file_location: &BSTR,
        flags: i32,
    ) -> Answer<IUpdateService> {
        self.lockdown.permits()?;
        if service_name.is_empty() || scan_file_location.is_empty() || !matches!(flags, 0 | 1) {
            return Err(HResult::E_INVALIDARG.into());
        }
        if !Path::new(&scan_file_location.to_string()).is_file() {
            return Err(Fault::new(
                HResult::E_INVALIDARG,
                format!("There is no file `{scan_file_location}`"),
            ));
        }
        // Documented: the package's signature is checked before it is used.
        Err(Fault::new(
            HResult::TRUST_E_NOSIGNATURE,
            format!("Nobody whom this machine trusts has signed `{scan_file_location}` as a scan package"),
        ))
    }

    /// Nothing here asks or warns, so options are checked and have no effect.
    fn set_option(&self, option_name: &BSTR, option_value: &VARIANT) -> Answer<()> {
        self.lockdown.permits()?;
        let is_valid = match option_name.to_string().as_str() {
            "AllowedServiceID" => {
                value::text_of(option_value).is_some_and(|text| Uuid::parse_str(&text).is_ok())
            }
            "AllowWarningUI" => value::boolean_of(option_value).is_some(),
            _ => false,
        };
        if is_valid {
            return Ok(());
        }
        Err(Fault::new(
            HResult::E_INVALIDARG,
            format!("`{option_name}` is no option, or has no such value"),
        ))
    }
}

impl IUpdateServiceManager2_Impl for UpdateServiceManager_Impl {
    fn client_application_id(&self) -> Answer<BSTR> {
        Ok(self.client_id.get())
    }

    fn put_client_application_id(&self, value: &BSTR) -> Answer<()> {
        self.client_id.put(value);
        Ok(())
    }

    fn query_service_registration(&self, service_id: &BSTR) -> Answer<IUpdateServiceRegistration> {
        let id = id(service_id, HResult::E_INVALIDARG)?;
        Ok(UpdateServiceRegistration::from(registered(id)?).into())
    }

    fn add_service2(
        &self,
        service_id: &BSTR,
        flags: i32,
        authorization_cab_path: &BSTR,
    ) -> Answer<IUpdateServiceRegistration> {
        let id = id(service_id, HResult::E_INVALIDARG)?;
        let known = ALLOW_PENDING_REGISTRATION | ALLOW_ONLINE_REGISTRATION | REGISTER_SERVICE_WITH_AU;
        let without_cabinet = flags & (ALLOW_PENDING_REGISTRATION | ALLOW_ONLINE_REGISTRATION) != 0;
        if flags & !known != 0 || without_cabinet != authorization_cab_path.is_empty() {
            return Err(HResult::E_INVALIDARG.into());
        }
        Ok(UpdateServiceRegistration::from(add(id, flags)?).into())
    }
}

impl IUpdateLockdown_Impl for UpdateServiceManager_Impl {
    fn lock_down(&self, flags: i32) -> Answer<()> {
        self.lockdown.lock_down(flags)
    }
}
