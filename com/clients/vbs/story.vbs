' The classical script (search, choose, accept, download, install, look, take back), then the same with callbacks, which are classes
' whose default method COM calls. Prints facts, `KEY=VALUE`. cscript ends with 0 whatever happens: only the last line, `end=good`,
' says that the story was told to its end.
'
'     cscript //nologo story.vbs work         the whole story
'     cscript //nologo story.vbs abort GATE   asks a download and an installation to stop, and then removes the file GATE
Option Explicit
Dim session, searcher, result, updates, update, index, chosen, downloader, installer, found, history, entry, service, category, key
Dim takenBack, manager, progress, done, job, automatic, settings, system, name

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

' The texts of a collection, sorted and joined; of objects those that their default properties say.
Function Joined(collection)
    Dim one, list, count, i, j, swap
    count = 0
    ReDim list(collection.Count)
    For Each one In collection
        list(count) = CStr(one)
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

' Seconds since 1970, rounded; nothing where there is no date.
Function Seconds(moment)
    If IsEmpty(moment) Then
        Seconds = ""
    Else
        Seconds = Int((CDbl(moment) - 25569) * 86400 + 0.5)
    End If
End Function

Function Given(object)
    If object Is Nothing Then Given = "none" Else Given = "some"
End Function

Function Addresses(contents)
    Dim one
    Set Addresses = CreateObject("Microsoft.Update.StringColl")
    For Each one In contents
        Addresses.Add one.DownloadUrl
    Next
End Function

Function Ids(updates)
    Dim one
    Set Ids = CreateObject("Microsoft.Update.StringColl")
    For Each one In updates
        Ids.Add IdOf(one)
    Next
End Function

Sub BehaviourFacts(at, behaviour)
    Fact at, Given(behaviour)
    If behaviour Is Nothing Then Exit Sub
    Fact at & ".CanRequestUserInput", behaviour.CanRequestUserInput
    Fact at & ".Impact", behaviour.Impact
    Fact at & ".RebootBehavior", behaviour.RebootBehavior
    Fact at & ".RequiresNetworkConnectivity", behaviour.RequiresNetworkConnectivity
End Sub

