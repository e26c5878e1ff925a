//! A client in Rust, by the bindings that the crate `windows` makes of Microsoft's own metadata: an independent source for every
//! vtable. Prints facts (`KEY=VALUE`) for comparison with what C++ reads and with what `wua` says.
//!
//! ```text
//! wuapi-client walk    every property of every update
//! wuapi-client work    search, download, install with callbacks, history
//! ```

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windows::Win32::Foundation::{DECIMAL, E_NOTIMPL, VARIANT_BOOL};
use windows::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, COINIT_MULTITHREADED, CoCreateInstance, CoInitializeEx, DISPATCH_FLAGS, DISPPARAMS,
    EXCEPINFO, IDispatch_Impl, ITypeInfo,
};
use windows::Win32::System::UpdateAgent::{
    ICategoryCollection, IInstallationBehavior, IInstallationCompletedCallback,
    IInstallationCompletedCallback_Impl, IInstallationCompletedCallbackArgs, IInstallationJob,
    IInstallationProgressChangedCallback, IInstallationProgressChangedCallback_Impl,
    IInstallationProgressChangedCallbackArgs, ISearchResult, IStringCollection, IUpdate, IUpdate5,
    IUpdateCollection, IUpdateCollection_Impl, IUpdateSearcher, IUpdateSession, UpdateSession,
};
use windows::Win32::System::Variant::{VARIANT, VT_DATE, VT_EMPTY};
use windows_core::{BSTR, GUID, IUnknown, Interface, PCWSTR, Ref, Result, implement};

fn main() {
    let wish = std::env::args().nth(1).unwrap_or_default();
    let done = match wish.as_str() {
        "walk" => start().and_then(|session| walk(&session)),
        "work" => start().and_then(|session| work(&session)),
        _ => Err(windows_core::Error::from_hresult(
            windows::Win32::Foundation::E_INVALIDARG,
        )),
    };
    match done {
        Ok(()) => fact("end", "good"),
        Err(error) => {
            fact("end", error.code());
            std::process::exit(1);
        }
    }
}

fn start() -> Result<IUpdateSession> {
    // SAFETY: it is the thread's first call of COM.
    unsafe { CoInitializeEx(None, COINIT_MULTITHREADED).ok()? };
    // SAFETY: COM is initialised.
    let session: IUpdateSession = unsafe { CoCreateInstance(&UpdateSession, None, CLSCTX_INPROC_SERVER)? };
    // SAFETY: the text outlives the call.
    unsafe { session.SetClientApplicationID(&BSTR::from("story.rs"))? };
    Ok(session)
}

fn fact(key: impl std::fmt::Display, value: impl std::fmt::Display) {
    let value = value
        .to_string()
        .replace('\\', "\\\\")
        .replace('\r', "")
        .replace('\n', "\\n");
    println!("{key}={value}");
}

fn truth(value: VARIANT_BOOL) -> u8 {
    assert!(matches!(value.0, 0 | -1), "VARIANT_BOOL is {}", value.0);
    u8::from(value.as_bool())
}

fn code(value: i32) -> String {
    format!("0x{value:08X}")
}

/// A property that may be NULL with S_OK: the bindings make an error with the code S_OK of it.
fn maybe<T>(property: Result<T>) -> Result<Option<T>> {
    match property {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code().is_ok() => Ok(None),
        Err(error) => Err(error),
    }
}

fn bytes(value: DECIMAL) -> u64 {
    // SAFETY: all bits of the union's arms are numbers.
    unsafe {
        assert!(
            value.Anonymous1.Anonymous.scale == 0 && value.Hi32 == 0,
            "a DECIMAL is no whole number"
        );
        value.Anonymous2.Lo64
    }
}

fn seconds(days: f64) -> i64 {
    ((days - 25_569.0) * 86_400.0).round() as i64
}

fn joined(mut texts: Vec<String>) -> String {
    texts.sort();
    texts.dedup();
    texts.join(";")
}

fn strings(collection: IStringCollection) -> Result<String> {
    // SAFETY: the collection is live; so it is in the other calls of this file.
    let texts = unsafe { (0..collection.Count()?).map(|index| Ok(collection.get_Item(index)?.to_string())) };
    Ok(joined(texts.collect::<Result<_>>()?))
}

fn categories(collection: ICategoryCollection) -> Result<String> {
    // SAFETY: as above.
    let names =
        unsafe { (0..collection.Count()?).map(|index| Ok(collection.get_Item(index)?.Name()?.to_string())) };
    Ok(joined(names.collect::<Result<_>>()?))
}

