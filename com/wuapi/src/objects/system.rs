//! `SystemInformation` and `InstallationAgent`.

use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::{BSTR, implement};
use wua_types::HResult;

use crate::agent;
use crate::api::{
    IInstallationAgent, IInstallationAgent_Impl, IStringCollection, ISystemInformation,
    ISystemInformation_Impl,
};
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::Lease;

/// The machine as a whole.
#[implement(ISystemInformation, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct SystemInformation {
    _lease: Lease,
}

scripted!(SystemInformation_Impl => ISystemInformation);

impl ISystemInformation_Impl for SystemInformation_Impl {
    fn oem_hardware_support_link(&self) -> Answer<BSTR> {
        Ok(BSTR::new())
    }

    fn reboot_required(&self) -> Answer<bool> {
        Ok(agent::client()?.system()?.restart_required)
    }
}

/// What installers report to that were told to call back. The agent's handlers tell their results themselves, and give no cookies.
#[implement(IInstallationAgent, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct InstallationAgent {
    _lease: Lease,
}

scripted!(InstallationAgent_Impl => IInstallationAgent);

impl IInstallationAgent_Impl for InstallationAgent_Impl {
    fn record_installation_result(&self, cookie: &BSTR, _: i32, _: Option<&IStringCollection>) -> Answer<()> {
        Err(Fault::new(
            HResult::E_INVALIDARG,
            format!("No installer was given the cookie `{cookie}`"),
        ))
    }
}