' All that IUpdate to IUpdate5 have, of the update and of what it bundles.
Sub FactsOf(at, one)
    Dim child, number
    ' Without a name it is the default property.
    Fact at & ".Title", CStr(one)
    Fact at & ".AutoSelectOnWebSites", one.AutoSelectOnWebSites
    Fact at & ".CanRequireSource", one.CanRequireSource
    Fact at & ".Categories", Joined(one.Categories)
    Fact at & ".Deadline", Seconds(one.Deadline)
    Fact at & ".DeltaCompressedContentAvailable", one.DeltaCompressedContentAvailable
    Fact at & ".DeltaCompressedContentPreferred", one.DeltaCompressedContentPreferred
    Fact at & ".Description", one.Description
    Fact at & ".EulaAccepted", one.EulaAccepted
    Fact at & ".EulaText", one.EulaText
    Fact at & ".HandlerID", one.HandlerID
    Fact at & ".Identity.UpdateID", one.Identity.UpdateID
    Fact at & ".Identity.RevisionNumber", one.Identity.RevisionNumber
    Fact at & ".Image", Given(one.Image)
    BehaviourFacts at & ".InstallationBehavior", one.InstallationBehavior
    Fact at & ".IsBeta", one.IsBeta
    Fact at & ".IsDownloaded", one.IsDownloaded
    Fact at & ".IsHidden", one.IsHidden
    Fact at & ".IsInstalled", one.IsInstalled
    Fact at & ".IsMandatory", one.IsMandatory
    Fact at & ".IsUninstallable", one.IsUninstallable
    Fact at & ".Languages", Joined(one.Languages)
    Fact at & ".LastDeploymentChangeTime", Seconds(one.LastDeploymentChangeTime)
    Fact at & ".MaxDownloadSize", one.MaxDownloadSize
    Fact at & ".MinDownloadSize", one.MinDownloadSize
    Fact at & ".MoreInfoUrls", Joined(one.MoreInfoUrls)
    Fact at & ".MsrcSeverity", one.MsrcSeverity
    Fact at & ".RecommendedCpuSpeed", one.RecommendedCpuSpeed
    Fact at & ".RecommendedHardDiskSpace", one.RecommendedHardDiskSpace
    Fact at & ".RecommendedMemory", one.RecommendedMemory
    Fact at & ".ReleaseNotes", one.ReleaseNotes
    Fact at & ".SecurityBulletinIDs", Joined(one.SecurityBulletinIDs)
    Fact at & ".SupersededUpdateIDs", Joined(one.SupersededUpdateIDs)
    Fact at & ".SupportUrl", one.SupportUrl
    Fact at & ".Type", one.Type
    Fact at & ".UninstallationNotes", one.UninstallationNotes
    BehaviourFacts at & ".UninstallationBehavior", one.UninstallationBehavior
    Fact at & ".UninstallationSteps", Joined(one.UninstallationSteps)
    Fact at & ".KBArticleIDs", Joined(one.KBArticleIDs)
    Fact at & ".DeploymentAction", one.DeploymentAction
    Fact at & ".DownloadPriority", one.DownloadPriority
    Fact at & ".DownloadContents", Joined(Addresses(one.DownloadContents))
    Fact at & ".RebootRequired", one.RebootRequired
    Fact at & ".IsPresent", one.IsPresent
    Fact at & ".CveIDs", Joined(one.CveIDs)
    Fact at & ".BrowseOnly", one.BrowseOnly
    Fact at & ".PerUser", one.PerUser
    Fact at & ".AutoSelection", one.AutoSelection
    Fact at & ".AutoDownload", one.AutoDownload
    Fact at & ".BundledUpdates.Count", one.BundledUpdates.Count
    number = 0
    For Each child In one.BundledUpdates
        FactsOf at & ".BundledUpdates." & number, child
        number = number + 1
    Next
End Sub

Class Progressed
    ' One name each: Wine 8 parses no lists here.
    Public calls
    Public last
    Public falls
    Public outside
    Public late
    Public count
    Public done
    ' The file to be removed once the job was asked to stop; nothing where it is to go on.
    Public gate
    Public asked
    Public Default Sub Told(job, args)
        Dim now
        Set now = args.Progress
        calls = calls + 1
        If now.PercentComplete < last Then falls = falls + 1
        last = now.PercentComplete
        If last < 0 Or last > 100 Then outside = outside + 1
        If now.CurrentUpdatePercentComplete < 0 Or now.CurrentUpdatePercentComplete > 100 Then outside = outside + 1
        If now.CurrentUpdateIndex < 0 Or now.CurrentUpdateIndex >= count Then outside = outside + 1
        now.GetUpdateResult now.CurrentUpdateIndex
        If done.calls > 0 Then late = late + 1
        If IsEmpty(gate) Or Not IsEmpty(asked) Then Exit Sub
        On Error Resume Next
        job.RequestAbort
        asked = Code(Err.Number)
        On Error Goto 0
        If gate <> "" Then CreateObject("Scripting.FileSystemObject").DeleteFile gate
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

Function Watch(updates, done)
    Set Watch = New Progressed
    Watch.calls = 0
    Watch.last = 0
    Watch.falls = 0
    Watch.outside = 0
    Watch.late = 0
    Watch.count = updates.Count
    Set Watch.done = done
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

' The classical script asks the updates that it found before.
Sub DownloadedFacts(updates)
    Dim one
    For Each one In updates
        Fact "downloaded." & IdOf(one) & ".IsDownloaded", one.IsDownloaded
    Next
End Sub

