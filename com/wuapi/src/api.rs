//! The interfaces of the API, made by `build/interfaces.rs`: for each `IName` a smart pointer of that name, its vtable, and the
//! trait `IName_Impl`. A property `Title` is `title`, its setter `put_title`; a script's `True` is `true`, and an object that may
//! be missing is an `Option`.

#![allow(
    missing_docs,
    non_camel_case_types,
    reason = "the names are the API's; so is what they mean"
)]

use std::ffi::c_void;
use std::mem::{ManuallyDrop, offset_of};

use windows::Win32::Foundation::DECIMAL;
use windows::Win32::System::Com::{IDispatch, IDispatch_Vtbl};
use windows::Win32::System::UpdateAgent as theirs;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, GUID, HRESULT, IUnknown, IUnknown_Vtbl, IUnknownImpl, Interface, RuntimeName};
use wua_types::{
    AutoDownloadMode, AutoSelectionMode, AutomaticUpdatesNotificationLevel, AutomaticUpdatesPermissionType,
    AutomaticUpdatesScheduledInstallationDay, AutomaticUpdatesUserType, DeploymentAction, DownloadPhase,
    DownloadPriority, HResult, InstallationImpact, InstallationRebootBehavior, OperationResultCode,
    SearchScope, ServerSelection, UpdateExceptionContext, UpdateOperation, UpdateServiceRegistrationState,
    UpdateType,
};

use crate::border::{self, Out};
use crate::dispatch::{self, Scripted};
use crate::fault::Answer;

/// Fails to compile where an interface differs from the one of the crate `windows`, which comes from Microsoft's metadata. That each
/// slot is where it is there is asserted slot by slot.
const fn same<Ours: Interface, Theirs: Interface>() {
    assert!(Ours::IID.to_u128() == Theirs::IID.to_u128());
    assert!(size_of::<Ours::Vtable>() == size_of::<Theirs::Vtable>());
}

include!(concat!(env!("OUT_DIR"), "/interfaces.rs"));
