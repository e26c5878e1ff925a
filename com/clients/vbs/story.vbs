' The classical script (search, choose, accept, download, install, look, take back), then the same with callbacks, which are classes
' whose default method COM calls. Prints facts, `KEY=VALUE`. cscript ends with 0 whatever happens: only the last line, `end=good`,
' says that the story was told to its end.
'
'     cscript //nologo story.vbs
Option Explicit
Dim session, searcher, result, updates, update, index, chosen, downloader, installer, found, history, entry, service, names, item, key
Dim settings, system, takenBack, manager

Sub Fact(key, value)
    Dim text
    If IsNull(value) Or IsEmpty(value) Then
        text = ""
    ElseIf VarType(value) = vbBoolean Then
        If value Then text = "1" Else text = "0"
    Else
        text = CStr(value)
    End If
    text = Replace(text, "\", "\\")
    text = Replace(Replace(text, vbCr, ""), vbLf, "\n")
    WScript.Echo key & "=" & text
End Sub

Function Code(number)
    Code = "0x" & Right("00000000" & Hex(number), 8)
End Function

' The strings of a collection, sorted and joined; a category stands for its name, its default property.
Function Joined(collection)
    Dim one, list, count, i, j, swap
    count = 0
    ReDim list(collection.Count)
    For Each one In collection
        If IsObject(one) Then list(count) = one.Name Else list(count) = one
        count = count + 1
    Next
    For i = 0 To count - 2
        For j = i + 1 To count - 1
            If StrComp(list(j), list(i), 0) < 0 Then
                swap = list(i)
                list(i) = list(j)
                list(j) = swap
            End If
        Next
    Next
    Joined = ""
    For i = 0 To count - 1
        If i > 0 Then Joined = Joined & ";"
        Joined = Joined & list(i)
    Next
End Function

Function IdOf(one)
    IdOf = LCase(one.Identity.UpdateID)
End Function

Sub FactsOf(one)
    Dim at
    at = "update." & IdOf(one)
    ' Without a name it is the default property.
    Fact at & ".Title", CStr(one)
    Fact at & ".Description", one.Description
    Fact at & ".Identity.UpdateID", one.Identity.UpdateID
    Fact at & ".Identity.RevisionNumber", one.Identity.RevisionNumber
    Fact at & ".Type", one.Type
    Fact at & ".IsDownloaded", one.IsDownloaded
    Fact at & ".IsHidden", one.IsHidden
    Fact at & ".IsInstalled", one.IsInstalled
    Fact at & ".IsUninstallable", one.IsUninstallable
    Fact at & ".RebootRequired", one.RebootRequired
    Fact at & ".Categories", Joined(one.Categories)
    Fact at & ".CveIDs", Joined(one.CveIDs)
    Fact at & ".KBArticleIDs", Joined(one.KBArticleIDs)
    Fact at & ".MsrcSeverity", one.MsrcSeverity
    Fact at & ".SupportUrl", one.SupportUrl
    Fact at & ".MaxDownloadSize", one.MaxDownloadSize
    Fact at & ".Deadline", one.Deadline
    Fact at & ".BrowseOnly", one.BrowseOnly
    Fact at & ".AutoSelection", one.AutoSelection
    If Not (one.InstallationBehavior Is Nothing) Then
        Fact at & ".InstallationBehavior.Impact", one.InstallationBehavior.Impact
        Fact at & ".InstallationBehavior.RebootBehavior", one.InstallationBehavior.RebootBehavior
    End If
End Sub

Class Progressed
    ' One name each: Wine 8 parses no lists here.
    Public calls
    Public last
    Public falls
    Public late
    Public Default Sub Told(job, args)
        Dim now
        Set now = args.Progress
        calls = calls + 1
        If now.PercentComplete < last Then falls = falls + 1
        last = now.PercentComplete
        now.GetUpdateResult now.CurrentUpdateIndex
        If job.IsCompleted Then late = late + 1
    End Sub
End Class

Class Completed
    Public calls
    Public result
    Public ender
    Public kind
    Public Default Sub Told(job, args)
        calls = calls + 1
        If kind = "search" Then Set result = ender.EndSearch(job)
        If kind = "download" Then Set result = ender.EndDownload(job)
        If kind = "install" Then Set result = ender.EndInstall(job)
        If kind = "uninstall" Then Set result = ender.EndUninstall(job)
    End Sub
End Class

Function Ender(kind, object)
    Set Ender = New Completed
    Ender.kind = kind
    Ender.calls = 0
    Set Ender.ender = object
End Function

Function Watch()
    Set Watch = New Progressed
    Watch.calls = 0
    Watch.last = 0
    Watch.falls = 0
    Watch.late = 0
End Function

' `whole` is how the result as a whole is called; there are two of some.
Sub ResultFacts(whole, what, result, updates)
    Dim i, one
    Fact whole & ".ResultCode", result.ResultCode
    Fact whole & ".HResult", Code(result.HResult)
    If what <> "download" Then Fact whole & ".RebootRequired", result.RebootRequired
    For i = 0 To updates.Count - 1
        Set one = result.GetUpdateResult(i)
        Fact what & "." & IdOf(updates.Item(i)) & ".ResultCode", one.ResultCode
        Fact what & "." & IdOf(updates.Item(i)) & ".HResult", Code(one.HResult)
        If what <> "download" Then Fact what & "." & IdOf(updates.Item(i)) & ".RebootRequired", one.RebootRequired
    Next
End Sub

Sub WatchFacts(what, watch, completed, updates)
    Fact what & ".progress.Falls", watch.falls
    Fact what & ".progress.OneEach", watch.calls >= updates.Count
    Fact what & ".progress.Last", watch.last
    Fact what & ".Completions", completed.calls
End Sub

Set session = CreateObject("Microsoft.Update.Session")
session.ClientApplicationID = "story.vbs"
Set searcher = session.CreateUpdateSearcher()
searcher.ServerSelection = 0
Set result = searcher.Search("IsInstalled=0 and Type='Software' and IsHidden=0")
Fact "search.ResultCode", result.ResultCode
Fact "search.Updates.Count", result.Updates.Count
For Each update In result.Updates
    FactsOf update
Next

' Half of them synchronously, half with callbacks. A choice of one's own is a new collection.
Set chosen = CreateObject("Microsoft.Update.UpdateColl")
Set updates = CreateObject("Microsoft.Update.UpdateColl")
For index = 0 To result.Updates.Count - 1
    Set update = result.Updates.Item(index)
    If Not update.EulaAccepted Then update.AcceptEula
    Fact "accepted." & IdOf(update) & ".EulaAccepted", update.EulaAccepted
    If update.InstallationBehavior.CanRequestUserInput Then
        Fact "skipped", update.Title
    ElseIf index Mod 2 = 0 Then
        chosen.Add update
    Else
        updates.Add update
    End If
Next

Set downloader = session.CreateUpdateDownloader()
downloader.Updates = chosen
ResultFacts "synchronous.download", "download", downloader.Download(), chosen
For Each update In chosen
    Fact "downloaded." & IdOf(update) & ".IsDownloaded", update.IsDownloaded
Next
Set installer = session.CreateUpdateInstaller()
installer.Updates = chosen
ResultFacts "synchronous.install", "install", installer.Install(), chosen

' With callbacks.
Dim progress, done, job
Set downloader = session.CreateUpdateDownloader()
downloader.Updates = updates
Set progress = Watch()
Set done = Ender("download", downloader)
Set job = downloader.BeginDownload(progress, done, "some state")
Fact "download.AsyncState", job.AsyncState
job.CleanUp
ResultFacts "download", "download", done.result, updates
WatchFacts "download", progress, done, updates
Set installer = session.CreateUpdateInstaller()
installer.Updates = updates
installer.AllowSourcePrompts = False
Set progress = Watch()
Set done = Ender("install", installer)
Set job = installer.BeginInstall(progress, done, 17)
Fact "install.AsyncState", job.AsyncState
job.CleanUp
ResultFacts "install", "install", done.result, updates
WatchFacts "install", progress, done, updates

' What is installed now, asked with a callback.
Set done = Ender("search", searcher)
Set job = searcher.BeginSearch("IsInstalled=1", done, Empty)
job.CleanUp
Set found = done.result.Updates
Set takenBack = Nothing
For Each update In found
    If update.IsUninstallable Then
        If takenBack Is Nothing Then
            Set takenBack = update
        ElseIf StrComp(update.Title, takenBack.Title, 0) < 0 Then
            Set takenBack = update
        End If
    End If
Next
Fact "uninstall.Title", takenBack.Title
Set chosen = CreateObject("Microsoft.Update.UpdateColl")
chosen.Add takenBack
Set installer = session.CreateUpdateInstaller()
installer.Updates = chosen
Set progress = Watch()
Set done = Ender("uninstall", installer)
Set job = installer.BeginUninstall(progress, done, Empty)
job.CleanUp
ResultFacts "uninstall", "uninstall", done.result, chosen
WatchFacts "uninstall", progress, done, chosen

Fact "history.Total", searcher.GetTotalHistoryCount()
Set history = searcher.QueryHistory(0, searcher.GetTotalHistoryCount())
index = 0
For Each entry In history
    key = "history." & index
    Fact key & ".Operation", entry.Operation
    Fact key & ".ResultCode", entry.ResultCode
    Fact key & ".HResult", Code(entry.HResult)
    Fact key & ".UpdateIdentity.UpdateID", entry.UpdateIdentity.UpdateID
    Fact key & ".Title", entry.Title
    Fact key & ".UnmappedResultCode", entry.UnmappedResultCode
    Fact key & ".ClientApplicationID", entry.ClientApplicationID
    Fact key & ".SupportUrl", entry.SupportUrl
    index = index + 1
Next

Set manager = CreateObject("Microsoft.Update.ServiceManager")
For Each service In manager.Services
    key = "service." & service.ServiceID
    Fact key & ".Name", service.Name
    Fact key & ".IsManaged", service.IsManaged
    Fact key & ".IsRegisteredWithAU", service.IsRegisteredWithAU
    Fact key & ".OffersWindowsUpdates", service.OffersWindowsUpdates
    Fact key & ".IsScanPackageService", service.IsScanPackageService
    Fact key & ".CanRegisterWithAU", service.CanRegisterWithAU
    Fact key & ".ServiceUrl", service.ServiceUrl
    Fact key & ".IsDefaultAUService", service.IsDefaultAUService
Next
Set settings = CreateObject("Microsoft.Update.AutoUpdate").Settings
Fact "settings.NotificationLevel", settings.NotificationLevel
Fact "settings.ScheduledInstallationTime", settings.ScheduledInstallationTime
Set system = CreateObject("Microsoft.Update.SystemInfo")
Fact "system.RebootRequired", system.RebootRequired
Fact "agent.ApiMajorVersion", CreateObject("Microsoft.Update.AgentInfo").GetInfo("ApiMajorVersion")
Fact "end", "good"