fn items(updates: &IUpdateCollection) -> Result<Vec<IUpdate>> {
    // SAFETY: as above.
    unsafe {
        (0..updates.Count()?)
            .map(|index| updates.get_Item(index))
            .collect()
    }
}

fn id_of(update: &IUpdate) -> Result<String> {
    // SAFETY: as above.
    Ok(unsafe { update.Identity()?.UpdateID()? }
        .to_string()
        .to_lowercase())
}

fn behaviour(at: &str, behaviour: Option<IInstallationBehavior>) -> Result<()> {
    fact(at, if behaviour.is_some() { "some" } else { "none" });
    let Some(behaviour) = behaviour else { return Ok(()) };
    // SAFETY: as above.
    unsafe {
        fact(
            format!("{at}.CanRequestUserInput"),
            truth(behaviour.CanRequestUserInput()?),
        );
        fact(format!("{at}.Impact"), behaviour.Impact()?.0);
        fact(format!("{at}.RebootBehavior"), behaviour.RebootBehavior()?.0);
        fact(
            format!("{at}.RequiresNetworkConnectivity"),
            truth(behaviour.RequiresNetworkConnectivity()?),
        );
    }
    Ok(())
}

fn update(at: &str, update: &IUpdate) -> Result<()> {
    let told = |member: &str, value: &dyn std::fmt::Display| fact(format!("{at}.{member}"), value);
    // SAFETY: as above.
    unsafe {
        told("Title", &update.Title()?);
        told("AutoSelectOnWebSites", &truth(update.AutoSelectOnWebSites()?));
        told("CanRequireSource", &truth(update.CanRequireSource()?));
        told("Categories", &categories(update.Categories()?)?);
        let deadline = update.Deadline()?;
        told(
            "Deadline",
            &match deadline.vt() {
                VT_EMPTY => String::new(),
                VT_DATE => seconds(deadline.Anonymous.Anonymous.Anonymous.date).to_string(),
                other => panic!("a date is of type {other:?}"),
            },
        );
        told(
            "DeltaCompressedContentAvailable",
            &truth(update.DeltaCompressedContentAvailable()?),
        );
        told(
            "DeltaCompressedContentPreferred",
            &truth(update.DeltaCompressedContentPreferred()?),
        );
        told("Description", &update.Description()?);
        told("EulaAccepted", &truth(update.EulaAccepted()?));
        told("EulaText", &update.EulaText()?);
        told("HandlerID", &update.HandlerID()?);
        told("Identity.UpdateID", &update.Identity()?.UpdateID()?);
        told("Identity.RevisionNumber", &update.Identity()?.RevisionNumber()?);
        told(
            "Image",
            &if maybe(update.Image())?.is_some() {
                "some"
            } else {
                "none"
            },
        );
        behaviour(
            &format!("{at}.InstallationBehavior"),
            maybe(update.InstallationBehavior())?,
        )?;
        told("IsBeta", &truth(update.IsBeta()?));
        told("IsDownloaded", &truth(update.IsDownloaded()?));
        told("IsHidden", &truth(update.IsHidden()?));
        told("IsInstalled", &truth(update.IsInstalled()?));
        told("IsMandatory", &truth(update.IsMandatory()?));
        told("IsUninstallable", &truth(update.IsUninstallable()?));
        told("Languages", &strings(update.Languages()?)?);
        told(
            "LastDeploymentChangeTime",
            &seconds(update.LastDeploymentChangeTime()?),
        );
        told("MaxDownloadSize", &bytes(update.MaxDownloadSize()?));
        told("MinDownloadSize", &bytes(update.MinDownloadSize()?));
        told("MoreInfoUrls", &strings(update.MoreInfoUrls()?)?);
        told("MsrcSeverity", &update.MsrcSeverity()?);
        told("RecommendedCpuSpeed", &update.RecommendedCpuSpeed()?);
        told("RecommendedHardDiskSpace", &update.RecommendedHardDiskSpace()?);
        told("RecommendedMemory", &update.RecommendedMemory()?);
        told("ReleaseNotes", &update.ReleaseNotes()?);
        told("SecurityBulletinIDs", &strings(update.SecurityBulletinIDs()?)?);
        told("SupersededUpdateIDs", &strings(update.SupersededUpdateIDs()?)?);
        told("SupportUrl", &update.SupportUrl()?);
        told("Type", &update.Type()?.0);
        told("UninstallationNotes", &update.UninstallationNotes()?);
        behaviour(
            &format!("{at}.UninstallationBehavior"),
            maybe(update.UninstallationBehavior())?,
        )?;
        told("UninstallationSteps", &strings(update.UninstallationSteps()?)?);
        told("KBArticleIDs", &strings(update.KBArticleIDs()?)?);
        told("DeploymentAction", &update.DeploymentAction()?.0);
        told("DownloadPriority", &update.DownloadPriority()?.0);
        let contents = update.DownloadContents()?;
        let urls =
            (0..contents.Count()?).map(|index| Ok(contents.get_Item(index)?.DownloadUrl()?.to_string()));
        told("DownloadContents", &joined(urls.collect::<Result<_>>()?));
        let newest: IUpdate5 = update.cast()?;
        told("RebootRequired", &truth(newest.RebootRequired()?));
        told("IsPresent", &truth(newest.IsPresent()?));
        told("CveIDs", &strings(newest.CveIDs()?)?);
        told("BrowseOnly", &truth(newest.BrowseOnly()?));
        told("PerUser", &truth(newest.PerUser()?));
        told("AutoSelection", &newest.AutoSelection()?.0);
        told("AutoDownload", &newest.AutoDownload()?.0);
        let children = update.BundledUpdates()?;
        told("BundledUpdates.Count", &children.Count()?);
        for (index, child) in items(&children)?.iter().enumerate() {
            self::update(&format!("{at}.BundledUpdates.{index}"), child)?;
        }
    }
    Ok(())
}

