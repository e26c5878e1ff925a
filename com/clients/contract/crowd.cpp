// Twenty programs want to install at once: one does, nineteen are told that somebody is at it.
#include "contract.h"

namespace {

const char* const START = "Local\\contract-crowd-start";
const char* const READY = "Local\\contract-crowd-ready";
const char* const TRIED = "Local\\contract-crowd-tried";
constexpr int PROGRAMS = 20;

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
    for (int i = 0; i < PROGRAMS; ++i) {
        std::wstring line = L"\"" + setting.program + L"\" install-one";
        STARTUPINFOW startup{};
        startup.cb = sizeof startup;
        PROCESS_INFORMATION made{};
        if (!CreateProcessW(nullptr, line.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr, &startup, &made))
            throw Failure{E_FAIL, "CreateProcess"};
        CloseHandle(made.hThread);
        processes.push_back(made.hProcess);
    }
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
