//! `WindowsUpdateAgentInfo`: the API's version, which programs ask for before they use newer parts of it.

use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::implement;
use wua_types::HResult;

use crate::api::{IWindowsUpdateAgentInfo, IWindowsUpdateAgentInfo_Impl};
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::Lease;
use crate::value;

/// What programs compare with. The first number is the API's, as they ask for 7 or more (rule R49); the others are ours.
const PRODUCT_VERSION: &str = concat!(
    "8.",
    env!("CARGO_PKG_VERSION_MAJOR"),
    ".",
    env!("CARGO_PKG_VERSION_MINOR"),
    ".",
    env!("CARGO_PKG_VERSION_PATCH")
);

/// The object.
#[implement(IWindowsUpdateAgentInfo, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct WindowsUpdateAgentInfo {
    _lease: Lease,
}

scripted!(WindowsUpdateAgentInfo_Impl => IWindowsUpdateAgentInfo);

impl IWindowsUpdateAgentInfo_Impl for WindowsUpdateAgentInfo_Impl {
    fn get_info(&self, identifier: &VARIANT) -> Answer<VARIANT> {
        let name = value::text_of(identifier).ok_or_else(|| {
            Fault::new(
                HResult::E_INVALIDARG,
                "What is asked for has to be named by a text",
            )
        })?;
        match name.as_str() {
            "ApiMajorVersion" => Ok(VARIANT::from(8)),
            "ApiMinorVersion" => Ok(VARIANT::from(0)),
            "ProductVersionString" => Ok(VARIANT::from(PRODUCT_VERSION)),
            other => Err(Fault::new(
                HResult::E_INVALIDARG,
                format!("The agent has no information `{other}`"),
            )),
        }
    }
}
