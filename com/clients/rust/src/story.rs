//! The whole story: accept, download, install, take back. And the one of a client that asks its jobs to stop.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windows::Win32::Foundation::E_UNEXPECTED;
use windows::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance};
use windows::Win32::System::UpdateAgent::{
    IDownloadCompletedCallback, IDownloadCompletedCallback_Impl, IDownloadCompletedCallbackArgs,
    IDownloadJob, IDownloadProgressChangedCallback, IDownloadProgressChangedCallback_Impl,
    IDownloadProgressChangedCallbackArgs, IDownloadResult, IInstallationCompletedCallback,
    IInstallationCompletedCallback_Impl, IInstallationCompletedCallbackArgs, IInstallationJob,
    IInstallationProgressChangedCallback, IInstallationProgressChangedCallback_Impl,
    IInstallationProgressChangedCallbackArgs, IInstallationResult, IUpdate, IUpdateCollection,
    IUpdateSession, UpdateCollection, orcAborted, orcSucceeded,
};
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, HRESULT, IUnknown, Interface, Ref, Result, implement};

use crate::foreign::Foreign;
use crate::{code, fact, id_of, items, machine, print, search, truth};

/// What callbacks saw, and what they are to do.
#[derive(Debug, Default)]
struct Watch {
    count: i32,
    calls: i32,
    last: i32,
    falls: i32,
    outside: i32,
    late: i32,
    completions: i32,
    /// Where the first one asks its job to stop: the code of the request.
    asked: Option<HRESULT>,
}

impl Watch {
    /// Notes one notice, and whether it was the first.
    fn progressed(&mut self, index: i32, current: i32, percent: i32) -> bool {
        self.calls += 1;
        self.falls += i32::from(percent < self.last);
        self.last = percent;
        let is_inside = |percent| (0..=100).contains(&percent);
        let fits = (0..self.count).contains(&index) && is_inside(current) && is_inside(percent);
        self.outside += i32::from(!fits);
        self.late += i32::from(self.completions > 0);
        self.calls == 1
    }

    fn print(&self, what: &str) {
        fact(format!("{what}.progress.Falls"), self.falls);
        fact(format!("{what}.progress.OutOfRange"), self.outside);
        fact(format!("{what}.progress.AfterCompletion"), self.late);
        if self.asked.is_none() {
            let one_each = u8::from(self.calls >= self.count);
            fact(format!("{what}.progress.OneEach"), one_each);
            fact(format!("{what}.progress.Last"), self.last);
        }
        fact(format!("{what}.Completions"), self.completions);
    }
}

/// What the first notice of progress leads to.
#[derive(Clone, Copy, Debug)]
enum Wish<'a> {
    GoOn,
    Stop,
    /// And the update in work waits for this file to go away.
    StopAt(&'a Path),
}

