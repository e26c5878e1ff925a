' The classical script's first half: search, and tell all that an update says of itself.
Option Explicit
Dim session, searcher, result, update, child, category, content, item

Sub Tell(what, value)
    WScript.Echo "  " & what & ": " & value & " (" & TypeName(value) & ")"
End Sub

Set session = CreateObject("Microsoft.Update.Session")
session.ClientApplicationID = "search.vbs"
Set searcher = session.CreateUpdateSearcher()
WScript.Echo "searcher of " & searcher.ClientApplicationID & ", online " & searcher.Online & ", service " & searcher.ServiceID
Set result = searcher.Search("IsInstalled=0 and Type='Software' and IsHidden=0")
WScript.Echo "result " & result.ResultCode & ", " & result.Updates.Count & " updates, read-only " & result.Updates.ReadOnly & ", " & result.Warnings.Count & " warnings"
For Each category In result.RootCategories
    WScript.Echo "category " & category & " (" & category.Type & ", order " & category.Order & ") lists " & category.Updates.Count
Next
For Each update In result.Updates
    WScript.Echo update
    Tell "Identity", update.Identity.UpdateID & " " & update.Identity.RevisionNumber
    Tell "MaxDownloadSize", update.MaxDownloadSize
    Tell "MinDownloadSize", update.MinDownloadSize
    Tell "LastDeploymentChangeTime", update.LastDeploymentChangeTime
    Tell "Deadline", update.Deadline
    Tell "MsrcSeverity", update.MsrcSeverity
    Tell "IsDownloaded", update.IsDownloaded
    Tell "IsHidden", update.IsHidden
    Tell "EulaAccepted", update.EulaAccepted
    Tell "RebootRequired", update.RebootRequired
    Tell "IsPresent", update.IsPresent
    Tell "BrowseOnly", update.BrowseOnly
    Tell "AutoSelection", update.AutoSelection
    Tell "HandlerID", update.HandlerID
    If update.Image Is Nothing Then WScript.Echo "  Image: none"
    If Not update.InstallationBehavior Is Nothing Then
        Tell "RebootBehavior", update.InstallationBehavior.RebootBehavior
    End If
    For Each item In update.CveIDs
        Tell "CVE", item
    Next
    For Each child In update.BundledUpdates
        Tell "child", child.Title
        For Each content In child.DownloadContents
            Tell "content", content.DownloadUrl
        Next
    Next
Next
