// Bridges and agents that are not what they should be. Needs `fake_bridge`; see there what the words mean. Whatever happens, a call
// ends with a code, soon, and the next call after a good word succeeds.
#include "contract.h"

#include <psapi.h>

constexpr HRESULT WU_E_UNEXPECTED = static_cast<HRESULT>(0x80240FFF);

void tell(const char* word) {
    std::wstring path = file(setting.control), made = path + L".new";
    HANDLE handle = CreateFileW(made.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, 0, nullptr);
    if (handle == INVALID_HANDLE_VALUE) throw Failure{E_FAIL, "the control file cannot be written"};
    DWORD written = 0;
    WriteFile(handle, word, static_cast<DWORD>(strlen(word)), &written, nullptr);
    CloseHandle(handle);
    if (!MoveFileExW(made.c_str(), path.c_str(), MOVEFILE_REPLACE_EXISTING)) throw Failure{E_FAIL, "MoveFileEx"};
    for (int i = 0; i < 500; ++i) {
        if (GetFileAttributesW(path.c_str()) == INVALID_FILE_ATTRIBUTES) return;
        Sleep(20);
    }
    throw Failure{E_FAIL, "fake_bridge does not obey"};
}

namespace {

struct Trouble {
    explicit Trouble(const char* word) { tell(word); }
    ~Trouble() { tell("good"); }
};

HRESULT search_code() {
    Com<ISearchResult> result;
    HRESULT code = searcher()->Search(Bstr(L"IsInstalled=0"), result.out());
    if (FAILED(code) && result) throw Failure{E_FAIL, "a result beside a failure"};
    return code;
}

// Calls fail with that code, in time; afterwards all is well.
void troubled(const char* word, HRESULT expected) {
    SAME(search_code(), S_OK);
    auto update = pending(1)[0];
    ready({update});
    ULONGLONG begun = GetTickCount64();
    {
        Trouble trouble(word);
        SAME(search_code(), expected);
        // A job says the same at its end, and completes.
        Search search;
        int calls = 0;
        SearchCompleted listener([&](auto*, auto*) { return ++calls, S_OK; });
        Com<ISearchJob> job;
        CODE(search.begin(&listener, Variant(), job.out()), S_OK);
        Com<ISearchResult> result;
        SAME(search.end(job.get(), result.out()), expected);
        SAME(calls, 1);
        SAME(listener.references(), 0ul);
        LONG total = 0;
        CODE(searcher()->GetTotalHistoryCount(&total), expected);
        VARIANT_BOOL downloaded = 0;
        CODE(update->get_IsDownloaded(&downloaded), expected);
        // What the search told is still here.
        CHECK(!title(update.get()).empty());
    }
    CHECK(GetTickCount64() - begun < 30'000);
    SAME(search_code(), S_OK);
}

}  // namespace

TEST("hostile", a_wrong_token) { troubled("wrong-token", WU_E_SERVICE_STOP); }
TEST("hostile", no_bridge_file) { troubled("no-file", WU_E_SERVICE_STOP); }
TEST("hostile", nobody_at_the_port) { troubled("nobody", WU_E_SERVICE_STOP); }
TEST("hostile", an_imposter_at_the_port) { troubled("imposter", WU_E_SERVICE_STOP); }
TEST("hostile", connections_are_closed) { troubled("deaf", WU_E_SERVICE_STOP); }
TEST("hostile", answers_are_no_http) { troubled("garbage", WU_E_UNEXPECTED); }
TEST("hostile", answers_are_cut_off) { troubled("truncated", WU_E_SERVICE_STOP); }
TEST("hostile", answers_are_no_json) { troubled("not-json", WU_E_UNEXPECTED); }
TEST("hostile", answers_are_other_json) { troubled("other-json", WU_E_UNEXPECTED); }

TEST("hostile", headers_without_end) { troubled("endless", WU_E_UNEXPECTED); }

TEST("hostile", an_answer_of_twenty_gigabytes_is_not_swallowed) {
    PROCESS_MEMORY_COUNTERS before{}, after{};
    GetProcessMemoryInfo(GetCurrentProcess(), &before, sizeof before);
    {
        Trouble trouble("oversized");
        ULONGLONG begun = GetTickCount64();
        CHECK(FAILED(search_code()));
        CHECK(GetTickCount64() - begun < 130'000);
    }
    GetProcessMemoryInfo(GetCurrentProcess(), &after, sizeof after);
    SAME(search_code(), S_OK);
    CHECK(after.PeakPagefileUsage < before.PeakPagefileUsage + (600u << 20));
}

// The agent ends in the middle of an installation and comes back: the job goes on, and its client sees it through.
TEST("hostile", the_agent_goes_and_comes_back_in_mid_job) {
    Gate gate;
    auto updates = pending(1);
    updates.insert(updates.begin(), slow());
    Install install(ready(updates));
    Event under_way;
    int completions = 0;
    LONG last = 0;
    bool falls = false;
    InstallProgressed progressed([&](IInstallationJob*, IInstallationProgressChangedCallbackArgs* args) {
        LONG percent = number<LONG>(object(args, &IInstallationProgressChangedCallbackArgs::get_Progress).get(),
                                    &IInstallationProgress::get_PercentComplete);
        falls |= percent < last;
        last = percent;
        under_way.set();
        return S_OK;
    });
    InstallCompleted completed([&](auto*, auto*) { return ++completions, S_OK; });
    Com<IInstallationJob> job;
    MUST(install.front->BeginInstall(&progressed, &completed, Variant(), job.out()));
    CHECK(under_way.wait_for(30'000, setting.apartment));
    tell("restart");
    gate.open();
    CHECK(!truth(job.get(), &IInstallationJob::get_IsCompleted));
    Com<IInstallationResult> result;
    MUST(install.front->EndInstall(job.get(), result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    SAME(completions, 1);
    SAME(last, 100l);
    CHECK(!falls);
    SAME(search_code(), S_OK);
}

TEST("hostile", a_cut_connection_in_mid_job_is_made_again) {
    Gate gate;
    Install install(ready({slow()}));
    Event under_way;
    int completions = 0;
    InstallProgressed progressed([&](auto*, auto*) { return under_way.set(), S_OK; });
    InstallCompleted completed([&](auto*, auto*) { return ++completions, S_OK; });
    Com<IInstallationJob> job;
    MUST(install.front->BeginInstall(&progressed, &completed, Variant(), job.out()));
    CHECK(under_way.wait_for(30'000, setting.apartment));
    tell("cut");
    Sleep(500);
    CHECK(!truth(job.get(), &IInstallationJob::get_IsCompleted));
    gate.open();
    Com<IInstallationResult> result;
    MUST(install.front->EndInstall(job.get(), result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    SAME(completions, 1);
}

// For a minute the agent may come back (R29). Then what runs is given up, here only, and what would begin is not begun.
TEST("hostile", an_agent_that_is_gone_for_good_is_given_up_after_a_minute) {
    Gate gate;
    Install install(ready({slow()})), other(collection(pending(1)));
    Event under_way;
    int completions = 0;
    InstallProgressed progressed([&](auto*, auto*) { return under_way.set(), S_OK; });
    InstallCompleted completed([&](auto*, auto*) { return ++completions, S_OK; });
    Com<IInstallationJob> job, none;
    MUST(install.front->BeginInstall(&progressed, &completed, Variant(), job.out()));
    CHECK(under_way.wait_for(30'000, setting.apartment));
    Com<IInstallationResult> result;
    {
        Trouble trouble("nobody");
        ULONGLONG begun = GetTickCount64();
        CODE(other.front->BeginInstall(nullptr, nullptr, Variant(), none.out()), WU_E_SERVICE_STOP);
        CHECK(!none);
        MUST(install.front->EndInstall(job.get(), result.out()));
        CHECK(GetTickCount64() - begun < 150'000);
    }
    SAME(completions, 1);
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcAborted));
    SAME(static_cast<HRESULT>(number<LONG>(result.get(), &IInstallationResult::get_HResult)), WU_E_SERVICE_STOP);
    // On the machine it went on, and history tells how.
    gate.open();
    CHECK(becomes(60'000, [] {
        return number<OperationResultCode>(newest_entry().get(), &IUpdateHistoryEntry::get_ResultCode) == orcSucceeded;
    }));
}

// Updates here come with their licence accepted; on the way this bridge says otherwise, until somebody accepts it at the agent.
TEST("hostile", a_licence_is_accepted_at_the_agent) {
    Trouble trouble("licence");
    auto update = pending(1)[0];
    CHECK(!truth(update.get(), &IUpdate::get_EulaAccepted));
    CODE(update->AcceptEula(), S_OK);
    CHECK(truth(update.get(), &IUpdate::get_EulaAccepted));
}
