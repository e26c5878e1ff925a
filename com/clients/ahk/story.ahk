; A client with a message loop, AutoHotkey v2: late-bound calls, plain functions as callbacks, which arrive between its messages.
; Prints facts; only the last line, `end=good`, says that the story was told to its end.
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

class Watch {
    calls := 0
    last := 0
    falls := 0
    late := 0
    completions := 0
    progressed(job, args) {
        now := args.Progress
        this.calls += 1
        if now.PercentComplete < this.last
            this.falls += 1
        this.last := now.PercentComplete
        now.GetUpdateResult(now.CurrentUpdateIndex)
        if this.completions
            this.late += 1
    }
    completed(job, args) {
        this.completions += 1
    }
    print(what, count) {
        Fact what ".progress.Falls", this.falls
        Fact what ".progress.AfterCompletion", this.late
        Fact what ".progress.OneEach", Truth(this.calls >= count)
        Fact what ".progress.Last", this.last
        Fact what ".Completions", this.completions
    }
}

Results(what, result, updates) {
    Fact what ".ResultCode", result.ResultCode
    Fact what ".HResult", Code(result.HResult)
    loop updates.Count {
        update := updates.Item(A_Index - 1)
        one := result.GetUpdateResult(A_Index - 1)
        Fact what "." IdOf(update) ".ResultCode", one.ResultCode
        Fact what "." IdOf(update) ".HResult", Code(one.HResult)
    }
}

session := ComObject("Microsoft.Update.Session")
session.ClientApplicationID := "story.ahk"
searcher := session.CreateUpdateSearcher()

; A plain function, ended in it.
found := ""
searched(job, args) {
    global found
    found := searcher.EndSearch(job)
}
job := searcher.BeginSearch("IsInstalled=0 and IsHidden=0", searched, "state")
Fact "search.AsyncState", job.AsyncState
WaitFor () => found
job.CleanUp()
updates := found.Updates
Fact "search.ResultCode", found.ResultCode
Fact "search.Updates.Count", updates.Count
for update in updates {
    at := "update." IdOf(update)
    Fact at ".Title", update.Title
    Fact at ".Description", update.Description
    Fact at ".Identity.RevisionNumber", update.Identity.RevisionNumber
    Fact at ".IsDownloaded", Truth(update.IsDownloaded)
    Fact at ".IsHidden", Truth(update.IsHidden)
    Fact at ".IsInstalled", Truth(update.IsInstalled)
    Fact at ".IsUninstallable", Truth(update.IsUninstallable)
    Fact at ".RebootRequired", Truth(update.RebootRequired)
    Fact at ".SupportUrl", update.SupportUrl
    Fact at ".Type", update.Type
    Fact at ".InstallationBehavior.Impact", update.InstallationBehavior.Impact
    update.AcceptEula()
    Fact "accepted." IdOf(update) ".EulaAccepted", Truth(update.EulaAccepted)
}

downloader := session.CreateUpdateDownloader()
downloader.Updates := updates
seen := Watch()
job := downloader.BeginDownload(seen.progressed.Bind(seen), seen.completed.Bind(seen), "")
WaitFor () => seen.completions
Results "download", downloader.EndDownload(job), updates
seen.print("download", updates.Count)
job.CleanUp()

installer := session.CreateUpdateInstaller()
installer.Updates := updates
seen := Watch()
job := installer.BeginInstall(seen.progressed.Bind(seen), seen.completed.Bind(seen), 5)
Fact "install.AsyncState", job.AsyncState
WaitFor () => seen.completions
Results "install", installer.EndInstall(job), updates
seen.print("install", updates.Count)
job.CleanUp()

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

total := searcher.GetTotalHistoryCount()
Fact "history.Total", total
index := 0
for entry in searcher.QueryHistory(0, total) {
    at := "history." index
    Fact at ".Operation", entry.Operation
    Fact at ".ResultCode", entry.ResultCode
    Fact at ".HResult", Code(entry.HResult)
    Fact at ".UpdateIdentity.UpdateID", entry.UpdateIdentity.UpdateID
    Fact at ".Title", entry.Title
    Fact at ".UnmappedResultCode", entry.UnmappedResultCode
    Fact at ".ClientApplicationID", entry.ClientApplicationID
    Fact at ".SupportUrl", entry.SupportUrl
    index += 1
}
try {
    searcher.QueryHistory(0, 0)
    Fact "fails.History", "no failure"
} catch as thrown {
    Fact "fails.History", thrown is OSError ? Code(thrown.Number) : Type(thrown)
}
Fact "end", "good"
ExitApp 0