Sub WatchFacts(what, watch)
    Fact what & ".progress.Falls", watch.falls
    Fact what & ".progress.OutOfRange", watch.outside
    Fact what & ".progress.AfterCompletion", watch.late
    If IsEmpty(watch.gate) Then
        Fact what & ".progress.OneEach", watch.calls >= watch.count
        Fact what & ".progress.Last", watch.last
    End If
    Fact what & ".Completions", watch.done.calls
End Sub

' An aborted download of so little may be done: all succeeded, or aborted it is.
Function Consistent(result, updates)
    Dim i, all, one
    Consistent = True
    all = True
    For i = 0 To updates.Count - 1
        one = result.GetUpdateResult(i).ResultCode
        If one = 5 Then
            all = False
        ElseIf one <> 2 Or Not updates.Item(i).IsDownloaded Then
            Consistent = False
        End If
    Next
    If all Then one = 2 Else one = 5
    If result.ResultCode <> one Then Consistent = False
End Function

' Asks a download and an installation to stop. The update that waits for the gate goes first.
Sub Abort(gate)
    Set updates = CreateObject("Microsoft.Update.UpdateColl")
    For Each update In searcher.Search("IsInstalled=0 and IsHidden=0").Updates
        update.AcceptEula
        If Left(update.Title, 9) = "docfinder" Then updates.Insert 0, update Else updates.Add update
    Next
    Set downloader = session.CreateUpdateDownloader()
    downloader.Updates = updates
    Set done = Ender("download", downloader)
    Set progress = Watch(updates, done)
    progress.gate = ""
    Set job = downloader.BeginDownload(progress, done, Empty)
    job.CleanUp
    Fact "abort.download.RequestAbort", progress.asked
    Fact "abort.download.Consistent", Consistent(done.result, updates)
    Fact "abort.again.ResultCode", downloader.Download().ResultCode
    Set installer = session.CreateUpdateInstaller()
    installer.Updates = updates
    Set done = Ender("install", installer)
    Set progress = Watch(updates, done)
    progress.gate = gate
    Set job = installer.BeginInstall(progress, done, Empty)
    job.CleanUp
    Fact "abort.install.RequestAbort", progress.asked
    ResultFacts "abort.install", "abort.install", done.result, updates
    WatchFacts "abort.install", progress
End Sub

Set session = CreateObject("Microsoft.Update.Session")
session.ClientApplicationID = "story.vbs"
Set searcher = session.CreateUpdateSearcher()
If WScript.Arguments(0) = "abort" Then Abort WScript.Arguments(1) Else Work
Fact "end", "good"

