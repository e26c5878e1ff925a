// Other programs: twenty that want to install at once, of which one does and nineteen are told that somebody is at it; and one that
// dies while its job runs.
#include "contract.h"

namespace {

const char* const START = "Local\\contract-crowd-start";
const char* const READY = "Local\\contract-crowd-ready";
const char* const TRIED = "Local\\contract-crowd-tried";
constexpr int PROGRAMS = 20;
constexpr UINT DIED = 7;

// Starts this program with other words.
HANDLE started(const std::wstring& words) {
    std::wstring line = L"\"" + setting.program + L"\" " + words;
    STARTUPINFOW startup{};
    startup.cb = sizeof startup;
    PROCESS_INFORMATION made{};
    if (!CreateProcessW(nullptr, line.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr, &startup, &made))
        throw Failure{E_FAIL, "CreateProcess"};
    CloseHandle(made.hThread);
    return made.hProcess;
}

}  // namespace

// One of the twenty. Its exit code: 0 installed, 1 refused with WU_E_INSTALL_NOT_ALLOWED, 2 anything else.
int install_one() {
    Initialised initialised(Apartment::Many);
    try {
        Com<IUpdateInstaller> installer;
        MUST(session()->CreateUpdateInstaller(installer.out()));
        MUST(installer->put_Updates(collection({slow()}).get()));
        HANDLE ready = OpenSemaphoreA(SEMAPHORE_MODIFY_STATE, FALSE, READY), start = OpenEventA(SYNCHRONIZE, FALSE, START);
        HANDLE tried = OpenSemaphoreA(SEMAPHORE_MODIFY_STATE, FALSE, TRIED);
        if (!ready || !start || !tried) throw Failure{E_FAIL, "no crowd"};
        ReleaseSemaphore(ready, 1, nullptr);
        WaitForSingleObject(start, 60'000);
        Com<IInstallationJob> job;
        HRESULT begun = installer->BeginInstall(nullptr, nullptr, Variant(), job.out());
        ReleaseSemaphore(tried, 1, nullptr);
        if (begun == WU_E_INSTALL_NOT_ALLOWED) return 1;
        must(begun, "BeginInstall");
        Com<IInstallationResult> result;
        MUST(installer->EndInstall(job.get(), result.out()));
        return code_of(result) == orcSucceeded ? 0 : 2;
    } catch (const Failure& failure) {
        printf("  crowd: %s\n", failure.what.c_str());
        return 2;
    }
}

TEST_IN("endurance", In::Many, of_twenty_programs_one_installs) {
    Gate gate;
    ready({slow()});
    HANDLE here = CreateSemaphoreA(nullptr, 0, PROGRAMS, READY), start = CreateEventA(nullptr, TRUE, FALSE, START);
    HANDLE tried = CreateSemaphoreA(nullptr, 0, PROGRAMS, TRIED);
    std::vector<HANDLE> processes;
    for (int i = 0; i < PROGRAMS; ++i) processes.push_back(started(L"install-one"));
    auto all = [](HANDLE semaphore) {
        int arrived = 0;
        while (arrived < PROGRAMS && WaitForSingleObject(semaphore, 60'000) == WAIT_OBJECT_0) ++arrived;
        return arrived;
    };
    int arrived = all(here);
    SetEvent(start);
    // Nobody can be done before all have tried.
    int began = all(tried);
    gate.open();
    int counts[3] = {};
    for (HANDLE process : processes) {
        DWORD code = 2;
        if (WaitForSingleObject(process, 60'000) == WAIT_OBJECT_0) GetExitCodeProcess(process, &code);
        ++counts[code < 2 ? code : 2];
        CloseHandle(process);
    }
    CloseHandle(here);
    CloseHandle(tried);
    CloseHandle(start);
    SAME(arrived, PROGRAMS);
    SAME(began, PROGRAMS);
    SAME(format("%d installed, %d refused, %d else", counts[0], counts[1], counts[2]), std::string("1 installed, 19 refused, 0 else"));
}

// Its exit code is DIED if it could begin and was told of it.
int install_and_die(Apartment apartment) {
    Initialised initialised(apartment);
    try {
        Install install(collection({slow()}));
        InstallProgressed progressed([](auto*, auto*) { return TerminateProcess(GetCurrentProcess(), DIED), S_OK; });
        InstallCompleted completed([](auto*, auto*) { return S_OK; });
        Com<IInstallationJob> job;
        MUST(install.front->BeginInstall(&progressed, &completed, Variant(), job.out()));
        Event never;
        never.wait_for(60'000, apartment);
    } catch (const Failure& failure) {
        printf("  install-and-die: %s\n", failure.what.c_str());
    }
    return 1;
}

TEST("installing", what_a_program_began_goes_on_when_it_dies) {
    Gate gate;
    Install other(ready({slow()}));
    LONG before = number<LONG>(searcher().get(), &IUpdateSearcher::GetTotalHistoryCount);
    HANDLE process = started(setting.apartment == Apartment::Single ? L"install-and-die sta" : L"install-and-die mta");
    DWORD code = 0;
    bool ended = wait(process, 60'000, setting.apartment) && GetExitCodeProcess(process, &code);
    CloseHandle(process);
    CHECK(ended);
    SAME(code, static_cast<DWORD>(DIED));
    CHECK(truth(other.front.get(), &IUpdateInstaller::get_IsBusy));
    Com<IInstallationJob> none;
    CODE(other.begin(nullptr, Variant(), none.out()), WU_E_INSTALL_NOT_ALLOWED);
    gate.open();
    CHECK(becomes(60'000, [&] { return !truth(other.front.get(), &IUpdateInstaller::get_IsBusy); }));
    SAME(number<LONG>(searcher().get(), &IUpdateSearcher::GetTotalHistoryCount), before + 1);
    auto entry = newest_entry();
    SAME(static_cast<int>(number<OperationResultCode>(entry.get(), &IUpdateHistoryEntry::get_ResultCode)), static_cast<int>(orcSucceeded));
    SAME(text(entry.get(), &IUpdateHistoryEntry::get_ClientApplicationID), std::string("contract"));
    Com<ISearchResult> result;
    CODE(searcher()->Search(Bstr(L"IsInstalled=0"), result.out()), S_OK);
}