fn search(searcher: &IUpdateSearcher) -> Result<ISearchResult> {
    // SAFETY: the text outlives the call.
    unsafe { searcher.Search(&BSTR::from("IsInstalled=0 and IsHidden=0")) }
}

fn print(result: &ISearchResult) -> Result<IUpdateCollection> {
    // SAFETY: as above.
    let updates = unsafe {
        fact("search.ResultCode", result.ResultCode()?.0);
        result.Updates()?
    };
    // SAFETY: as above.
    unsafe { fact("search.Updates.Count", updates.Count()?) };
    for one in items(&updates)? {
        update(&format!("update.{}", id_of(&one)?), &one)?;
    }
    Ok(updates)
}

fn walk(session: &IUpdateSession) -> Result<()> {
    // SAFETY: as above.
    print(&search(&unsafe { session.CreateUpdateSearcher()? })?).map(drop)
}

/// What the callbacks saw.
#[derive(Debug, Default)]
struct Seen {
    calls: i32,
    last: i32,
    falls: i32,
    late: i32,
    completions: i32,
}

#[implement(IInstallationProgressChangedCallback)]
struct Progressed(Arc<Mutex<Seen>>);

impl IInstallationProgressChangedCallback_Impl for Progressed_Impl {
    fn Invoke(
        &self,
        _: Ref<'_, IInstallationJob>,
        args: Ref<'_, IInstallationProgressChangedCallbackArgs>,
    ) -> Result<()> {
        // SAFETY: as above.
        let percent = unsafe { args.ok()?.Progress()?.PercentComplete()? };
        let mut seen = self.0.lock().expect("nobody panics with it");
        seen.calls += 1;
        seen.falls += i32::from(percent < seen.last);
        seen.late += i32::from(seen.completions > 0);
        seen.last = percent;
        Ok(())
    }
}

#[implement(IInstallationCompletedCallback)]
struct Completed(Arc<Mutex<Seen>>, Sender<()>);

impl IInstallationCompletedCallback_Impl for Completed_Impl {
    fn Invoke(
        &self,
        _: Ref<'_, IInstallationJob>,
        _: Ref<'_, IInstallationCompletedCallbackArgs>,
    ) -> Result<()> {
        self.0.lock().expect("nobody panics with it").completions += 1;
        let _ = self.1.send(());
        Ok(())
    }
}

/// A collection of this program's own. It says of itself that it is windows-core's, as the library's own do.
#[implement(IUpdateCollection)]
struct Foreign;

impl IDispatch_Impl for Foreign_Impl {
    fn GetTypeInfoCount(&self) -> Result<u32> {
        Err(E_NOTIMPL.into())
    }
    fn GetTypeInfo(&self, _: u32, _: u32) -> Result<ITypeInfo> {
        Err(E_NOTIMPL.into())
    }
    fn GetIDsOfNames(&self, _: *const GUID, _: *const PCWSTR, _: u32, _: u32, _: *mut i32) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
    fn Invoke(
        &self,
        _: i32,
        _: *const GUID,
        _: u32,
        _: DISPATCH_FLAGS,
        _: *const DISPPARAMS,
        _: *mut VARIANT,
        _: *mut EXCEPINFO,
        _: *mut u32,
    ) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
}

