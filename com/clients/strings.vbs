' What a script sees of a string collection: values, For Each, and the numbers of failing calls.
Option Explicit
Dim strings, text, copied

Sub Tried(what)
    If Err.Number = 0 Then
        WScript.Echo what & ": ok"
    Else
        WScript.Echo what & ": 0x" & Hex(Err.Number) & " " & Err.Description
    End If
    Err.Clear
End Sub

Set strings = CreateObject("Microsoft.Update.StringColl")
WScript.Echo "add: " & strings.Add("one") & " " & strings.Add("three")
strings.Insert 1, "two"
strings.Item(0) = "ONE"
WScript.Echo "count: " & strings.Count & ", read-only: " & strings.ReadOnly
For Each text In strings
    WScript.Echo "each: " & text
Next
WScript.Echo "default: " & strings(1)
Set copied = strings.Copy()
copied.RemoveAt 0
WScript.Echo "copy: " & copied.Count & ", first: " & copied.Item(0) & "; original: " & strings.Count

On Error Resume Next
text = strings.Item(3)
Tried "item 3 of 3"
strings.RemoveAt -1
Tried "remove -1"
strings.Insert 4, "far"
Tried "insert at 4 of 3"
strings.Insert 3, "four"
Tried "insert at 3 of 3"
strings.NoSuchMember
Tried "no such member"
strings.Add
Tried "no argument"
Set text = CreateObject("Microsoft.Update.AgentInfo")
WScript.Echo "api: " & text.GetInfo("ApiMajorVersion") & " product: " & text.GetInfo("ProductVersionString")
text.GetInfo "Nothing"
Tried "unknown information"
text.GetInfo 7
Tried "no name"
Set text = CreateObject("Microsoft.Update.WebProxy.1")
text.Address = "proxy.example:8080"
Set text.BypassList = strings
WScript.Echo "proxy: " & text.Address & " " & text.BypassList.Count & " " & text.AutoDetect
text.PromptForCredentials Nothing, "Who?"
Tried "prompt"
