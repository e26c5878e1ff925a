// The contract tests' frame: named tests, checks that tell what was found, and what tests have in common: fronts, updates to work
// on, a gate that holds an installation up.
#pragma once

#include <map>
#include <memory>

#include "com.h"

// Where and with what the tests run; from the command line.
struct Setting {
    Apartment apartment = Apartment::Many;
    DWORD main_thread = 0;
    // The practice machine, a path of Linux.
    std::string machine;
    // The word file of `fake_bridge`, a path of Linux.
    std::string control;
    // com/idl/layout.tsv, a path of Linux.
    std::string layout;
    // This program, for tests that need many processes.
    std::wstring program;
};
extern Setting setting;

// In which apartments a test has a meaning.
enum class In { Both, Many, Single };

struct Test {
    const char* group;
    const char* name;
    In in;
    void (*run)();
    static std::vector<Test>& all();
    struct Registered {
        Registered(const char* group, const char* name, In in, void (*run)()) { all().push_back({group, name, in, run}); }
    };
};
#define TEST_IN(group, in, name)                                                   \
    static void name();                                                            \
    static Test::Registered registered_##name(group, #name, in, name);             \
    static void name()
#define TEST(group, name) TEST_IN(group, In::Both, name)
// One test for each family of jobs: the body is a template over Search, Download and Install.
#define TEST_OF_JOBS(group, name)                                                                  \
    template <class Family>                                                                        \
    static void name();                                                                            \
    static Test::Registered registered_search_##name(group, "search_" #name, In::Both, name<Search>);       \
    static Test::Registered registered_download_##name(group, "download_" #name, In::Both, name<Download>); \
    static Test::Registered registered_install_##name(group, "install_" #name, In::Both, name<Install>);    \
    template <class Family>                                                                        \
    static void name()

inline std::string shown(HRESULT code) { return hex(code); }
inline std::string shown(ULONG value) { return format("%lu", value); }
inline std::string shown(int value) { return format("%d", value); }
inline std::string shown(bool value) { return value ? "true" : "false"; }
inline std::string shown(size_t value) { return format("%llu", static_cast<unsigned long long>(value)); }
inline std::string shown(const std::string& value) { return "`" + value + "`"; }
inline std::string shown(const void* value) { return format("%p", value); }

