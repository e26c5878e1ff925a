Option Explicit
Dim session, searcher, updates, update, coll, other, x, sm, au, set_, d, i
Sub Tried(what)
    If Err.Number = 0 Then
        WScript.Echo what & ": ok"
    Else
        WScript.Echo what & ": 0x" & Hex(Err.Number) & " " & Err.Description
    End If
    Err.Clear
End Sub
Set session = CreateObject("Microsoft.Update.Session")
WScript.Echo "session: " & session.ClientApplicationID & " " & session.ReadOnly & " " & session.UserLocale
On Error Resume Next
session.UserLocale = 1031 : Tried "locale 1031"
session.UserLocale = 77777 : Tried "locale 77777"
Set searcher = session.CreateUpdateSearcher()
searcher.SearchScope = 4 : Tried "scope 4"
searcher.SearchScope = 9 : Tried "scope 9"
searcher.ServerSelection = 7 : Tried "selection 7"
searcher.ServerSelection = 3 : Tried "selection 3"
searcher.ServiceID = "abc" : Tried "service abc"
WScript.Echo "escape: " & searcher.EscapeString("it's")
searcher.Search "IsInstalled>0" : Tried "bad criteria"
WScript.Echo "history: " & searcher.GetTotalHistoryCount() : Tried "history count"
Set x = searcher.QueryHistory(0, 0) : Tried "history 0,0"
Set x = searcher.QueryHistory(0, 10) : Tried "history 0,10"
WScript.Echo "entries: " & x.Count
Set x = session.QueryHistory("Title='x'", 0, 10) : Tried "history by title"
Set updates = searcher.Search("IsInstalled=0").Updates : Tried "search"
Set update = updates.Item(0) : Tried "item 0"
Set coll = CreateObject("Microsoft.Update.UpdateColl")
WScript.Echo "add: " & coll.Add(update) & coll.Add(updates.Item(1))
coll.Insert 2, update : Tried "insert"
coll.Insert 9, update : Tried "insert 9"
coll.Add Nothing : Tried "add nothing"
coll.Add CreateObject("Microsoft.Update.StringColl") : Tried "add no update"
WScript.Echo "count " & coll.Count & " copy " & coll.Copy().Count & " ro " & coll.ReadOnly
update.IsHidden = True : Tried "hide"
WScript.Echo "hidden " & update.IsHidden
update.IsHidden = False : Tried "unhide"
WScript.Echo "hidden " & update.IsHidden
update.AcceptEula : Tried "accept"
update.CopyFromCache "Z:\nowhere", False : Tried "copy from nowhere"
update.CopyFromCache "C:\", False : Tried "copy from"
update.CopyToCache CreateObject("Microsoft.Update.StringColl") : Tried "copy to"
Set d = session.CreateUpdateDownloader()
If d.Updates Is Nothing Then WScript.Echo "none set"
d.Updates = coll : Tried "put updates"
WScript.Echo d.Updates.Count & " ro " & d.Updates.ReadOnly
d.Priority = 5 : Tried "priority 5"
d.Priority = 4 : Tried "priority 4"
d.Download : Tried "download"
Set i = session.CreateUpdateInstaller()
i.RunWizard : Tried "wizard no updates"
Set i.Updates = coll : Tried "set updates"
i.RunWizard "t" : Tried "wizard"
WScript.Echo "busy " & i.IsBusy & " before " & i.RebootRequiredBeforeInstallation & " src " & i.AllowSourcePrompts
i.Commit 0 : Tried "commit 0"
i.Commit 1 : Tried "commit 1"
i.ParentHwnd = 1 : Tried "hwnd"
i.ParentWindow = coll : Tried "parent window"
WScript.Echo "parent " & TypeName(i.ParentWindow)
Set sm = session.CreateUpdateServiceManager()
For Each x In sm.Services
    WScript.Echo "service " & x.Name & " " & x.ServiceID & " au " & x.IsRegisteredWithAU & " default " & x.IsDefaultAUService
    d = x.ServiceID
Next
Tried "services"
Set x = sm.QueryServiceRegistration(d) : Tried "registration"
WScript.Echo "state " & x.RegistrationState & " " & x.Service.Name
Set x = sm.QueryServiceRegistration("7971f918-a847-4430-9279-4a52d1efe18d") : Tried "mu registration"
WScript.Echo "state " & x.RegistrationState
sm.AddService2 "7971f918-a847-4430-9279-4a52d1efe18d", 7, "" : Tried "mu add 7"
Set x = sm.AddService2("7971f918-a847-4430-9279-4a52d1efe18d", 5, "") : Tried "mu add 5"
WScript.Echo "state " & x.RegistrationState & " " & x.IsPendingRegistrationWithAU
sm.AddService2 "7971f918-a847-4430-9279-4a52d1efe18d", 1, "x.cab" : Tried "mu add 1 with cab"
sm.RemoveService d : Tried "remove"
sm.RemoveService "x" : Tried "remove x"
sm.RemoveService "7971f918-a847-4430-9279-4a52d1efe18d" : Tried "remove mu"
sm.RegisterServiceWithAU d : Tried "register au"
sm.UnregisterServiceWithAU "7971f918-a847-4430-9279-4a52d1efe18d" : Tried "unregister mu"
sm.SetOption "AllowWarningUI", True : Tried "option"
sm.SetOption "AllowWarningUI", "x" : Tried "option x"
sm.AddScanPackageService "n", "C:\x.cab" : Tried "scan package"
Set au = CreateObject("Microsoft.Update.AutoUpdate")
WScript.Echo "au " & au.ServiceEnabled
au.DetectNow : Tried "detect"
au.Pause : Tried "pause"
au.ShowSettingsDialog : Tried "dialog"
WScript.Echo "last search " & au.Results.LastSearchSuccessDate & " " & (au.Results.LastInstallationSuccessDate = Empty)
Set set_ = au.Settings : Tried "settings"
WScript.Echo "level " & set_.NotificationLevel & " day " & set_.ScheduledInstallationDay & " hour " & set_.ScheduledInstallationTime & " ro " & set_.ReadOnly
set_.NotificationLevel = 4 : Tried "level 4"
set_.NotificationLevel = 9 : Tried "level 9"
set_.ScheduledInstallationTime = 24 : Tried "24 h"
set_.ScheduledInstallationTime = 5 : Tried "5 h"
set_.Save : Tried "save"
WScript.Echo "level " & set_.NotificationLevel & " day " & set_.ScheduledInstallationDay & " hour " & set_.ScheduledInstallationTime
WScript.Echo "perm " & set_.CheckPermission(1, 1) & set_.CheckPermission(2, 4)
x = set_.CheckPermission(3, 1) : Tried "user type 3"
set_.FeaturedUpdatesEnabled = True : Tried "featured"
Set x = CreateObject("Microsoft.Update.SystemInfo")
WScript.Echo "reboot " & x.RebootRequired & " link '" & x.OemHardwareSupportLink & "'"
Set x = CreateObject("Microsoft.Update.InstallationAgent") : Tried "agent"
x.RecordInstallationResult "c", 0, Nothing : Tried "record"
