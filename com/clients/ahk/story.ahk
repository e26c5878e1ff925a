; A client with a message loop, AutoHotkey v2: late-bound calls, plain functions as callbacks, which arrive between its messages.
; Prints facts; only the last line, `end=good`, says that the story was told to its end.
;
;     AutoHotkeyV2.exe story.ahk work         the whole story
;     AutoHotkeyV2.exe story.ahk abort GATE   asks a download and an installation to stop, and then removes the file GATE
#Requires AutoHotkey v2.0
#SingleInstance Off
#NoTrayIcon
OnError Failed

Failed(thrown, mode) {
    Fact "end", Type(thrown) " " thrown.Message " line " thrown.Line
    ExitApp 1
}

Fact(key, value) {
    text := value is ComValue ? "" : String(value)
    text := StrReplace(StrReplace(StrReplace(text, "\", "\\"), "`r"), "`n", "\n")
    FileAppend key "=" text "`n", "*", "UTF-8-RAW"
}

; Automation's True is -1.
Truth(value) => value ? 1 : 0
Code(number) => Format("0x{:08X}", number & 0xFFFFFFFF)
; Of a failing call; it stands in the message.
CodeOf(thrown) => RegExMatch(thrown.Message, "i)0x[0-9a-f]{8}", &code) ? code[] : thrown.Message
IdOf(update) => StrLower(update.Identity.UpdateID)

; Waits as programs with windows do: messages are worked off meanwhile.
WaitFor(wish, milliseconds := 120000) {
    end := A_TickCount + milliseconds
    while !wish() {
        if A_TickCount > end
            throw Error("waited in vain")
        Sleep 20
    }
}

; The texts of a collection, sorted, each once, and joined; `say` makes a text of one.
Joined(collection, say := (one) => one) {
    texts := ""
    for one in collection
        texts .= (texts = "" ? "" : "`n") say(one)
    return StrReplace(Sort(texts, "C U"), "`n", ";")
}
Names(categories) => Joined(categories, (one) => one.Name)

; Seconds since 1970; nothing where there is no date. AutoHotkey makes texts of dates, in the user's own way of writing them.
Seconds(moment) {
    if moment = ""
        return ""
    if DllCall("oleaut32\VarDateFromStr", "WStr", moment, "UInt", 0x400, "UInt", 0, "Double*", &days := 0)
        throw Error("no date: " moment)
    return Round((days - 25569) * 86400)
}

; NULL is an empty text or an object that points nowhere.
Given(object) => object is ComObject ? "some" : "none"

BehaviourFacts(at, behaviour) {
    Fact at, Given(behaviour)
    if Given(behaviour) = "none"
        return
    Fact at ".CanRequestUserInput", Truth(behaviour.CanRequestUserInput)
    Fact at ".Impact", behaviour.Impact
    Fact at ".RebootBehavior", behaviour.RebootBehavior
    Fact at ".RequiresNetworkConnectivity", Truth(behaviour.RequiresNetworkConnectivity)
}

; All that IUpdate to IUpdate5 have, of the update and of what it bundles.
UpdateFacts(at, update) {
    for member in ["Title", "Description", "EulaText", "HandlerID", "MaxDownloadSize", "MinDownloadSize", "MsrcSeverity",
        "RecommendedCpuSpeed", "RecommendedHardDiskSpace", "RecommendedMemory", "ReleaseNotes", "SupportUrl", "Type",
        "UninstallationNotes", "DeploymentAction", "DownloadPriority", "AutoSelection", "AutoDownload"]
        Fact at "." member, update.%member%
    for member in ["AutoSelectOnWebSites", "CanRequireSource", "DeltaCompressedContentAvailable", "DeltaCompressedContentPreferred",
        "EulaAccepted", "IsBeta", "IsDownloaded", "IsHidden", "IsInstalled", "IsMandatory", "IsUninstallable", "RebootRequired",
        "IsPresent", "BrowseOnly", "PerUser"]
        Fact at "." member, Truth(update.%member%)
    for member in ["Languages", "MoreInfoUrls", "SecurityBulletinIDs", "SupersededUpdateIDs", "UninstallationSteps", "KBArticleIDs",
        "CveIDs"]
        Fact at "." member, Joined(update.%member%)
    for member in ["Deadline", "LastDeploymentChangeTime"]
        Fact at "." member, Seconds(update.%member%)
    Fact at ".Categories", Names(update.Categories)
    Fact at ".DownloadContents", Joined(update.DownloadContents, (one) => one.DownloadUrl)
    Fact at ".Identity.UpdateID", update.Identity.UpdateID
    Fact at ".Identity.RevisionNumber", update.Identity.RevisionNumber
    Fact at ".Image", Given(update.Image)
    BehaviourFacts at ".InstallationBehavior", update.InstallationBehavior
    BehaviourFacts at ".UninstallationBehavior", update.UninstallationBehavior
    Fact at ".BundledUpdates.Count", update.BundledUpdates.Count
    for child in update.BundledUpdates
        UpdateFacts at ".BundledUpdates." (A_Index - 1), child
}

class Watch {
    calls := 0
    last := 0
    falls := 0
    outside := 0
    late := 0
    completions := 0
    asked := ""
    ; `gate` is a file to be removed once the job was asked to stop.
    __New(updates, stops := false, gate := "") {
        this.count := updates.Count
        this.stops := stops
        this.gate := gate
    }
    is_inside(percent) => percent >= 0 && percent <= 100
    progressed(job, args) {
        now := args.Progress
        this.calls += 1
        if now.PercentComplete < this.last
            this.falls += 1
        this.last := now.PercentComplete
        index := now.CurrentUpdateIndex
        if !(this.is_inside(this.last) && this.is_inside(now.CurrentUpdatePercentComplete) && index >= 0 && index < this.count)
            this.outside += 1
        now.GetUpdateResult(index)
        if this.completions
            this.late += 1
        if !this.stops || this.asked
            return
        try {
            job.RequestAbort()
            this.asked := Code(0)
        } catch as thrown
            this.asked := CodeOf(thrown)
        if this.gate
            FileDelete this.gate
    }
    completed(job, args) {
        this.completions += 1
    }
    print(what) {
        Fact what ".progress.Falls", this.falls
        Fact what ".progress.OutOfRange", this.outside
        Fact what ".progress.AfterCompletion", this.late
        if !this.stops {
            Fact what ".progress.OneEach", Truth(this.calls >= this.count)
            Fact what ".progress.Last", this.last
        }
        Fact what ".Completions", this.completions
    }
}

Results(what, result, updates) {
    Fact what ".ResultCode", result.ResultCode
    Fact what ".HResult", Code(result.HResult)
    if what != "download"
        Fact what ".RebootRequired", Truth(result.RebootRequired)
    for update in updates {
        one := result.GetUpdateResult(A_Index - 1)
        Fact what "." IdOf(update) ".ResultCode", one.ResultCode
        Fact what "." IdOf(update) ".HResult", Code(one.HResult)
        if what != "download"
            Fact what "." IdOf(update) ".RebootRequired", Truth(one.RebootRequired)
    }
}

; An aborted download of so little may be done: all succeeded, or aborted it is.
Consistent(result, updates) {
    all := true
    for update in updates {
        code := result.GetUpdateResult(A_Index - 1).ResultCode
        if code != 5 && !(code = 2 && update.IsDownloaded)
            return 0
        all := all && code = 2
    }
    return Truth(result.ResultCode = (all ? 2 : 5))
}

Download(updates, seen) {
    downloader := session.CreateUpdateDownloader()
    downloader.Updates := updates
    job := downloader.BeginDownload(seen.progressed.Bind(seen), seen.completed.Bind(seen), "")
    WaitFor () => seen.completions
    result := downloader.EndDownload(job)
    job.CleanUp()
    return result
}

Install(updates, seen, state := "") {
    installer := session.CreateUpdateInstaller()
    installer.Updates := updates
    job := installer.BeginInstall(seen.progressed.Bind(seen), seen.completed.Bind(seen), state)
    if state
        Fact "install.AsyncState", job.AsyncState
    WaitFor () => seen.completions
    result := installer.EndInstall(job)
    job.CleanUp()
    return result
}

; The update that waits for the gate goes first.
Abort(gate) {
    updates := ComObject("Microsoft.Update.UpdateColl")
    for update in searcher.Search("IsInstalled=0 and IsHidden=0").Updates {
        update.AcceptEula()
        if InStr(update.Title, "docfinder") = 1
            updates.Insert(0, update)
        else
            updates.Add(update)
    }
    seen := Watch(updates, true)
    Fact "abort.download.Consistent", Consistent(Download(updates, seen), updates)
    Fact "abort.download.RequestAbort", seen.asked
    Fact "abort.again.ResultCode", Download(updates, Watch(updates)).ResultCode
    seen := Watch(updates, true, gate)
    Results "abort.install", Install(updates, seen), updates
    Fact "abort.install.RequestAbort", seen.asked
    seen.print("abort.install")
}

Work() {
    ; A plain function, ended in it.
    found := ""
    searched(job, args) {
        found := searcher.EndSearch(job)
    }
    job := searcher.BeginSearch("IsInstalled=0 and IsHidden=0", searched, "state")
    Fact "search.AsyncState", job.AsyncState
    WaitFor () => found
    job.CleanUp()
    updates := found.Updates
    Fact "search.ResultCode", found.ResultCode
    Fact "search.Updates.Count", updates.Count
    for update in updates
        UpdateFacts "update." IdOf(update), update
    for category in found.RootCategories {
        Fact "category." (A_Index - 1) ".Name", category.Name
        Fact "category." (A_Index - 1) ".Updates", Joined(category.Updates, IdOf)
    }
    for update in updates {
        update.AcceptEula()
        Fact "accepted." IdOf(update) ".EulaAccepted", Truth(update.EulaAccepted)
    }

    seen := Watch(updates)
    Results "download", Download(updates, seen), updates
    seen.print("download")
    for update in updates
        Fact "downloaded." IdOf(update) ".IsDownloaded", Truth(update.IsDownloaded)
    seen := Watch(updates)
    Results "install", Install(updates, seen, 5), updates
    seen.print("install")

    back := ""
    for update in searcher.Search("IsInstalled=1").Updates
        if update.IsUninstallable && (!back || StrCompare(update.Title, back.Title, true) < 0)
            back := update
    Fact "uninstall.Title", back.Title
    chosen := ComObject("Microsoft.Update.UpdateColl")
    chosen.Add(back)
    installer := session.CreateUpdateInstaller()
    installer.Updates := chosen
    Results "uninstall", installer.Uninstall(), chosen

    History
    Machine
    try {
        searcher.QueryHistory(0, 0)
        Fact "fails.History", "no failure"
    } catch as thrown {
        Fact "fails.History", CodeOf(thrown)
    }
}

History() {
    total := searcher.GetTotalHistoryCount()
    Fact "history.Total", total
    for entry in searcher.QueryHistory(0, total) {
        at := "history." (A_Index - 1)
        for member in ["Operation", "ResultCode", "Title", "Description", "UnmappedResultCode", "ClientApplicationID",
            "ServerSelection", "ServiceID", "UninstallationNotes", "SupportUrl"]
            Fact at "." member, entry.%member%
        Fact at ".HResult", Code(entry.HResult)
        Fact at ".Date", Seconds(entry.Date)
        Fact at ".UpdateIdentity.UpdateID", entry.UpdateIdentity.UpdateID
        Fact at ".UpdateIdentity.RevisionNumber", entry.UpdateIdentity.RevisionNumber
        Fact at ".UninstallationSteps", Joined(entry.UninstallationSteps)
        Fact at ".Categories", Names(entry.Categories)
    }
}

Machine() {
    services := ComObject("Microsoft.Update.ServiceManager").Services
    for service in services {
        at := "service." service.ServiceID
        Fact at ".Name", service.Name
        Fact at ".ServiceUrl", service.ServiceUrl
        for member in ["IsManaged", "IsRegisteredWithAU", "OffersWindowsUpdates", "IsScanPackageService", "CanRegisterWithAU",
            "IsDefaultAUService"]
            Fact at "." member, Truth(service.%member%)
    }
    Fact "service.Count", services.Count
    automatic := ComObject("Microsoft.Update.AutoUpdate")
    Fact "automatic.ServiceEnabled", Truth(automatic.ServiceEnabled)
    settings := automatic.Settings
    settings.ScheduledInstallationTime := 6
    settings.Save()
    for member in ["NotificationLevel", "ScheduledInstallationDay", "ScheduledInstallationTime"]
        Fact "settings." member, automatic.Settings.%member%
    for member in ["ReadOnly", "Required", "IncludeRecommendedUpdates", "NonAdministratorsElevated", "FeaturedUpdatesEnabled"]
        Fact "settings." member, Truth(automatic.Settings.%member%)
    for member in ["LastSearchSuccessDate", "LastInstallationSuccessDate"]
        Fact "results." member, Seconds(automatic.Results.%member%)
    system := ComObject("Microsoft.Update.SystemInfo")
    Fact "system.RebootRequired", Truth(system.RebootRequired)
    Fact "system.OemHardwareSupportLink", system.OemHardwareSupportLink
    for name in ["ApiMajorVersion", "ApiMinorVersion", "ProductVersionString"]
        Fact "agent." name, ComObject("Microsoft.Update.AgentInfo").GetInfo(name)
}

session := ComObject("Microsoft.Update.Session")
session.ClientApplicationID := "story.ahk"
searcher := session.CreateUpdateSearcher()
if A_Args[1] = "abort"
    Abort A_Args[2]
else
    Work
Fact "end", "good"
ExitApp 0