/// What both kinds of progress callbacks do.
struct Notices {
    watch: Arc<Mutex<Watch>>,
    once_asked: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Notices {
    fn told(&self, (index, current, percent): (i32, i32, i32), abort: impl FnOnce() -> Result<()>) {
        let watch = || self.watch.lock().expect("nobody panics with it");
        let is_first = watch().progressed(index, current, percent);
        if let Some(once_asked) = self.once_asked.as_ref().filter(|_| is_first) {
            let asked = abort().map_or_else(|error| error.code(), |()| HRESULT(0));
            watch().asked = Some(asked);
            once_asked();
        }
    }
}

/// What both kinds of completion callbacks do.
struct Ends(Arc<Mutex<Watch>>, Sender<()>);

impl Ends {
    fn told(&self) {
        self.0.lock().expect("nobody panics with it").completions += 1;
        let _ = self.1.send(());
    }
}

#[implement(IDownloadProgressChangedCallback)]
struct DownloadProgressed(Notices);

impl IDownloadProgressChangedCallback_Impl for DownloadProgressed_Impl {
    fn Invoke(
        &self,
        job: Ref<'_, IDownloadJob>,
        args: Ref<'_, IDownloadProgressChangedCallbackArgs>,
    ) -> Result<()> {
        let job = job.ok()?;
        // SAFETY: the arguments are live during the call, and so is what they give.
        let now = unsafe {
            let now = args.ok()?.Progress()?;
            let index = now.CurrentUpdateIndex()?;
            now.GetUpdateResult(index)?;
            (index, now.CurrentUpdatePercentComplete()?, now.PercentComplete()?)
        };
        // SAFETY: as above.
        self.0.told(now, || unsafe { job.RequestAbort() });
        Ok(())
    }
}

#[implement(IDownloadCompletedCallback)]
struct DownloadCompleted(Ends);

impl IDownloadCompletedCallback_Impl for DownloadCompleted_Impl {
    fn Invoke(&self, _: Ref<'_, IDownloadJob>, _: Ref<'_, IDownloadCompletedCallbackArgs>) -> Result<()> {
        self.0.told();
        Ok(())
    }
}

#[implement(IInstallationProgressChangedCallback)]
struct InstallProgressed(Notices);

impl IInstallationProgressChangedCallback_Impl for InstallProgressed_Impl {
    fn Invoke(
        &self,
        job: Ref<'_, IInstallationJob>,
        args: Ref<'_, IInstallationProgressChangedCallbackArgs>,
    ) -> Result<()> {
        let job = job.ok()?;
        // SAFETY: as above.
        let now = unsafe {
            let now = args.ok()?.Progress()?;
            let index = now.CurrentUpdateIndex()?;
            now.GetUpdateResult(index)?;
            (index, now.CurrentUpdatePercentComplete()?, now.PercentComplete()?)
        };
        // SAFETY: as above.
        self.0.told(now, || unsafe { job.RequestAbort() });
        Ok(())
    }
}

#[implement(IInstallationCompletedCallback)]
struct InstallCompleted(Ends);

impl IInstallationCompletedCallback_Impl for InstallCompleted_Impl {
    fn Invoke(
        &self,
        _: Ref<'_, IInstallationJob>,
        _: Ref<'_, IInstallationCompletedCallbackArgs>,
    ) -> Result<()> {
        self.0.told();
        Ok(())
    }
}

/// What watches a job of these updates, and how its end is told.
fn watch(updates: &IUpdateCollection, wish: Wish<'_>) -> Result<(Notices, Ends, Receiver<()>)> {
    let (sender, done) = channel();
    let watch = Watch {
        // SAFETY: the collection is live; so are the objects in the other blocks of this file.
        count: unsafe { updates.Count()? },
        ..Watch::default()
    };
    let watch = Arc::new(Mutex::new(watch));
    let once_asked: Option<Box<dyn Fn() + Send + Sync>> = match wish {
        Wish::GoOn => None,
        Wish::Stop => Some(Box::new(|| ())),
        Wish::StopAt(gate) => {
            let gate = gate.to_owned();
            Some(Box::new(move || {
                std::fs::remove_file(&gate).expect("the gate is there");
            }))
        }
    };
    let notices = Notices {
        watch: watch.clone(),
        once_asked,
    };
    Ok((notices, Ends(watch, sender), done))
}

fn wait(done: &Receiver<()>) -> Result<()> {
    let in_time = done.recv_timeout(Duration::from_secs(120));
    in_time.map_err(|_| E_UNEXPECTED.into())
}

fn taken(watch: &Mutex<Watch>) -> Watch {
    std::mem::take(&mut *watch.lock().expect("nobody panics with it"))
}

fn download(
    session: &IUpdateSession,
    updates: &IUpdateCollection,
    wish: Wish<'_>,
) -> Result<(IDownloadResult, Watch)> {
    let (notices, ends, done) = watch(updates, wish)?;
    let watch = notices.watch.clone();
    let progressed: IDownloadProgressChangedCallback = DownloadProgressed(notices).into();
    let completed: IDownloadCompletedCallback = DownloadCompleted(ends).into();
    // SAFETY: see `watch`.
    unsafe {
        let downloader = session.CreateUpdateDownloader()?;
        downloader.SetUpdates(updates)?;
        let (progressed, completed): (IUnknown, IUnknown) = (progressed.cast()?, completed.cast()?);
        let job = downloader.BeginDownload(&progressed, &completed, &VARIANT::default())?;
        wait(&done)?;
        let result = downloader.EndDownload(&job)?;
        job.CleanUp()?;
        Ok((result, taken(&watch)))
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Install,
    Uninstall,
}

fn install(
    session: &IUpdateSession,
    updates: &IUpdateCollection,
    way: Way,
    wish: Wish<'_>,
) -> Result<(IInstallationResult, Watch)> {
    let (notices, ends, done) = watch(updates, wish)?;
    let watch = notices.watch.clone();
    let progressed: IInstallationProgressChangedCallback = InstallProgressed(notices).into();
    let completed: IInstallationCompletedCallback = InstallCompleted(ends).into();
    // SAFETY: see `watch`.
    unsafe {
        let installer = session.CreateUpdateInstaller()?;
        installer.SetUpdates(updates)?;
        let (progressed, completed): (IUnknown, IUnknown) = (progressed.cast()?, completed.cast()?);
        let state = VARIANT::from("state");
        let job = match way {
            Way::Install => installer.BeginInstall(&progressed, &completed, &state)?,
            Way::Uninstall => installer.BeginUninstall(&progressed, &completed, &state)?,
        };
        wait(&done)?;
        let result = match way {
            Way::Install => installer.EndInstall(&job)?,
            Way::Uninstall => installer.EndUninstall(&job)?,
        };
        job.CleanUp()?;
        Ok((result, taken(&watch)))
    }
}

fn print_download(result: &IDownloadResult, updates: &IUpdateCollection) -> Result<()> {
    // SAFETY: see `watch`.
    unsafe {
        fact("download.ResultCode", result.ResultCode()?.0);
        fact("download.HResult", code(result.HResult()?));
        for (index, one) in (0..).zip(items(updates)?) {
            let (id, of_update) = (id_of(&one)?, result.GetUpdateResult(index)?);
            fact(format!("download.{id}.ResultCode"), of_update.ResultCode()?.0);
            fact(format!("download.{id}.HResult"), code(of_update.HResult()?));
            // The classical script asks the updates that it found before.
            fact(
                format!("downloaded.{id}.IsDownloaded"),
                truth(one.IsDownloaded()?),
            );
        }
    }
    Ok(())
}

fn print_installation(what: &str, result: &IInstallationResult, updates: &IUpdateCollection) -> Result<()> {
    // SAFETY: see `watch`.
    unsafe {
        fact(format!("{what}.ResultCode"), result.ResultCode()?.0);
        fact(format!("{what}.HResult"), code(result.HResult()?));
        fact(format!("{what}.RebootRequired"), truth(result.RebootRequired()?));
        for (index, one) in (0..).zip(items(updates)?) {
            let (at, of_update) = (format!("{what}.{}", id_of(&one)?), result.GetUpdateResult(index)?);
            fact(format!("{at}.ResultCode"), of_update.ResultCode()?.0);
            fact(format!("{at}.HResult"), code(of_update.HResult()?));
            fact(format!("{at}.RebootRequired"), truth(of_update.RebootRequired()?));
        }
    }
    Ok(())
}

fn new_collection() -> Result<IUpdateCollection> {
    // SAFETY: COM is initialised, see `start`.
    unsafe { CoCreateInstance(&UpdateCollection, None, CLSCTX_INPROC_SERVER) }
}

/// The first in the alphabet that can be taken back.
fn to_take_back(installed: &IUpdateCollection) -> Result<(String, IUpdate)> {
    let mut titled = Vec::new();
    for one in items(installed)? {
        // SAFETY: see `watch`.
        unsafe {
            if one.IsUninstallable()?.as_bool() {
                titled.push((one.Title()?.to_string(), one));
            }
        }
    }
    titled.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(titled.into_iter().next().expect("something can be taken back"))
}

pub fn work(session: &IUpdateSession) -> Result<()> {
    // SAFETY: see `watch`.
    let searcher = unsafe { session.CreateUpdateSearcher()? };
    let updates = print(&search(&searcher)?)?;
    let foreign: IUpdateCollection = Foreign.into();
    // SAFETY: see `watch`.
    let refused = unsafe { session.CreateUpdateDownloader()?.SetUpdates(&foreign) };
    fact(
        "foreign.Updates",
        code(refused.map_or_else(|error| error.code().0, |()| 0)),
    );
    for one in items(&updates)? {
        // SAFETY: see `watch`.
        unsafe {
            one.AcceptEula()?;
            fact(
                format!("accepted.{}.EulaAccepted", id_of(&one)?),
                truth(one.EulaAccepted()?),
            );
        }
    }
    let (result, watch) = download(session, &updates, Wish::GoOn)?;
    print_download(&result, &updates)?;
    watch.print("download");
    let (result, watch) = install(session, &updates, Way::Install, Wish::GoOn)?;
    print_installation("install", &result, &updates)?;
    watch.print("install");

    // SAFETY: see `watch`.
    let installed = unsafe { searcher.Search(&BSTR::from("IsInstalled=1"))?.Updates()? };
    let (title, back) = to_take_back(&installed)?;
    fact("uninstall.Title", title);
    let chosen = new_collection()?;
    // SAFETY: see `watch`.
    unsafe { chosen.Add(&back)? };
    let (result, watch) = install(session, &chosen, Way::Uninstall, Wish::GoOn)?;
    print_installation("uninstall", &result, &chosen)?;
    watch.print("uninstall");

    machine::history(&searcher)?;
    machine::services()?;
    machine::settings()
}

/// A download of so little may well be done before it could be stopped, and so may single updates: all succeeded, or aborted it is.
fn is_consistent(result: &IDownloadResult, updates: &IUpdateCollection) -> Result<bool> {
    let mut all = true;
    for (index, one) in (0..).zip(items(updates)?) {
        // SAFETY: see `watch`.
        let (code, is_downloaded) = unsafe {
            let of_update = result.GetUpdateResult(index)?;
            (of_update.ResultCode()?, one.IsDownloaded()?.as_bool())
        };
        if code != orcAborted && (code != orcSucceeded || !is_downloaded) {
            return Ok(false);
        }
        all &= code == orcSucceeded;
    }
    // SAFETY: see `watch`.
    let whole = unsafe { result.ResultCode()? };
    Ok(whole == if all { orcSucceeded } else { orcAborted })
}

fn print_request(what: &str, watch: &Watch) {
    let asked = watch.asked.expect("there was a notice of progress");
    fact(format!("{what}.RequestAbort"), code(asked.0));
}

pub fn abort(session: &IUpdateSession, gate: &str) -> Result<()> {
    let updates = new_collection()?;
    // SAFETY: see `watch`.
    unsafe {
        let found = search(&session.CreateUpdateSearcher()?)?.Updates()?;
        for one in items(&found)? {
            one.AcceptEula()?;
            // The one that waits goes first.
            if one.Title()?.to_string().starts_with("docfinder") {
                updates.Insert(0, &one)?;
            } else {
                updates.Add(&one)?;
            }
        }
    }
    let (result, watch) = download(session, &updates, Wish::Stop)?;
    print_request("abort.download", &watch);
    fact(
        "abort.download.Consistent",
        u8::from(is_consistent(&result, &updates)?),
    );
    let (result, _) = download(session, &updates, Wish::GoOn)?;
    // SAFETY: see `watch`.
    fact("abort.again.ResultCode", unsafe { result.ResultCode()?.0 });
    let (result, watch) = install(session, &updates, Way::Install, Wish::StopAt(Path::new(gate)))?;
    print_request("abort.install", &watch);
    print_installation("abort.install", &result, &updates)?;
    watch.print("abort.install");
    Ok(())
}
