// What is special to downloads and installations: progress, results, aborting, one at a time on a machine.
#include "contract.h"

#include <algorithm>

namespace {

HRESULT code_of_update(IInstallationResult* result, LONG index) {
    Com<IUpdateInstallationResult> one;
    MUST(result->GetUpdateResult(index, one.out()));
    return number<LONG>(one.get(), &IUpdateInstallationResult::get_HResult);
}

int outcome_of_update(IInstallationResult* result, LONG index) {
    Com<IUpdateInstallationResult> one;
    MUST(result->GetUpdateResult(index, one.out()));
    return number<OperationResultCode>(one.get(), &IUpdateInstallationResult::get_ResultCode);
}

// A job that is under way and held up by the gate.
struct Held {
    Gate gate;
    Install install;
    Com<IInstallationJob> job;
    Event under_way;
    InstallProgressed progressed{[this](auto*, auto*) { return under_way.set(), S_OK; }};
    explicit Held(size_t others = 0) : install(ready(with(others))) {
        MUST(install.front->BeginInstall(&progressed, nullptr, Variant(), job.out()));
    }
    static std::vector<Com<IUpdate>> with(size_t others) {
        auto updates = pending(others);
        updates.insert(updates.begin(), slow());
        return updates;
    }
    Com<IInstallationResult> end() {
        gate.open();
        Com<IInstallationResult> result;
        MUST(install.front->EndInstall(job.get(), result.out()));
        return result;
    }
    ~Held() {
        gate.open();
        Com<IInstallationResult> result;
        if (job) install.front->EndInstall(job.get(), result.out());
    }
};

struct Seen {
    LONG index, current, percent;
    int outcome;
};

// Pattern 3 of published clients: begin, look how far it is until it is done, end.
template <class Progress, class Family>
void polled(Family family) {
    Com<typename Family::Job> job;
    MUST(family.begin(nullptr, Variant(), job.out()));
    LONG last = 0;
    bool done = false, falls = false;
    CHECK(becomes(60'000, [&] {
        done = truth(job.get(), &Family::Job::get_IsCompleted);
        Com<Progress> now;
        MUST(job->GetProgress(now.out()));
        LONG percent = number<LONG>(now.get(), &Progress::get_PercentComplete);
        falls |= percent < last;
        last = percent;
        return done;
    }));
    SAME(last, 100l);
    CHECK(!falls);
    Com<typename Family::Result> result;
    MUST(family.end(job.get(), result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
}

}  // namespace

TEST("installing", progress_obeys_its_law) {
    Install install(4);
    std::vector<Seen> seen;
    std::vector<Com<IInstallationProgress>> kept;
    // Told before BeginInstall has returned: in the multithreaded apartment nobody outside can tell that from right after.
    bool thread = true, early = false, overlaps = false;
    std::atomic<int> inside{0};
    Event returned;
    int completions = 0, after = 0;
    InstallProgressed progressed([&](IInstallationJob* job, IInstallationProgressChangedCallbackArgs* args) {
        overlaps |= ++inside > 1;
        if (setting.apartment == Apartment::Single) early |= !returned.is_set();
        thread &= on_its_thread();
        after += completions;
        auto now = object(args, &IInstallationProgressChangedCallbackArgs::get_Progress);
        LONG index = number<LONG>(now.get(), &IInstallationProgress::get_CurrentUpdateIndex);
        Com<IUpdateInstallationResult> one;
        MUST(now->GetUpdateResult(index, one.out()));
        seen.push_back({index, number<LONG>(now.get(), &IInstallationProgress::get_CurrentUpdatePercentComplete),
                        number<LONG>(now.get(), &IInstallationProgress::get_PercentComplete),
                        number<OperationResultCode>(one.get(), &IUpdateInstallationResult::get_ResultCode)});
        kept.push_back(now);
        MUST(job->GetProgress(now.out()));
        --inside;
        return S_OK;
    });
    InstallCompleted completed([&](auto*, auto*) {
        overlaps |= ++inside > 1;
        ++completions;
        --inside;
        return S_OK;
    });
    Com<IInstallationJob> job;
    MUST(install.front->BeginInstall(&progressed, &completed, Variant(), job.out()));
    returned.set();
    Com<IInstallationResult> result;
    MUST(install.front->EndInstall(job.get(), result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    SAME(completions, 1);
    SAME(after, 0);
    CHECK(!overlaps);
    CHECK(thread);
    CHECK(!early);
    CHECK(seen.size() >= 4);
    SAME(seen.back().percent, 100l);
    for (size_t i = 0; i < seen.size(); ++i) {
        CHECK(seen[i].index >= 0 && seen[i].index < 4);
        CHECK(seen[i].current >= 0 && seen[i].current <= 100);
        CHECK(i == 0 || seen[i].percent >= seen[i - 1].percent);
        // No notice tells of an update that has not begun (R9).
        if (seen[i].outcome == orcNotStarted)
            throw Failure{E_FAIL, format("notice %d of %d has index %ld, %ld %% of it, %ld %% of all, result code 0", static_cast<int>(i + 1),
                                         static_cast<int>(seen.size()), seen[i].index, seen[i].current, seen[i].percent)};
    }
    for (LONG update = 0; update < 4; ++update)
        CHECK(std::any_of(seen.begin(), seen.end(), [&](const Seen& one) { return one.index == update && one.outcome == orcSucceeded; }));
    // What was kept has not changed, and lives longer than the job.
    job = Com<IInstallationJob>();
    for (size_t i = 0; i < kept.size(); ++i)
        SAME(number<LONG>(kept[i].get(), &IInstallationProgress::get_PercentComplete), seen[i].percent);
}

TEST("installing", download_progress_counts_bytes) {
    Download download(3);
    bool falls = false, wrong = false;
    unsigned long long last = 0, total = 0;
    LONG calls = 0, percent = 0;
    auto bytes = [](IDownloadProgress* now, auto get) { return strtoull(decimal(now, get).c_str(), nullptr, 10); };
    DownloadProgressed progressed([&](IDownloadJob*, IDownloadProgressChangedCallbackArgs* args) {
        auto now = object(args, &IDownloadProgressChangedCallbackArgs::get_Progress);
        auto done = bytes(now.get(), &IDownloadProgress::get_TotalBytesDownloaded);
        total = bytes(now.get(), &IDownloadProgress::get_TotalBytesToDownload);
        falls |= done < last;
        last = done;
        wrong |= bytes(now.get(), &IDownloadProgress::get_CurrentUpdateBytesDownloaded) >
                 bytes(now.get(), &IDownloadProgress::get_CurrentUpdateBytesToDownload);
        DownloadPhase phase = number<DownloadPhase>(now.get(), &IDownloadProgress::get_CurrentUpdateDownloadPhase);
        wrong |= phase < dphInitializing || phase > dphVerifying;
        percent = number<LONG>(now.get(), &IDownloadProgress::get_PercentComplete);
        ++calls;
        return S_OK;
    });
    Com<IDownloadJob> job;
    MUST(download.front->BeginDownload(&progressed, nullptr, Variant(), job.out()));
    Com<IDownloadResult> result;
    MUST(download.front->EndDownload(job.get(), result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    CHECK(calls >= 3);
    SAME(percent, 100l);
    CHECK(!falls);
    CHECK(!wrong);
    CHECK(total > 0 && last == total);
    Com<IDownloadProgress> final_;
    MUST(job->GetProgress(final_.out()));
    SAME(number<LONG>(final_.get(), &IDownloadProgress::get_PercentComplete), 100l);
    // Again: it is here already.
    Com<IDownloadResult> again;
    MUST(download.front->Download(again.out()));
    SAME(static_cast<int>(code_of(again)), static_cast<int>(orcSucceeded));
    Com<IUpdateDownloadResult> one;
    MUST(again->GetUpdateResult(0, one.out()));
    SAME(static_cast<HRESULT>(number<LONG>(one.get(), &IUpdateDownloadResult::get_HResult)), WU_S_ALREADY_DOWNLOADED);
    CODE(again->GetUpdateResult(3, one.out()), WU_E_INVALIDINDEX);
    CODE(again->GetUpdateResult(-1, one.out()), WU_E_INVALIDINDEX);
}

TEST("installing", failing_callbacks_are_called_on) {
    Install install(3);
    int calls = 0, completions = 0;
    InstallProgressed progressed([&](auto*, auto*) { return ++calls, E_FAIL; });
    InstallCompleted completed([&](auto*, auto*) { return ++completions, E_FAIL; });
    Com<IInstallationJob> job;
    MUST(install.front->BeginInstall(&progressed, &completed, Variant(), job.out()));
    Com<IInstallationResult> result;
    MUST(install.front->EndInstall(job.get(), result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    CHECK(calls >= 3);
    SAME(completions, 1);
}

TEST("installing", a_disconnected_callback_is_called_no_more) {
    Install install(3);
    int calls = 0;
    InstallProgressed progressed([&](auto*, auto*) { return ++calls, RPC_E_DISCONNECTED; });
    Com<IInstallationJob> job;
    MUST(install.front->BeginInstall(&progressed, nullptr, Variant(), job.out()));
    Com<IInstallationResult> result;
    MUST(install.front->EndInstall(job.get(), result.out()));
    SAME(calls, 1);
}

TEST("installing", clean_up_inside_a_progress_callback_silences_the_rest) {
    Install install(3);
    int calls = 0, completions = 0;
    HRESULT code = E_PENDING;
    InstallProgressed progressed([&](IInstallationJob* job, auto*) {
        if (++calls == 1) code = job->CleanUp();
        return S_OK;
    });
    InstallCompleted completed([&](auto*, auto*) { return ++completions, S_OK; });
    Com<IInstallationJob> job;
    MUST(install.front->BeginInstall(&progressed, &completed, Variant(), job.out()));
    Com<IInstallationResult> result;
    MUST(install.front->EndInstall(job.get(), result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    SAME(code, WU_S_MARKED_FOR_DISCONNECT);
    SAME(calls, 1);
    SAME(completions, 0);
    SAME(progressed.references() + completed.references(), 0ul);
}

TEST("installing", ending_inside_a_progress_callback_works) {
    Install install(2);
    HRESULT code = E_PENDING;
    Com<IInstallationResult> result;
    Event done;
    InstallProgressed progressed([&](IInstallationJob* job, auto*) {
        if (code == E_PENDING) code = install.front->EndInstall(job, result.out());
        return S_OK;
    });
    InstallCompleted completed([&](auto*, auto*) { return done.set(), S_OK; });
    Com<IInstallationJob> job;
    MUST(install.front->BeginInstall(&progressed, &completed, Variant(), job.out()));
    CHECK(done.wait_for(60'000, setting.apartment));
    SAME(code, S_OK);
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    CHECK(becomes(20'000, [&] { return progressed.references() + completed.references() == 0; }));
}

// The first callback does not return before the work of three updates is done.
TEST("installing", a_slow_callback_delays_no_work) {
    Install install(3);
    int calls = 0;
    bool done = false;
    InstallProgressed progressed([&](IInstallationJob* job, auto*) {
        if (++calls > 1) return S_OK;
        for (ULONGLONG end = GetTickCount64() + 60'000; !done && GetTickCount64() < end; Sleep(20))
            done = truth(job, &IInstallationJob::get_IsCompleted);
        return S_OK;
    });
    Com<IInstallationJob> job;
    MUST(install.front->BeginInstall(&progressed, nullptr, Variant(), job.out()));
    Com<IInstallationResult> result;
    MUST(install.front->EndInstall(job.get(), result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    // The end waits for callbacks for ten seconds at the most (R22), and `progressed` has to outlive them all.
    MUST(job->CleanUp());
    CHECK(done);
    SAME(progressed.references(), 0ul);
}

TEST("installing", one_at_a_time_on_a_machine) {
    auto some = pending(1);
    auto other_updates = ready(some);
    Held held;
    CHECK(held.under_way.wait_for(30'000, setting.apartment));
    CHECK(truth(held.install.front.get(), &IUpdateInstaller::get_IsBusy));
    Com<IUpdateInstaller> other;
    MUST(session()->CreateUpdateInstaller(other.out()));
    CHECK(truth(other.get(), &IUpdateInstaller::get_IsBusy));
    MUST(other->put_Updates(other_updates.get()));
    Com<IInstallationJob> job;
    CODE(other->BeginInstall(nullptr, nullptr, Variant(), job.out()), WU_E_INSTALL_NOT_ALLOWED);
    CHECK(!job);
    Com<IInstallationResult> none;
    CODE(other->Install(none.out()), WU_E_INSTALL_NOT_ALLOWED);
    CODE(held.install.front->BeginInstall(nullptr, nullptr, Variant(), job.out()), WU_E_OPERATIONINPROGRESS);
    // A setter while its job runs is allowed and does not touch it.
    CODE(held.install.front->put_Updates(other_updates.get()), S_OK);
    SAME(number<LONG>(object(held.job.get(), &IInstallationJob::get_Updates).get(), &IUpdateCollection::get_Count), 1l);
    // Searching goes on meanwhile.
    Com<ISearchResult> result;
    CODE(searcher()->Search(Bstr(L"IsInstalled=0"), result.out()), S_OK);
    auto ended = held.end();
    SAME(static_cast<int>(code_of(ended)), static_cast<int>(orcSucceeded));
    CHECK(becomes(20'000, [&] { return !truth(other.get(), &IUpdateInstaller::get_IsBusy); }));
}

TEST("installing", progress_during_the_run_tells_what_is_and_what_is_not_yet) {
    Held held(1);
    CHECK(held.under_way.wait_for(30'000, setting.apartment));
    CHECK(!truth(held.job.get(), &IInstallationJob::get_IsCompleted));
    Com<IInstallationProgress> now;
    MUST(held.job->GetProgress(now.out()));
    CHECK(number<LONG>(now.get(), &IInstallationProgress::get_PercentComplete) < 100);
    LONG before = number<LONG>(now.get(), &IInstallationProgress::get_PercentComplete);
    Com<IUpdateInstallationResult> one;
    MUST(now->GetUpdateResult(0, one.out()));
    CHECK(number<OperationResultCode>(one.get(), &IUpdateInstallationResult::get_ResultCode) <= orcInProgress);
    CODE(now->GetUpdateResult(2, one.out()), WU_E_INVALIDINDEX);
    auto result = held.end();
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    // The old one is frozen, a new one is not.
    SAME(number<LONG>(now.get(), &IInstallationProgress::get_PercentComplete), before);
    MUST(held.job->GetProgress(now.out()));
    SAME(number<LONG>(now.get(), &IInstallationProgress::get_PercentComplete), 100l);
    CODE(result->GetUpdateResult(2, one.out()), WU_E_INVALIDINDEX);
}

// What is under way is finished, what has not begun is not begun (R26). On this machine each update is a run of its own, and the
// first one cannot end before the request was made.
TEST("installing", aborting_from_a_progress_callback_stops_what_has_not_begun) {
    Gate gate;
    auto updates = pending(7);
    updates.insert(updates.begin(), slow());
    Install install(ready(updates));
    HRESULT asked = E_PENDING, again = E_PENDING;
    int completions = 0;
    InstallProgressed progressed([&](IInstallationJob* job, auto*) {
        if (asked != E_PENDING) return S_OK;
        asked = job->RequestAbort();
        again = job->RequestAbort();
        gate.open();
        return S_OK;
    });
    InstallCompleted completed([&](auto*, auto*) { return ++completions, S_OK; });
    Com<IInstallationJob> job;
    MUST(install.front->BeginInstall(&progressed, &completed, Variant(), job.out()));
    Com<IInstallationResult> result;
    MUST(install.front->EndInstall(job.get(), result.out()));
    SAME(completions, 1);
    SAME(asked, S_OK);
    SAME(again, S_OK);
    int first = outcome_of_update(result.get(), 0);
    CHECK(first == orcSucceeded || first == orcAborted);
    for (LONG index = 1; index < 8; ++index) {
        SAME(outcome_of_update(result.get(), index), static_cast<int>(orcAborted));
        SAME(code_of_update(result.get(), index), WU_E_CALL_CANCELLED);
    }
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcAborted));
    SAME(static_cast<HRESULT>(number<LONG>(result.get(), &IInstallationResult::get_HResult)), WU_E_CALL_CANCELLED);
    // Too late for anything, and no failure.
    CODE(job->RequestAbort(), S_OK);
}

// Once the last update is in the package manager's hands it is finished, and the request says so.
TEST("installing", aborting_is_refused_where_nothing_could_be_stopped) {
    Held held;
    CHECK(becomes(30'000, [&] {
        Com<IInstallationProgress> now;
        MUST(held.job->GetProgress(now.out()));
        return number<LONG>(now.get(), &IInstallationProgress::get_PercentComplete) > 0;
    }));
    CODE(held.job->RequestAbort(), WU_E_COULDNOTCANCEL);
    auto result = held.end();
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    SAME(code_of_update(result.get(), 0), S_OK);
}

TEST("installing", an_installation_does_not_download) {
    Install install(collection({not_downloaded()}));
    Com<IInstallationResult> result;
    CODE(install.front->Install(result.out()), S_OK);
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcFailed));
    SAME(static_cast<HRESULT>(number<LONG>(result.get(), &IInstallationResult::get_HResult)), WU_E_ALL_UPDATES_FAILED);
    SAME(code_of_update(result.get(), 0), WU_E_DM_NOTDOWNLOADED);
}

TEST("installing", what_is_installed_is_installed_already) {
    auto updates = ready(pending(1));
    Install first(updates), second(updates);
    Com<IInstallationResult> result;
    MUST(first.front->Install(result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    MUST(second.front->Install(result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    SAME(code_of_update(result.get(), 0), WU_S_ALREADY_INSTALLED);
}

// R38: what is not there is gone already.
TEST("installing", what_was_not_installed_need_not_be_taken_back) {
    Com<IUpdateInstaller> installer;
    MUST(session()->CreateUpdateInstaller(installer.out()));
    MUST(installer->put_Updates(collection(pending(1)).get()));
    Com<IInstallationResult> result;
    CODE(installer->Uninstall(result.out()), S_OK);
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    SAME(code_of_update(result.get(), 0), WU_S_ALREADY_UNINSTALLED);
}

// A job's Updates are the very objects that were put.
TEST("installing", a_job_s_updates_are_the_caller_s) {
    Install install(2);
    Com<IInstallationJob> job;
    MUST(install.begin(nullptr, Variant(), job.out()));
    auto updates = object(job.get(), &IInstallationJob::get_Updates);
    CHECK(truth(updates.get(), &IUpdateCollection::get_ReadOnly));
    for (LONG index = 0; index < 2; ++index) {
        Com<IUpdate> put, got;
        MUST(install.updates->get_Item(index, put.out()));
        MUST(updates->get_Item(index, got.out()));
        SAME(identity(got.get()), identity(put.get()));
    }
    Com<IInstallationResult> result;
    MUST(install.end(job.get(), result.out()));
}

TEST("installing", an_installation_may_be_polled_and_ended) { polled<IInstallationProgress>(Install(2)); }

TEST("installing", a_download_may_be_polled_and_ended) { polled<IDownloadProgress>(Download(2)); }

// Pattern 5: nobody listens, holds the job or ends it. It is done all the same, and history tells so, of this update alone if asked.
TEST("installing", an_installation_that_nobody_holds_is_done) {
    auto update = pending(1)[0];
    auto newest = session().as<IUpdateSession3>();
    Bstr criteria("UpdateID='" + text(object(update.get(), &IUpdate::get_Identity).get(), &IUpdateIdentity::get_UpdateID) + "'");
    Com<IUpdateHistoryEntryCollection> entries;
    auto installations = [&] {
        int met = 0;
        MUST(newest->QueryHistory(criteria, 0, 100, entries.out()));
        for (auto& entry : items<IUpdateHistoryEntry, IUpdateHistoryEntryCollection>(entries.get())) {
            SAME(text(entry.get(), &IUpdateHistoryEntry::get_Title), title(update.get()));
            if (number<UpdateOperation>(entry.get(), &IUpdateHistoryEntry::get_Operation) != uoInstallation) continue;
            met += number<OperationResultCode>(entry.get(), &IUpdateHistoryEntry::get_ResultCode) == orcSucceeded;
        }
        return met;
    };
    int before = installations();
    {
        Install install(ready({update}));
        Com<IInstallationJob> job;
        MUST(install.begin(nullptr, Variant(), job.out()));
    }
    CHECK(becomes(60'000, [&] { return installations() == before + 1; }));
}
