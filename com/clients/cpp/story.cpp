// A client as administrators' tools are: it searches, accepts licences, downloads, installs, looks at the history and takes one
// update back. All that it is told goes to its output as facts (`KEY=VALUE`), for comparison with what `wua` says of the machine.
//
//     story mta|sta walk         every property of every update, category, history entry, service and setting
//     story mta|sta work         the whole story; changes the machine
//     story mta|sta abort GATE   asks a download and an installation to stop from their first progress callbacks, and then removes
//                                the file GATE, for which the update in work waits

#include "walk.h"

#include <algorithm>

namespace {

Apartment apartment = Apartment::Many;
DWORD main_thread = 0;

// Where callbacks are to arrive: on the client's own thread in a single-threaded apartment, on another one else.
bool thread_fits() { return (GetCurrentThreadId() == main_thread) == (apartment == Apartment::Single); }

// What progress callbacks are held to. Percentages never fall, indexes stay inside, and threads are the apartment's.
struct Watch {
    LONG count = 0, last = 0, calls = 0, completions = 0;
    bool falls = false, outside = false, late = false, thread = true;

    void progressed(LONG index, LONG current, LONG percent) {
        ++calls;
        falls |= percent < last;
        last = percent;
        outside |= index < 0 || index >= count || current < 0 || current > 100 || percent < 0 || percent > 100;
        late |= completions > 0;
        thread &= thread_fits();
    }
    void completed() {
        ++completions;
        thread &= thread_fits();
    }
    void print(const std::string& at, bool to_the_end) const {
        fact(at + ".progress.Falls", falls);
        fact(at + ".progress.OutOfRange", outside);
        fact(at + ".progress.AfterCompletion", late);
        if (to_the_end) {
            fact(at + ".progress.OnItsThread", thread);
            fact(at + ".progress.OneEach", calls >= count);
            fact(at + ".progress.Last", last);
        }
        fact(at + ".Completions", completions);
    }
};

Com<IUpdateCollection> found(IUpdateSearcher* searcher, const wchar_t* criteria) {
    Com<ISearchResult> result;
    MUST(searcher->Search(Bstr(criteria), result.out()));
    return object(result.get(), &ISearchResult::get_Updates);
}

// A search with a callback, ended in the callback, as Ansible does.
Com<ISearchResult> search_asynchronously(IUpdateSearcher* searcher, const wchar_t* criteria) {
    Event done;
    Com<ISearchResult> result;
    HRESULT ended = E_PENDING;
    bool thread = false;
    SearchCompleted completed([&](ISearchJob* job, ISearchCompletedCallbackArgs* args) {
        thread = thread_fits();
        if (!args) return E_POINTER;
        ended = searcher->EndSearch(job, result.out());
        done.set();
        return S_OK;
    });
    Com<ISearchJob> job;
    MUST(searcher->BeginSearch(Bstr(criteria), &completed, Variant(L"asynchronous"), job.out()));
    if (!done.wait_for(60'000, apartment)) throw Failure{E_PENDING, "the search did not complete"};
    must(ended, "EndSearch in the callback");
    MUST(job->CleanUp());
    fact("asynchronous.OnItsThread", thread);
    fact("asynchronous.References", completed.references());
    return result;
}

void print_updates_results(const std::string& at, IUpdateCollection* updates, const std::function<void(LONG, const std::string&)>& one) {
    LONG index = 0;
    for (auto& update : items<IUpdate, IUpdateCollection>(updates)) one(index++, at + "." + id_of(update.get()));
}

void download(IUpdateSession* session, IUpdateCollection* updates) {
    auto downloader = Com<IUpdateDownloader>();
    MUST(session->CreateUpdateDownloader(downloader.out()));
    MUST(downloader->put_Updates(updates));
    Watch watch;
    watch.count = number<LONG>(updates, &IUpdateCollection::get_Count);
    Event done;
    DownloadProgressed progressed([&](IDownloadJob*, IDownloadProgressChangedCallbackArgs* args) {
        auto now = object(args, &IDownloadProgressChangedCallbackArgs::get_Progress);
        decimal(now.get(), &IDownloadProgress::get_TotalBytesToDownload);
        watch.progressed(number<LONG>(now.get(), &IDownloadProgress::get_CurrentUpdateIndex),
                         number<LONG>(now.get(), &IDownloadProgress::get_CurrentUpdatePercentComplete),
                         number<LONG>(now.get(), &IDownloadProgress::get_PercentComplete));
        return S_OK;
    });
    DownloadCompleted completed([&](IDownloadJob*, IDownloadCompletedCallbackArgs*) {
        watch.completed();
        done.set();
        return S_OK;
    });
    Com<IDownloadJob> job;
    MUST(downloader->BeginDownload(&progressed, &completed, Variant(), job.out()));
    if (!done.wait_for(120'000, apartment)) throw Failure{E_PENDING, "the download did not complete"};
    MUST(job->CleanUp());
    Com<IDownloadResult> result;
    MUST(downloader->EndDownload(job.get(), result.out()));
    fact("download.ResultCode", number<OperationResultCode>(result.get(), &IDownloadResult::get_ResultCode));
    fact("download.HResult", hex(number<LONG>(result.get(), &IDownloadResult::get_HResult)));
    print_updates_results("download", updates, [&](LONG index, const std::string& at) {
        Com<IUpdateDownloadResult> one;
        MUST(result->GetUpdateResult(index, one.out()));
        fact(at + ".ResultCode", number<OperationResultCode>(one.get(), &IUpdateDownloadResult::get_ResultCode));
        fact(at + ".HResult", hex(number<LONG>(one.get(), &IUpdateDownloadResult::get_HResult)));
    });
    watch.print("download", true);
    fact("download.References", progressed.references() + completed.references());
    // The classical script asks the updates that it found before.
    print_updates_results("downloaded", updates, [&](LONG index, const std::string& at) {
        Com<IUpdate> update;
        MUST(updates->get_Item(index, update.out()));
        fact(at + ".IsDownloaded", truth(update.get(), &IUpdate::get_IsDownloaded));
    });
}

void print_installation(const std::string& what, IInstallationResult* result, IUpdateCollection* updates) {
    fact(what + ".ResultCode", number<OperationResultCode>(result, &IInstallationResult::get_ResultCode));
    fact(what + ".HResult", hex(number<LONG>(result, &IInstallationResult::get_HResult)));
    fact(what + ".RebootRequired", truth(result, &IInstallationResult::get_RebootRequired));
    print_updates_results(what, updates, [&](LONG index, const std::string& at) {
        Com<IUpdateInstallationResult> one;
        MUST(result->GetUpdateResult(index, one.out()));
        fact(at + ".ResultCode", number<OperationResultCode>(one.get(), &IUpdateInstallationResult::get_ResultCode));
        fact(at + ".HResult", hex(number<LONG>(one.get(), &IUpdateInstallationResult::get_HResult)));
        fact(at + ".RebootRequired", truth(one.get(), &IUpdateInstallationResult::get_RebootRequired));
    });
}

enum class Way { Install, Uninstall };

void install(IUpdateSession* session, IUpdateCollection* updates, Way way) {
    std::string what = way == Way::Install ? "install" : "uninstall";
    Com<IUpdateInstaller> installer;
    MUST(session->CreateUpdateInstaller(installer.out()));
    MUST(installer->put_AllowSourcePrompts(VARIANT_FALSE));
    MUST(installer->put_Updates(updates));
    Watch watch;
    watch.count = number<LONG>(updates, &IUpdateCollection::get_Count);
    Event done;
    bool busy = false;
    InstallProgressed progressed([&](IInstallationJob*, IInstallationProgressChangedCallbackArgs* args) {
        auto now = object(args, &IInstallationProgressChangedCallbackArgs::get_Progress);
        LONG index = number<LONG>(now.get(), &IInstallationProgress::get_CurrentUpdateIndex);
        watch.progressed(index, number<LONG>(now.get(), &IInstallationProgress::get_CurrentUpdatePercentComplete),
                         number<LONG>(now.get(), &IInstallationProgress::get_PercentComplete));
        Com<IUpdateInstallationResult> one;
        MUST(now->GetUpdateResult(index, one.out()));
        if (watch.calls == 1) busy = truth(installer.get(), &IUpdateInstaller::get_IsBusy);
        return S_OK;
    });
    InstallCompleted completed([&](IInstallationJob*, IInstallationCompletedCallbackArgs*) {
        watch.completed();
        done.set();
        return S_OK;
    });
    Com<IInstallationJob> job;
    auto begin = way == Way::Install ? &IUpdateInstaller::BeginInstall : &IUpdateInstaller::BeginUninstall;
    auto end = way == Way::Install ? &IUpdateInstaller::EndInstall : &IUpdateInstaller::EndUninstall;
    must((installer.get()->*begin)(&progressed, &completed, Variant(L"state"), job.out()), "Begin");
    if (!done.wait_for(300'000, apartment)) throw Failure{E_PENDING, "the installation did not complete"};
    Com<IInstallationResult> result;
    must((installer.get()->*end)(job.get(), result.out()), "End");
    MUST(job->CleanUp());
    print_installation(what, result.get(), updates);
    watch.print(what, true);
    fact(what + ".BusyMeanwhile", busy);
    fact(what + ".References", progressed.references() + completed.references());
}

Com<IUpdateSession> new_session() {
    auto session = create<IUpdateSession>(__uuidof(UpdateSession));
    MUST(session->put_ClientApplicationID(Bstr(L"story")));
    return session;
}

Com<IUpdateSearcher> new_searcher(IUpdateSession* session) {
    Com<IUpdateSearcher> searcher;
    MUST(session->CreateUpdateSearcher(searcher.out()));
    return searcher;
}

void print_history(IUpdateSearcher* searcher) {
    LONG total = 0;
    MUST(searcher->GetTotalHistoryCount(&total));
    fact("history.Total", total);
    if (total == 0) return;
    Com<IUpdateHistoryEntryCollection> entries;
    MUST(searcher->QueryHistory(0, total, entries.out()));
    walk_history(entries.get());
}

void print_machine() {
    Com<IUpdateServiceCollection> services;
    MUST(create<IUpdateServiceManager2>(__uuidof(UpdateServiceManager))->get_Services(services.out()));
    walk_services(services.get());
    walk_settings(create<IAutomaticUpdates>(__uuidof(AutomaticUpdates)).get());
    walk_system(create<ISystemInformation>(__uuidof(SystemInformation)).get(),
                create<IWindowsUpdateAgentInfo>(__uuidof(WindowsUpdateAgentInfo)).get());
}

void put_hour(LONG hour) {
    auto settings = object(create<IAutomaticUpdates>(__uuidof(AutomaticUpdates)).get(), &IAutomaticUpdates::get_Settings);
    MUST(settings->put_ScheduledInstallationTime(hour));
    MUST(settings->Save());
}

void walk() {
    auto session = new_session();
    auto searcher = new_searcher(session.get());
    Com<ISearchResult> result;
    MUST(searcher->Search(Bstr(L"IsInstalled=0 and IsHidden=0"), result.out()));
    walk_search_result(result.get());
    print_history(searcher.get());
    print_machine();
}

Com<IUpdateCollection> one_of(IUpdate* update) {
    auto chosen = create<IUpdateCollection>(__uuidof(UpdateCollection));
    // Native clients do not ask for the index.
    MUST(chosen->Add(update, nullptr));
    return chosen;
}

void work() {
    auto session = new_session();
    auto searcher = new_searcher(session.get());
    auto result = search_asynchronously(searcher.get(), L"IsInstalled=0 and IsHidden=0");
    walk_search_result(result.get());
    auto updates = object(result.get(), &ISearchResult::get_Updates);
    for (auto& update : items<IUpdate, IUpdateCollection>(updates.get())) {
        MUST(update->AcceptEula());
        fact("accepted." + id_of(update.get()) + ".EulaAccepted", truth(update.get(), &IUpdate::get_EulaAccepted));
    }
    download(session.get(), updates.get());
    install(session.get(), updates.get(), Way::Install);

    // The first in the alphabet that can be taken back.
    auto installed = items<IUpdate, IUpdateCollection>(found(searcher.get(), L"IsInstalled=1").get());
    std::sort(installed.begin(), installed.end(), [](auto& a, auto& b) {
        return text(a.get(), &IUpdate::get_Title) < text(b.get(), &IUpdate::get_Title);
    });
    auto back = std::find_if(installed.begin(), installed.end(), [](auto& one) { return truth(one.get(), &IUpdate::get_IsUninstallable); });
    if (back == installed.end()) throw Failure{E_UNEXPECTED, "nothing can be taken back"};
    fact("uninstall.Title", text(back->get(), &IUpdate::get_Title));
    install(session.get(), one_of(back->get()).get(), Way::Uninstall);
    print_history(searcher.get());
    put_hour(6);
    print_machine();
}

// A download of so little may well be done before it could be stopped, and so may single updates: all succeeded, or aborted it is.
bool is_consistent(IDownloadResult* result, IUpdateCollection* updates) {
    bool all = true;
    LONG index = 0;
    for (auto& update : items<IUpdate, IUpdateCollection>(updates)) {
        Com<IUpdateDownloadResult> one;
        MUST(result->GetUpdateResult(index++, one.out()));
        auto code = number<OperationResultCode>(one.get(), &IUpdateDownloadResult::get_ResultCode);
        if (code != orcAborted && (code != orcSucceeded || !truth(update.get(), &IUpdate::get_IsDownloaded))) return false;
        all &= code == orcSucceeded;
    }
    return number<OperationResultCode>(result, &IDownloadResult::get_ResultCode) == (all ? orcSucceeded : orcAborted);
}

void abort_both(const Bstr& gate) {
    auto session = new_session();
    auto searcher = new_searcher(session.get());
    auto updates = create<IUpdateCollection>(__uuidof(UpdateCollection));
    for (auto& update : items<IUpdate, IUpdateCollection>(found(searcher.get(), L"IsInstalled=0 and IsHidden=0").get())) {
        MUST(update->AcceptEula());
        // The one that waits goes first.
        if (text(update.get(), &IUpdate::get_Title).find("docfinder") == 0) MUST(updates->Insert(0, update.get()));
        else MUST(updates->Add(update.get(), nullptr));
    }
    {
        Com<IUpdateDownloader> downloader;
        MUST(session->CreateUpdateDownloader(downloader.out()));
        MUST(downloader->put_Updates(updates.get()));
        HRESULT asked = E_PENDING;
        DownloadProgressed progressed([&](IDownloadJob* job, IDownloadProgressChangedCallbackArgs*) {
            if (asked == E_PENDING) asked = job->RequestAbort();
            return S_OK;
        });
        Com<IDownloadJob> job;
        MUST(downloader->BeginDownload(&progressed, nullptr, Variant(), job.out()));
        Com<IDownloadResult> result;
        MUST(downloader->EndDownload(job.get(), result.out()));
        fact("abort.download.RequestAbort", hex(asked));
        fact("abort.download.Consistent", is_consistent(result.get(), updates.get()));
    }
    Com<IUpdateDownloader> downloader;
    MUST(session->CreateUpdateDownloader(downloader.out()));
    MUST(downloader->put_Updates(updates.get()));
    Com<IDownloadResult> downloaded;
    MUST(downloader->Download(downloaded.out()));
    fact("abort.again.ResultCode", number<OperationResultCode>(downloaded.get(), &IDownloadResult::get_ResultCode));

    Com<IUpdateInstaller> installer;
    MUST(session->CreateUpdateInstaller(installer.out()));
    MUST(installer->put_Updates(updates.get()));
    Watch watch;
    watch.count = number<LONG>(updates.get(), &IUpdateCollection::get_Count);
    HRESULT asked = E_PENDING;
    Event done;
    InstallProgressed progressed([&](IInstallationJob* job, IInstallationProgressChangedCallbackArgs* args) {
        auto now = object(args, &IInstallationProgressChangedCallbackArgs::get_Progress);
        watch.progressed(number<LONG>(now.get(), &IInstallationProgress::get_CurrentUpdateIndex),
                         number<LONG>(now.get(), &IInstallationProgress::get_CurrentUpdatePercentComplete),
                         number<LONG>(now.get(), &IInstallationProgress::get_PercentComplete));
        if (asked != E_PENDING) return S_OK;
        asked = job->RequestAbort();
        if (!DeleteFileW(gate)) throw Failure{E_UNEXPECTED, "there is no gate"};
        return S_OK;
    });
    InstallCompleted completed([&](IInstallationJob*, IInstallationCompletedCallbackArgs*) {
        watch.completed();
        done.set();
        return S_OK;
    });
    Com<IInstallationJob> job;
    MUST(installer->BeginInstall(&progressed, &completed, Variant(), job.out()));
    if (!done.wait_for(120'000, apartment)) throw Failure{E_PENDING, "the aborted installation did not complete"};
    Com<IInstallationResult> result;
    MUST(installer->EndInstall(job.get(), result.out()));
    MUST(job->CleanUp());
    fact("abort.install.RequestAbort", hex(asked));
    print_installation("abort.install", result.get(), updates.get());
    watch.print("abort.install", false);
}

}  // namespace

int main(int count, char** words) {
    try {
        if (count < 3) throw Failure{E_INVALIDARG, "usage: story mta|sta walk|work|abort [GATE]"};
        apartment = apartment_of(words[1]);
        main_thread = GetCurrentThreadId();
        Initialised initialised(apartment);
        std::string wish = words[2];
        if (wish == "walk") walk();
        else if (wish == "work") work();
        else if (wish == "abort" && count == 4) abort_both(Bstr(std::string(words[3])));
        else throw Failure{E_INVALIDARG, "no such story"};
        fact("end", "good");
        return 0;
    } catch (const Failure& failure) {
        fact("end", failure.what + " " + hex(failure.code));
        return 1;
    }
}
