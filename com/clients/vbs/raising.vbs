' Callbacks that raise: the operation goes on, every callback is still made, and the result is as if nothing had happened. Prints
' facts; only `end=good` says that it got to its end.
Option Explicit
Dim session, searcher, updates, chosen, downloader, installer, job, progress, done, result

Class Raising
    Public calls
    Public Default Sub Told(job, args)
        calls = calls + 1
        Err.Raise 5, "callback", "on purpose"
    End Sub
End Class

Function Raise()
    Set Raise = New Raising
    Raise.calls = 0
End Function

Set session = CreateObject("Microsoft.Update.Session")
session.ClientApplicationID = "raising.vbs"
Set searcher = session.CreateUpdateSearcher()
Set done = Raise()
Set job = searcher.BeginSearch("IsInstalled=0", done, Empty)
Set updates = searcher.EndSearch(job).Updates
WScript.Echo "search.Calls=" & done.calls
Set chosen = CreateObject("Microsoft.Update.UpdateColl")
chosen.Add updates.Item(0)
chosen.Add updates.Item(1)

Set downloader = session.CreateUpdateDownloader()
downloader.Updates = chosen
Set progress = Raise()
Set done = Raise()
Set job = downloader.BeginDownload(progress, done, Empty)
Set result = downloader.EndDownload(job)
WScript.Echo "download.ResultCode=" & result.ResultCode
WScript.Echo "download.Calls=" & Abs(progress.calls >= 2)
WScript.Echo "download.Completions=" & done.calls

Set installer = session.CreateUpdateInstaller()
installer.Updates = chosen
Set progress = Raise()
Set done = Raise()
Set job = installer.BeginInstall(progress, done, Empty)
Set result = installer.EndInstall(job)
WScript.Echo "install.ResultCode=" & result.ResultCode
WScript.Echo "install.Calls=" & Abs(progress.calls >= 2)
WScript.Echo "install.Completions=" & done.calls
WScript.Echo "end=good"
