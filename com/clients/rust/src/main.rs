//! A client in Rust, by the bindings that the crate `windows` makes of Microsoft's own metadata: an independent source for every
//! vtable. Prints facts (`KEY=VALUE`) for comparison with what C++ reads and with what `wua` says.
//!
//! ```text
//! wuapi-client walk          every property of every update
//! wuapi-client work          the whole story; changes the machine
//! wuapi-client abort GATE    asks a download and an installation to stop, and then removes the file GATE, for which the update in
//!                            work waits
//! ```

mod foreign;
mod machine;
mod story;

use windows::Win32::Foundation::{DECIMAL, VARIANT_BOOL};
use windows::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, COINIT_MULTITHREADED, CoCreateInstance, CoInitializeEx,
};
use windows::Win32::System::UpdateAgent::{
    ICategoryCollection, IInstallationBehavior, ISearchResult, IStringCollection, IUpdate, IUpdate5,
    IUpdateCollection, IUpdateSearcher, IUpdateSession, UpdateSession,
};
use windows::Win32::System::Variant::{VARIANT, VT_DATE, VT_EMPTY};
use windows_core::{BSTR, Interface, Result};

fn main() {
    let [wish, gate] = [1, 2].map(|index| std::env::args().nth(index).unwrap_or_default());
    let done = match wish.as_str() {
        "walk" => start().and_then(|session| walk(&session)),
        "work" => start().and_then(|session| story::work(&session)),
        "abort" => start().and_then(|session| story::abort(&session, &gate)),
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

fn seconds_if_any(moment: &VARIANT) -> String {
    match moment.vt() {
        VT_EMPTY => String::new(),
        // SAFETY: the tag says that this is the union's member.
        VT_DATE => seconds(unsafe { moment.Anonymous.Anonymous.Anonymous.date }).to_string(),
        other => panic!("a date is of type {other:?}"),
    }
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
        told("Deadline", &seconds_if_any(&update.Deadline()?));
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
    // SAFETY: as above.
    unsafe {
        let categories = result.RootCategories()?;
        for index in 0..categories.Count()? {
            let one = categories.get_Item(index)?;
            fact(format!("category.{index}.Name"), one.Name()?);
            let ids = items(&one.Updates()?)?;
            let ids = ids.iter().map(id_of).collect::<Result<_>>()?;
            fact(format!("category.{index}.Updates"), joined(ids));
        }
    }
    Ok(updates)
}

fn walk(session: &IUpdateSession) -> Result<()> {
    // SAFETY: as above.
    print(&search(&unsafe { session.CreateUpdateSearcher()? })?).map(drop)
}
