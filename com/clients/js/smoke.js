// JScript: late-bound calls, defaults, enumerations, a plain function as callback, codes of failing calls. Prints facts; only the
// last line, `end=good`, says that it got to its end.

function fact(key, value) {
    WScript.Echo(key + "=" + (value === true ? "1" : value === false ? "0" : value === null || value === undefined ? "" : value));
}

function code(number) {
    var text = (number >>> 0).toString(16).toUpperCase();
    while (text.length < 8) text = "0" + text;
    return "0x" + text;
}

function failing(what, call) {
    try {
        call();
        fact(what, "no failure");
    } catch (error) {
        fact(what, code(error.number));
    }
}

var session = new ActiveXObject("Microsoft.Update.Session");
session.ClientApplicationID = "smoke.js";
fact("session.ClientApplicationID", session.ClientApplicationID);
var searcher = session.CreateUpdateSearcher();
var result = searcher.Search("IsInstalled=0 and IsHidden=0");
fact("search.ResultCode", result.ResultCode);
fact("search.Updates.Count", result.Updates.Count);
for (var each = new Enumerator(result.Updates); !each.atEnd(); each.moveNext()) {
    var update = each.item();
    var at = "update." + update.Identity.UpdateID.toLowerCase();
    fact(at + ".Title", update.Title);
    fact(at + ".Identity.RevisionNumber", update.Identity.RevisionNumber);
    fact(at + ".IsDownloaded", update.IsDownloaded);
    fact(at + ".IsHidden", update.IsHidden);
    fact(at + ".IsInstalled", update.IsInstalled);
    fact(at + ".Type", update.Type);
    fact(at + ".SupportUrl", update.SupportUrl);
}

var calls = 0, found = -1, same = false;
var job = searcher.BeginSearch("IsInstalled=0", function (ended, args) {
    calls += 1;
    same = ended.AsyncState === "state";
    found = searcher.EndSearch(ended).Updates.Count;
}, "state");
job.CleanUp();
fact("asynchronous.Calls", calls);
fact("asynchronous.State", same);
fact("asynchronous.Found", found);

failing("fails.Criteria", function () { searcher.Search("IsInstalled > 0"); });
failing("fails.Index", function () { return result.Updates.Item(100000).Title; });
failing("fails.ReadOnly", function () { result.Updates.Clear(); });
failing("fails.NoUpdates", function () { session.CreateUpdateDownloader().Download(); });
failing("fails.History", function () { searcher.QueryHistory(0, 0); });
fact("escaped", searcher.EscapeString("it's"));
fact("end", "good");