impl IUpdateCollection_Impl for Foreign_Impl {
    fn get_Item(&self, _: i32) -> Result<IUpdate> {
        Err(E_NOTIMPL.into())
    }
    fn put_Item(&self, _: i32, _: Ref<'_, IUpdate>) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
    fn _NewEnum(&self) -> Result<IUnknown> {
        Err(E_NOTIMPL.into())
    }
    fn Count(&self) -> Result<i32> {
        Err(E_NOTIMPL.into())
    }
    fn ReadOnly(&self) -> Result<VARIANT_BOOL> {
        Err(E_NOTIMPL.into())
    }
    fn Add(&self, _: Ref<'_, IUpdate>) -> Result<i32> {
        Err(E_NOTIMPL.into())
    }
    fn Clear(&self) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
    fn Copy(&self) -> Result<IUpdateCollection> {
        Err(E_NOTIMPL.into())
    }
    fn Insert(&self, _: i32, _: Ref<'_, IUpdate>) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
    fn RemoveAt(&self, _: i32) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
}

fn work(session: &IUpdateSession) -> Result<()> {
    // SAFETY: as above.
    let searcher = unsafe { session.CreateUpdateSearcher()? };
    let updates = print(&search(&searcher)?)?;
    let found = items(&updates)?;
    // SAFETY: as above.
    unsafe {
        for one in &found {
            one.AcceptEula()?;
        }
        let downloader = session.CreateUpdateDownloader()?;
        let foreign: IUpdateCollection = Foreign.into();
        let refused = downloader
            .SetUpdates(&foreign)
            .map_or_else(|error| error.code().0, |()| 0);
        fact("foreign.Updates", code(refused));
        downloader.SetUpdates(&updates)?;
        let result = downloader.Download()?;
        fact("download.ResultCode", result.ResultCode()?.0);
        fact("download.HResult", code(result.HResult()?));
        for (index, one) in found.iter().enumerate() {
            let at = format!("download.{}", id_of(one)?);
            fact(
                format!("{at}.ResultCode"),
                result.GetUpdateResult(index as i32)?.ResultCode()?.0,
            );
        }
    }

    let seen = Arc::new(Mutex::new(Seen::default()));
    let (sender, done) = channel();
    let progressed: IInstallationProgressChangedCallback = Progressed(seen.clone()).into();
    let completed: IInstallationCompletedCallback = Completed(seen.clone(), sender).into();
    let (progressed, completed): (IUnknown, IUnknown) = (progressed.cast()?, completed.cast()?);
    // SAFETY: as above.
    unsafe {
        let installer = session.CreateUpdateInstaller()?;
        installer.SetUpdates(&updates)?;
        let job = installer.BeginInstall(&progressed, &completed, &VARIANT::from("state"))?;
        let in_time = done.recv_timeout(Duration::from_secs(120)).is_ok();
        fact("install.InTime", u8::from(in_time));
        let result = installer.EndInstall(&job)?;
        job.CleanUp()?;
        fact("install.ResultCode", result.ResultCode()?.0);
        fact("install.HResult", code(result.HResult()?));
        fact("install.RebootRequired", truth(result.RebootRequired()?));
        for (index, one) in found.iter().enumerate() {
            let at = format!("install.{}", id_of(one)?);
            let of_update = result.GetUpdateResult(index as i32)?;
            fact(format!("{at}.ResultCode"), of_update.ResultCode()?.0);
            fact(format!("{at}.HResult"), code(of_update.HResult()?));
        }
    }
    {
        let seen = seen.lock().expect("nobody panics with it");
        fact("install.progress.Falls", seen.falls);
        fact("install.progress.AfterCompletion", seen.late);
        fact(
            "install.progress.OneEach",
            u8::from(seen.calls >= found.len() as i32),
        );
        fact("install.progress.Last", seen.last);
        fact("install.Completions", seen.completions);
    }
    // SAFETY: as above.
    unsafe {
        let total = searcher.GetTotalHistoryCount()?;
        fact("history.Total", total);
        let entries = searcher.QueryHistory(0, total)?;
        for index in 0..entries.Count()? {
            let entry = entries.get_Item(index)?;
            let at = format!("history.{index}");
            fact(format!("{at}.Operation"), entry.Operation()?.0);
            fact(format!("{at}.ResultCode"), entry.ResultCode()?.0);
            fact(format!("{at}.HResult"), code(entry.HResult()?));
            fact(
                format!("{at}.UpdateIdentity.UpdateID"),
                entry.UpdateIdentity()?.UpdateID()?,
            );
            fact(format!("{at}.Title"), entry.Title()?);
            fact(format!("{at}.UnmappedResultCode"), entry.UnmappedResultCode()?);
            fact(format!("{at}.ClientApplicationID"), entry.ClientApplicationID()?);
            fact(format!("{at}.SupportUrl"), entry.SupportUrl()?);
        }
    }
    Ok(())
}