Sub Work()
    searcher.ServerSelection = 0
    Set result = searcher.Search("IsInstalled=0 and Type='Software' and IsHidden=0")
    Fact "search.ResultCode", result.ResultCode
    Fact "search.Updates.Count", result.Updates.Count
    For Each update In result.Updates
        FactsOf "update." & IdOf(update), update
    Next
    index = 0
    For Each category In result.RootCategories
        Fact "category." & index & ".Name", category.Name
        Fact "category." & index & ".Updates", Joined(Ids(category.Updates))
        index = index + 1
    Next

    ' Half of them synchronously, half with callbacks. A choice of one's own is a new collection.
    Set chosen = CreateObject("Microsoft.Update.UpdateColl")
    Set updates = CreateObject("Microsoft.Update.UpdateColl")
    For index = 0 To result.Updates.Count - 1
        Set update = result.Updates.Item(index)
        update.AcceptEula
        Fact "accepted." & IdOf(update) & ".EulaAccepted", update.EulaAccepted
        If index Mod 2 = 0 Then chosen.Add update Else updates.Add update
    Next

    Set downloader = session.CreateUpdateDownloader()
    downloader.Updates = chosen
    ResultFacts "synchronous.download", "download", downloader.Download(), chosen
    DownloadedFacts chosen
    Set installer = session.CreateUpdateInstaller()
    installer.Updates = chosen
    ResultFacts "synchronous.install", "install", installer.Install(), chosen

    ' With callbacks.
    Set downloader = session.CreateUpdateDownloader()
    downloader.Updates = updates
    Set done = Ender("download", downloader)
    Set progress = Watch(updates, done)
    Set job = downloader.BeginDownload(progress, done, "some state")
    Fact "download.AsyncState", job.AsyncState
    job.CleanUp
    ResultFacts "download", "download", done.result, updates
    WatchFacts "download", progress
    DownloadedFacts updates
    Set installer = session.CreateUpdateInstaller()
    installer.Updates = updates
    installer.AllowSourcePrompts = False
    Set done = Ender("install", installer)
    Set progress = Watch(updates, done)
    Set job = installer.BeginInstall(progress, done, 17)
    Fact "install.AsyncState", job.AsyncState
    job.CleanUp
    ResultFacts "install", "install", done.result, updates
    WatchFacts "install", progress

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
    Set done = Ender("uninstall", installer)
    Set progress = Watch(chosen, done)
    Set job = installer.BeginUninstall(progress, done, Empty)
    job.CleanUp
    ResultFacts "uninstall", "uninstall", done.result, chosen
    WatchFacts "uninstall", progress

    Fact "history.Total", searcher.GetTotalHistoryCount()
    Set history = searcher.QueryHistory(0, searcher.GetTotalHistoryCount())
    index = 0
    For Each entry In history
        key = "history." & index
        Fact key & ".Operation", entry.Operation
        Fact key & ".ResultCode", entry.ResultCode
        Fact key & ".HResult", Code(entry.HResult)
        Fact key & ".Date", Seconds(entry.Date)
        Fact key & ".UpdateIdentity.UpdateID", entry.UpdateIdentity.UpdateID
        Fact key & ".UpdateIdentity.RevisionNumber", entry.UpdateIdentity.RevisionNumber
        Fact key & ".Title", entry.Title
        Fact key & ".Description", entry.Description
        Fact key & ".UnmappedResultCode", entry.UnmappedResultCode
        Fact key & ".ClientApplicationID", entry.ClientApplicationID
        Fact key & ".ServerSelection", entry.ServerSelection
        Fact key & ".ServiceID", entry.ServiceID
        Fact key & ".UninstallationSteps", Joined(entry.UninstallationSteps)
        Fact key & ".UninstallationNotes", entry.UninstallationNotes
        Fact key & ".SupportUrl", entry.SupportUrl
        Fact key & ".Categories", Joined(entry.Categories)
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
    Fact "service.Count", manager.Services.Count
    Set automatic = CreateObject("Microsoft.Update.AutoUpdate")
    Fact "automatic.ServiceEnabled", automatic.ServiceEnabled
    Set settings = automatic.Settings
    settings.ScheduledInstallationTime = 6
    settings.Save
    Set settings = automatic.Settings
    Fact "settings.NotificationLevel", settings.NotificationLevel
    Fact "settings.ReadOnly", settings.ReadOnly
    Fact "settings.Required", settings.Required
    Fact "settings.ScheduledInstallationDay", settings.ScheduledInstallationDay
    Fact "settings.ScheduledInstallationTime", settings.ScheduledInstallationTime
    Fact "settings.IncludeRecommendedUpdates", settings.IncludeRecommendedUpdates
    Fact "settings.NonAdministratorsElevated", settings.NonAdministratorsElevated
    Fact "settings.FeaturedUpdatesEnabled", settings.FeaturedUpdatesEnabled
    Fact "results.LastSearchSuccessDate", Seconds(automatic.Results.LastSearchSuccessDate)
    Fact "results.LastInstallationSuccessDate", Seconds(automatic.Results.LastInstallationSuccessDate)
    Set system = CreateObject("Microsoft.Update.SystemInfo")
    Fact "system.RebootRequired", system.RebootRequired
    Fact "system.OemHardwareSupportLink", system.OemHardwareSupportLink
    For Each name In Array("ApiMajorVersion", "ApiMinorVersion", "ProductVersionString")
        Fact "agent." & name, CreateObject("Microsoft.Update.AgentInfo").GetInfo(name)
    Next
End Sub