template <class T, class U>
void same(const T& said, const U& expected, const char* what, int line) {
    if (!(said == expected))
        throw Failure{E_FAIL, format("line %d: %s is %s, expected %s", line, what, shown(said).c_str(), shown(T(expected)).c_str())};
}
#define SAME(said, expected) same((said), (expected), #said, __LINE__)
#define CHECK(truth_)                                                                        \
    do {                                                                                     \
        if (!(truth_)) throw Failure{E_FAIL, format("line %d: not so: %s", __LINE__, #truth_)}; \
    } while (0)
// The code of a call.
#define CODE(call, expected) same(static_cast<HRESULT>(call), static_cast<HRESULT>(expected), #call, __LINE__)

Com<IUpdateSession> session();
Com<IUpdateSearcher> searcher();
// A searcher that stays offline: fetching the indexes is what makes a search slow.
Com<IUpdateSearcher> offline();
Com<IUpdateCollection> found(const wchar_t* criteria);
Com<IUpdateCollection> collection(const std::vector<Com<IUpdate>>& updates);
std::string title(IUpdate* update);
// So many updates that are not installed, never the slow one; and the slow one, which is taken back first if it is installed.
std::vector<Com<IUpdate>> pending(size_t count);
Com<IUpdate> slow();
// One that is neither installed nor downloaded.
Com<IUpdate> not_downloaded();
// The same, downloaded.
Com<IUpdateCollection> ready(const std::vector<Com<IUpdate>>& updates);
// What history tells of last.
Com<IUpdateHistoryEntry> newest_entry();
bool on_its_thread();
// A file of the machine.
std::wstring file(const std::string& linux_path);
// Waits until the wish comes true, at the most for so long. In a single-threaded apartment it pumps.
bool becomes(DWORD milliseconds, const std::function<bool()>& wish);

// Has `fake_bridge` do what the word says; see there.
void tell(const char* word);

// While there is one, the slow update's script waits. Its usual seconds are taken away.
class Gate {
public:
    Gate();
    ~Gate();
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    void open();
};

// While there is one, whatever APT fetches for the machine has to wait.
class FetchGate {
public:
    FetchGate();
    ~FetchGate();
    FetchGate(const FetchGate&) = delete;
    FetchGate& operator=(const FetchGate&) = delete;
    // Whether something waits here, or will before long.
    bool is_met();
};

// The three families of jobs alike. `begin` starts work that ends by itself within seconds.
struct Search {
    using Job = ISearchJob;
    using Result = ISearchResult;
    using Args = ISearchCompletedCallbackArgs;
    using Completed = SearchCompleted;
    Com<IUpdateSearcher> front = searcher();
    HRESULT begin(IUnknown* completed, VARIANT state, Job** job) {
        return front->BeginSearch(Bstr(L"IsInstalled=0"), completed, state, job);
    }
    HRESULT end(Job* job, Result** result) { return front->EndSearch(job, result); }
};
struct Download {
    using Job = IDownloadJob;
    using Result = IDownloadResult;
    using Args = IDownloadCompletedCallbackArgs;
    using Completed = DownloadCompleted;
    using Progressed = DownloadProgressed;
    Com<IUpdateDownloader> front;
    Com<IUpdateCollection> updates;
    explicit Download(size_t count = 1);
    HRESULT begin(IUnknown* completed, VARIANT state, Job** job) { return front->BeginDownload(nullptr, completed, state, job); }
    HRESULT end(Job* job, Result** result) { return front->EndDownload(job, result); }
};
struct Install {
    using Job = IInstallationJob;
    using Result = IInstallationResult;
    using Args = IInstallationCompletedCallbackArgs;
    using Completed = InstallCompleted;
    using Progressed = InstallProgressed;
    Com<IUpdateInstaller> front;
    Com<IUpdateCollection> updates;
    explicit Install(size_t count = 1);
    explicit Install(Com<IUpdateCollection> updates);
    HRESULT begin(IUnknown* completed, VARIANT state, Job** job) { return front->BeginInstall(nullptr, completed, state, job); }
    HRESULT end(Job* job, Result** result) { return front->EndInstall(job, result); }
};

template <class Result>
OperationResultCode code_of(const Com<Result>& result) {
    return number<OperationResultCode>(result.get(), &Result::get_ResultCode);
}

// An object of the client's that counts its references and knows IUnknown, and IDispatch if it is told to. As a dispatch object
// without members it can be carried into other apartments.
class Counted : public IDispatch {
public:
    explicit Counted(bool dispatch = true) : dispatch(dispatch) {}
    virtual ~Counted();
    HRESULT STDMETHODCALLTYPE QueryInterface(REFIID iid, void** object) override;
    ULONG STDMETHODCALLTYPE AddRef() override { return ++count; }
    ULONG STDMETHODCALLTYPE Release() override { return --count; }
    HRESULT STDMETHODCALLTYPE GetTypeInfoCount(UINT* types) override { return *types = 0, S_OK; }
    HRESULT STDMETHODCALLTYPE GetTypeInfo(UINT, LCID, ITypeInfo**) override { return E_NOTIMPL; }
    HRESULT STDMETHODCALLTYPE GetIDsOfNames(REFIID, LPOLESTR*, UINT, LCID, DISPID*) override { return DISP_E_UNKNOWNNAME; }
    HRESULT STDMETHODCALLTYPE Invoke(DISPID id, REFIID, LCID, WORD flags, DISPPARAMS* arguments, VARIANT*, EXCEPINFO*, UINT*) override {
        return invoked ? invoked(id, flags, arguments) : DISP_E_MEMBERNOTFOUND;
    }
    ULONG references() const { return count; }
    std::function<HRESULT(DISPID, WORD, DISPPARAMS*)> invoked;

private:
    bool dispatch;
    std::atomic<ULONG> count{0};
};
