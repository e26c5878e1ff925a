//! What there is beside updates: the history, services, settings of automatic updates, the system, the agent.

use windows::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance};
use windows::Win32::System::UpdateAgent::{
    AutomaticUpdates, IAutomaticUpdates2, IAutomaticUpdatesSettings3, ISystemInformation,
    IUpdateHistoryEntry2, IUpdateSearcher, IUpdateService2, IUpdateServiceManager2, IWindowsUpdateAgentInfo,
    SystemInformation, UpdateServiceManager, WindowsUpdateAgentInfo,
};
use windows::Win32::System::Variant::{VARIANT, VT_BSTR, VT_I4};
use windows_core::{GUID, Interface, Result};

use crate::{categories, code, fact, seconds, seconds_if_any, strings, truth};

pub fn history(searcher: &IUpdateSearcher) -> Result<()> {
    // SAFETY: the searcher is live, and so is what it gives.
    unsafe {
        let total = searcher.GetTotalHistoryCount()?;
        fact("history.Total", total);
        let entries = searcher.QueryHistory(0, total)?;
        for index in 0..entries.Count()? {
            let entry: IUpdateHistoryEntry2 = entries.get_Item(index)?.cast()?;
            let told = |member: &str, value: &dyn std::fmt::Display| {
                fact(format!("history.{index}.{member}"), value);
            };
            told("Operation", &entry.Operation()?.0);
            told("ResultCode", &entry.ResultCode()?.0);
            told("HResult", &code(entry.HResult()?));
            told("Date", &seconds(entry.Date()?));
            told("UpdateIdentity.UpdateID", &entry.UpdateIdentity()?.UpdateID()?);
            told(
                "UpdateIdentity.RevisionNumber",
                &entry.UpdateIdentity()?.RevisionNumber()?,
            );
            told("Title", &entry.Title()?);
            told("Description", &entry.Description()?);
            told("UnmappedResultCode", &entry.UnmappedResultCode()?);
            told("ClientApplicationID", &entry.ClientApplicationID()?);
            told("ServerSelection", &entry.ServerSelection()?.0);
            told("ServiceID", &entry.ServiceID()?);
            told("UninstallationSteps", &strings(entry.UninstallationSteps()?)?);
            told("UninstallationNotes", &entry.UninstallationNotes()?);
            told("SupportUrl", &entry.SupportUrl()?);
            told("Categories", &categories(entry.Categories()?)?);
        }
    }
    Ok(())
}

fn create<T: Interface>(class: &GUID) -> Result<T> {
    // SAFETY: COM is initialised, see `start`.
    unsafe { CoCreateInstance(class, None, CLSCTX_INPROC_SERVER) }
}

pub fn services() -> Result<()> {
    let manager: IUpdateServiceManager2 = create(&UpdateServiceManager)?;
    // SAFETY: the manager is live, and so is what it gives.
    unsafe {
        let services = manager.Services()?;
        fact("service.Count", services.Count()?);
        for index in 0..services.Count()? {
            let service: IUpdateService2 = services.get_Item(index)?.cast()?;
            let at = format!("service.{}", service.ServiceID()?);
            let told = |member: &str, value: &dyn std::fmt::Display| fact(format!("{at}.{member}"), value);
            told("Name", &service.Name()?);
            told("IsManaged", &truth(service.IsManaged()?));
            told("IsRegisteredWithAU", &truth(service.IsRegisteredWithAU()?));
            told("OffersWindowsUpdates", &truth(service.OffersWindowsUpdates()?));
            told("IsScanPackageService", &truth(service.IsScanPackageService()?));
            told("CanRegisterWithAU", &truth(service.CanRegisterWithAU()?));
            told("ServiceUrl", &service.ServiceUrl()?);
            told("IsDefaultAUService", &truth(service.IsDefaultAUService()?));
        }
    }
    Ok(())
}

/// A number or text. The crate's own conversions call what Wine does not have.
fn text(value: &VARIANT) -> String {
    // SAFETY: the tag says which is the union's member.
    unsafe {
        let fields = &value.Anonymous.Anonymous.Anonymous;
        match value.vt() {
            VT_I4 => fields.lVal.to_string(),
            VT_BSTR => fields.bstrVal.to_string(),
            other => panic!("a value is of type {other:?}"),
        }
    }
}

/// Changes the hour of automatic updates, and tells what holds then.
pub fn settings() -> Result<()> {
    let automatic: IAutomaticUpdates2 = create(&AutomaticUpdates)?;
    let system: ISystemInformation = create(&SystemInformation)?;
    let agent: IWindowsUpdateAgentInfo = create(&WindowsUpdateAgentInfo)?;
    // SAFETY: the objects are live, and so is what they give.
    unsafe {
        fact("automatic.ServiceEnabled", truth(automatic.ServiceEnabled()?));
        let settings = automatic.Settings()?;
        settings.SetScheduledInstallationTime(6)?;
        settings.Save()?;
        let settings: IAutomaticUpdatesSettings3 = automatic.Settings()?.cast()?;
        let told = |member: &str, value: &dyn std::fmt::Display| fact(format!("settings.{member}"), value);
        told("NotificationLevel", &settings.NotificationLevel()?.0);
        told("ReadOnly", &truth(settings.ReadOnly()?));
        told("Required", &truth(settings.Required()?));
        told(
            "ScheduledInstallationDay",
            &settings.ScheduledInstallationDay()?.0,
        );
        told(
            "ScheduledInstallationTime",
            &settings.ScheduledInstallationTime()?,
        );
        told(
            "IncludeRecommendedUpdates",
            &truth(settings.IncludeRecommendedUpdates()?),
        );
        told(
            "NonAdministratorsElevated",
            &truth(settings.NonAdministratorsElevated()?),
        );
        told(
            "FeaturedUpdatesEnabled",
            &truth(settings.FeaturedUpdatesEnabled()?),
        );
        let results = automatic.Results()?;
        let searched = results.LastSearchSuccessDate()?;
        let installed = results.LastInstallationSuccessDate()?;
        fact("results.LastSearchSuccessDate", seconds_if_any(&searched));
        fact("results.LastInstallationSuccessDate", seconds_if_any(&installed));
        fact("system.RebootRequired", truth(system.RebootRequired()?));
        fact("system.OemHardwareSupportLink", system.OemHardwareSupportLink()?);
        for name in ["ApiMajorVersion", "ApiMinorVersion", "ProductVersionString"] {
            fact(
                format!("agent.{name}"),
                text(&agent.GetInfo(&VARIANT::from(name))?),
            );
        }
    }
    Ok(())
}
