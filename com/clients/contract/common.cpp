#include "contract.h"

#include <algorithm>

Com<IUpdateSession> session() {
    auto made = create<IUpdateSession>(__uuidof(UpdateSession));
    MUST(made->put_ClientApplicationID(Bstr(L"contract")));
    return made;
}

Com<IUpdateSearcher> searcher() {
    Com<IUpdateSearcher> made;
    MUST(session()->CreateUpdateSearcher(made.out()));
    return made;
}

Com<IUpdateSearcher> offline() {
    auto made = searcher();
    MUST(made->put_Online(VARIANT_FALSE));
    return made;
}

Com<IUpdateCollection> found(const wchar_t* criteria) {
    Com<ISearchResult> result;
    MUST(offline()->Search(Bstr(criteria), result.out()));
    return object(result.get(), &ISearchResult::get_Updates);
}

Com<IUpdateCollection> collection(const std::vector<Com<IUpdate>>& updates) {
    auto made = create<IUpdateCollection>(__uuidof(UpdateCollection));
    for (auto& update : updates) MUST(made->Add(update.get(), nullptr));
    return made;
}

std::string title(IUpdate* update) { return text(update, &IUpdate::get_Title); }

namespace {
bool is_slow(const Com<IUpdate>& update) { return title(update.get()).rfind("docfinder ", 0) == 0; }
}  // namespace

std::vector<Com<IUpdate>> pending(size_t count) {
    auto all = items<IUpdate, IUpdateCollection>(found(L"IsInstalled=0 and IsHidden=0").get());
    all.erase(std::remove_if(all.begin(), all.end(), is_slow), all.end());
    if (all.size() < count) throw Failure{E_FAIL, "the practice machine has too few updates left"};
    all.resize(count);
    return all;
}

Com<IUpdate> slow() {
    for (int again = 0; again < 2; ++again) {
        for (auto& update : items<IUpdate, IUpdateCollection>(found(L"IsInstalled=0").get()))
            if (is_slow(update)) return update;
        for (auto& update : items<IUpdate, IUpdateCollection>(found(L"IsInstalled=1").get())) {
            if (!is_slow(update)) continue;
            Com<IUpdateInstaller> installer;
            MUST(session()->CreateUpdateInstaller(installer.out()));
            MUST(installer->put_Updates(collection({update}).get()));
            Com<IInstallationResult> result;
            MUST(installer->Uninstall(result.out()));
        }
    }
    throw Failure{E_FAIL, "there is no slow update; the practice machine is made `--with slow`"};
}

Com<IUpdate> not_downloaded() {
    auto all = items<IUpdate, IUpdateCollection>(found(L"IsInstalled=0 and IsHidden=0").get());
    auto one = std::find_if(all.begin(), all.end(),
                            [](auto& one) { return !is_slow(one) && !truth(one.get(), &IUpdate::get_IsDownloaded); });
    if (one == all.end()) throw Failure{E_FAIL, "the practice machine has everything downloaded"};
    return *one;
}

Com<IUpdateCollection> ready(const std::vector<Com<IUpdate>>& updates) {
    auto made = collection(updates);
    Com<IUpdateDownloader> downloader;
    MUST(session()->CreateUpdateDownloader(downloader.out()));
    MUST(downloader->put_Updates(made.get()));
    Com<IDownloadResult> result;
    MUST(downloader->Download(result.out()));
    if (code_of(result) != orcSucceeded) throw Failure{E_FAIL, format("the download ended with %d", code_of(result))};
    return made;
}

Com<IUpdateHistoryEntry> newest_entry() {
    Com<IUpdateHistoryEntryCollection> entries;
    MUST(searcher()->QueryHistory(0, 1, entries.out()));
    Com<IUpdateHistoryEntry> entry;
    MUST(entries->get_Item(0, entry.out()));
    return entry;
}

bool on_its_thread() {
    return (GetCurrentThreadId() == setting.main_thread) == (setting.apartment == Apartment::Single);
}

std::wstring file(const std::string& linux_path) {
    std::wstring made = L"Z:";
    for (char c : linux_path) made += c == '/' ? L'\\' : static_cast<wchar_t>(static_cast<unsigned char>(c));
    return made;
}

bool becomes(DWORD milliseconds, const std::function<bool()>& wish) {
    for (ULONGLONG end = GetTickCount64() + milliseconds; GetTickCount64() < end; Sleep(10)) {
        if (setting.apartment == Apartment::Single && GetCurrentThreadId() == setting.main_thread) pump();
        if (wish()) return true;
    }
    return wish();
}

namespace {
void write(const std::string& path, const char* text) {
    HANDLE handle = CreateFileW(file(path).c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, 0, nullptr);
    if (handle == INVALID_HANDLE_VALUE) throw Failure{E_FAIL, "cannot write " + path};
    DWORD written = 0;
    WriteFile(handle, text, static_cast<DWORD>(strlen(text)), &written, nullptr);
    CloseHandle(handle);
}
}  // namespace

Gate::Gate() {
    write(setting.machine + "/etc/wua/slow-steps", "0\n");
    write(setting.machine + "/etc/wua/slow-gate", "");
}

Gate::~Gate() { open(); }

void Gate::open() { DeleteFileW(file(setting.machine + "/etc/wua/slow-gate").c_str()); }

FetchGate::FetchGate() {
    write(setting.machine + "/etc/wua/fetch-gate", "");
    std::string methods = setting.layout.substr(0, setting.layout.rfind("/idl/")) + "/clients/contract/methods";
    write(setting.machine + "/etc/apt/apt.conf.d/fetch-gate", ("Dir::Bin::Methods::copy \"" + methods + "/copy\";\n").c_str());
}

FetchGate::~FetchGate() {
    for (auto left : {"/etc/apt/apt.conf.d/fetch-gate", "/etc/wua/fetch-gate", "/etc/wua/fetch-gate.met"})
        DeleteFileW(file(setting.machine + left).c_str());
}

bool FetchGate::is_met() {
    return becomes(30'000, [] {
        return GetFileAttributesW(file(setting.machine + "/etc/wua/fetch-gate.met").c_str()) != INVALID_FILE_ATTRIBUTES;
    });
}

Download::Download(size_t count) : updates(collection(pending(count))) {
    MUST(session()->CreateUpdateDownloader(front.out()));
    MUST(front->put_Updates(updates.get()));
}

Install::Install(size_t count) : Install(ready(pending(count))) {}

Install::Install(Com<IUpdateCollection> wanted) : updates(wanted) {
    MUST(session()->CreateUpdateInstaller(front.out()));
    MUST(front->put_Updates(updates.get()));
}

HRESULT Counted::QueryInterface(REFIID iid, void** object) {
    if (iid == IID_IUnknown || (dispatch && iid == IID_IDispatch)) {
        *object = static_cast<IDispatch*>(this);
        AddRef();
        return S_OK;
    }
    *object = nullptr;
    return E_NOINTERFACE;
}

// As callbacks do: whoever still holds it would call into a frame that is gone.
Counted::~Counted() {
    if (becomes(40'000, [this] { return count == 0; })) return;
    printf("  an object of a test is still held after 40 seconds\n");
    TerminateProcess(GetCurrentProcess(), 3);
}
