// Jobs of all three families: the patterns of published clients (reference, 3.6), starting, delivery, ending.
#include "contract.h"

#include <stdexcept>

using std::string;

namespace {

ULONGLONG now() { return GetTickCount64(); }

template <class Family>
Com<typename Family::Result> ended(Family& family, const Com<typename Family::Job>& job) {
    Com<typename Family::Result> result;
    MUST(family.end(job.get(), result.out()));
    CHECK(result);
    return result;
}

template <class Family>
void succeeded(const Com<typename Family::Result>& result) {
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
}

template <class Job>
bool completed(Job* job) {
    return truth(job, &Job::get_IsCompleted);
}

}  // namespace

// The patterns.

TEST_OF_JOBS("jobs", wait_in_the_callback_then_clean_up_then_end) {
    Family family;
    Event done;
    typename Family::Completed listener([&](auto*, auto*) { return done.set(), S_OK; });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    CHECK(done.wait_for(60'000, setting.apartment));
    CODE(job->CleanUp(), S_OK);
    SAME(listener.references(), 0ul);
    succeeded<Family>(ended(family, job));
    CODE(job->CleanUp(), S_OK);
}

TEST_OF_JOBS("jobs", end_inside_the_completed_callback) {
    Family family;
    Event done;
    HRESULT code = E_PENDING;
    bool was_completed = false, on_thread = false, args_came = false;
    IUnknown* told = nullptr;
    Com<typename Family::Result> result;
    typename Family::Completed listener([&](typename Family::Job* job, typename Family::Args* args) {
        was_completed = completed(job);
        on_thread = on_its_thread();
        args_came = args && Com<typename Family::Args>(args).template as<IDispatch>();
        told = identity(job);
        code = family.end(job, result.out());
        done.set();
        return S_OK;
    });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    CHECK(done.wait_for(60'000, setting.apartment));
    SAME(code, S_OK);
    succeeded<Family>(result);
    CHECK(was_completed);
    CHECK(on_thread);
    CHECK(args_came);
    SAME(told, identity(job.get()));
    CHECK(becomes(20'000, [&] { return listener.references() == 0; }));
}

TEST_OF_JOBS("jobs", poll_then_end) {
    Family family;
    Com<typename Family::Job> job;
    MUST(family.begin(nullptr, Variant(), job.out()));
    // Nothing pumps here: no callback has to arrive.
    for (ULONGLONG end = now() + 60'000; !completed(job.get()) && now() < end;) Sleep(10);
    CHECK(completed(job.get()));
    succeeded<Family>(ended(family, job));
    CHECK(completed(job.get()));
}

TEST_OF_JOBS("jobs", end_at_once) {
    Family family;
    int calls = 0;
    typename Family::Completed listener([&](auto*, auto*) { return ++calls, S_OK; });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    succeeded<Family>(ended(family, job));
    // The callback object may be on the stack of a function that returns now.
    SAME(calls, 1);
    SAME(listener.references(), 0ul);
}

TEST_OF_JOBS("jobs", release_the_job_and_never_end) {
    Family family;
    Event done;
    typename Family::Completed listener([&](auto*, auto*) { return done.set(), S_OK; });
    {
        Com<typename Family::Job> job;
        MUST(family.begin(&listener, Variant(), job.out()));
    }
    CHECK(done.wait_for(60'000, setting.apartment));
    CHECK(becomes(20'000, [&] { return listener.references() == 0; }));
}

TEST_OF_JOBS("jobs", the_last_reference_is_released_in_the_callback) {
    Family family;
    Event begun, done;
    Com<typename Family::Job> job;
    typename Family::Completed listener([&](auto*, auto*) {
        begun.wait_for(10'000, Apartment::Many);
        job = Com<typename Family::Job>();
        done.set();
        return S_OK;
    });
    MUST(family.begin(&listener, Variant(), job.out()));
    begun.set();
    CHECK(done.wait_for(60'000, setting.apartment));
    CHECK(becomes(20'000, [&] { return listener.references() == 0; }));
}

TEST_OF_JOBS("jobs", a_callback_that_fails_changes_nothing) {
    Family family;
    int calls = 0;
    typename Family::Completed listener([&](auto*, auto*) { return ++calls, E_FAIL; });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    succeeded<Family>(ended(family, job));
    SAME(calls, 1);
    SAME(listener.references(), 0ul);
}

TEST_OF_JOBS("jobs", a_callback_that_throws_changes_nothing) {
    Family family;
    int calls = 0;
    typename Family::Completed listener([&](auto*, auto*) -> HRESULT {
        ++calls;
        throw std::runtime_error("as the test wants it");
    });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    succeeded<Family>(ended(family, job));
    SAME(calls, 1);
    SAME(listener.references(), 0ul);
}

// An object of a single-threaded apartment is used by its thread only, to the last Release.
TEST_OF_JOBS("jobs", a_callback_is_let_go_of_where_it_lives) {
    Family family;
    typename Family::Completed listener([](auto*, auto*) { return S_OK; });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    ended(family, job);
    SAME(listener.references(), 0ul);
    SAME(listener.released_on() == setting.main_thread, setting.apartment == Apartment::Single);
}

// A thread that begins a job and ends: its callback is called no more, and nobody waits for that.
TEST_IN("jobs", In::Many, a_callback_of_an_apartment_that_ended_is_let_go_of) {
    struct Leaving {
        Gate gate;
        Install install{ready({slow()})};
        InstallCompleted listener{[this](auto*, auto*) { return ++calls, S_OK; }};
        Com<IInstallationJob> job;
        HRESULT begun = E_PENDING;
        int calls = 0;
    } leaving;
    HANDLE thread = CreateThread(nullptr, 0, [](void* argument) -> DWORD {
        auto& leaving = *static_cast<Leaving*>(argument);
        CoInitializeEx(nullptr, COINIT_APARTMENTTHREADED);
        leaving.begun = leaving.install.begin(&leaving.listener, Variant(), leaving.job.out());
        CoUninitialize();
        return 0;
    }, &leaving, 0, nullptr);
    CHECK(wait(thread, 30'000, setting.apartment));
    CloseHandle(thread);
    MUST(leaving.begun);
    leaving.gate.open();
    succeeded<Install>(ended(leaving.install, leaving.job));
    CODE(leaving.job->CleanUp(), S_OK);
    SAME(leaving.calls, 0);
    SAME(leaving.listener.references(), 0ul);
}

TEST_OF_JOBS("jobs", a_callback_that_owns_the_job_is_freed_by_clean_up) {
    Family family;
    Com<typename Family::Job> owned;
    Event done;
    typename Family::Completed listener([&](typename Family::Job* job, auto*) {
        owned = Com<typename Family::Job>(job);
        done.set();
        return S_OK;
    });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    CHECK(done.wait_for(60'000, setting.apartment));
    CODE(job->CleanUp(), S_OK);
    SAME(listener.references(), 0ul);
    SAME(identity(owned.get()), identity(job.get()));
    succeeded<Family>(ended(family, owned));
}

// Slow callbacks and clean-ups.

TEST_OF_JOBS("slow", end_waits_for_a_callback_of_three_seconds) {
    Family family;
    bool returned = false;
    typename Family::Completed listener([&](auto*, auto*) {
        Sleep(3'000);
        returned = true;
        return S_OK;
    });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    ended(family, job);
    CHECK(returned);
    SAME(listener.references(), 0ul);
}

TEST_OF_JOBS("slow", clean_up_inside_the_callback_is_marked) {
    Family family;
    HRESULT code = E_PENDING;
    Event done;
    typename Family::Completed listener([&](typename Family::Job* job, auto*) {
        code = job->CleanUp();
        done.set();
        return S_OK;
    });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    CHECK(done.wait_for(60'000, setting.apartment));
    SAME(code, WU_S_MARKED_FOR_DISCONNECT);
    CHECK(becomes(20'000, [&] { return listener.references() == 0; }));
    succeeded<Family>(ended(family, job));
}

// Where the callback has a thread of its own, the end waits for it no longer than R22 says; where it runs on the client's own thread,
// nothing else can happen there until it returns.
template <class Family>
void end_after_a_callback_of_fifteen_seconds() {
    Family family;
    Event returned;
    typename Family::Completed listener([&](auto*, auto*) {
        Sleep(15'000);
        returned.set();
        return S_OK;
    });
    Com<typename Family::Job> job;
    MUST(family.begin(&listener, Variant(), job.out()));
    ULONGLONG begun = now();
    ended(family, job);
    CHECK(now() - begun >= 9'000);
    SAME(returned.is_set(), setting.apartment == Apartment::Single);
    CHECK(returned.wait_for(30'000, setting.apartment));
    CHECK(becomes(20'000, [&] { return listener.references() == 0; }));
}
TEST("slow", a_search_ends_after_a_callback_of_fifteen_seconds) { end_after_a_callback_of_fifteen_seconds<Search>(); }
TEST("slow", an_installation_ends_after_a_callback_of_fifteen_seconds) { end_after_a_callback_of_fifteen_seconds<Install>(); }

// Starting.

TEST_OF_JOBS("jobs", what_is_no_callback_is_refused) {
    Family family;
    Counted plain(false);
    Com<typename Family::Job> job;
    CODE(family.begin(&plain, Variant(), job.out()), E_NOINTERFACE);
    CHECK(!job);
    SAME(plain.references(), 0ul);
}

TEST("jobs", a_callback_of_another_family_is_refused) {
    Search search;
    Download download;
    DownloadCompleted of_download([](auto*, auto*) { return S_OK; });
    SearchCompleted of_search([](auto*, auto*) { return S_OK; });
    Com<ISearchJob> searching;
    Com<IDownloadJob> downloading;
    CODE(search.begin(&of_download, Variant(), searching.out()), E_NOINTERFACE);
    CODE(download.begin(&of_search, Variant(), downloading.out()), E_NOINTERFACE);
    // A completed callback is no progress callback either.
    CODE(download.front->BeginDownload(&of_download, nullptr, Variant(), downloading.out()), E_NOINTERFACE);
    SAME(of_download.references() + of_search.references(), 0ul);
}

TEST_OF_JOBS("jobs", state_by_reference_and_records_are_refused) {
    Family family;
    LONG number = 5;
    VARIANT state;
    VariantInit(&state);
    state.vt = VT_BYREF | VT_I4;
    state.plVal = &number;
    Com<typename Family::Job> job;
    CODE(family.begin(nullptr, state, job.out()), E_INVALIDARG);
    VariantInit(&state);
    state.vt = VT_RECORD;
    CODE(family.begin(nullptr, state, job.out()), E_INVALIDARG);
    CHECK(!job);
}

TEST("jobs", without_updates_nothing_begins) {
    auto made = session();
    Com<IUpdateDownloader> downloader;
    MUST(made->CreateUpdateDownloader(downloader.out()));
    Com<IUpdateInstaller> installer;
    MUST(made->CreateUpdateInstaller(installer.out()));
    for (bool empty : {false, true}) {
        if (empty) {
            auto none = create<IUpdateCollection>(__uuidof(UpdateCollection));
            MUST(downloader->put_Updates(none.get()));
            MUST(installer->put_Updates(none.get()));
        }
        Com<IDownloadJob> downloading;
        Com<IInstallationJob> installing;
        Com<IDownloadResult> downloaded;
        Com<IInstallationResult> installed;
        CODE(downloader->BeginDownload(nullptr, nullptr, Variant(), downloading.out()), WU_E_NO_UPDATE);
        CODE(downloader->Download(downloaded.out()), WU_E_NO_UPDATE);
        CODE(installer->BeginInstall(nullptr, nullptr, Variant(), installing.out()), WU_E_NO_UPDATE);
        CODE(installer->BeginUninstall(nullptr, nullptr, Variant(), installing.out()), WU_E_NO_UPDATE);
        CODE(installer->Install(installed.out()), WU_E_NO_UPDATE);
        CODE(installer->Uninstall(installed.out()), WU_E_NO_UPDATE);
        // The state is looked at before.
        VARIANT state;
        VariantInit(&state);
        state.vt = VT_RECORD;
        CODE(downloader->BeginDownload(nullptr, nullptr, state, downloading.out()), E_INVALIDARG);
    }
}

// State.

TEST_OF_JOBS("jobs", state_comes_back_with_its_type_until_the_end) {
    for (int kind = 0; kind < 3; ++kind) {
        Family family;
        Variant number(42l), words(L"words"), none;
        Variant& given = kind == 0 ? number : kind == 1 ? words : none;
        Com<typename Family::Job> job;
        MUST(family.begin(nullptr, given, job.out()));
        for (int again = 0; again < 2; ++again) {
            Variant state;
            CODE(job->get_AsyncState(state.out()), S_OK);
            SAME(static_cast<int>(state->vt), static_cast<int>(given->vt));
            if (kind == 0) SAME(state->lVal, 42l);
            if (kind == 1) SAME(utf8(state->bstrVal), string("words"));
        }
        ended(family, job);
        Variant state(1l);
        CODE(job->get_AsyncState(state.out()), S_OK);
        SAME(static_cast<int>(state->vt), static_cast<int>(VT_EMPTY));
        CODE(job->get_AsyncState(nullptr), E_POINTER);
    }
}

TEST_OF_JOBS("jobs", an_object_as_state_is_held_and_let_go) {
    Family family;
    Counted object;
    Com<typename Family::Job> job;
    MUST(family.begin(nullptr, Variant(&object), job.out()));
    CHECK(object.references() > 0);
    {
        Variant state;
        MUST(job->get_AsyncState(state.out()));
        SAME(static_cast<int>(state->vt), static_cast<int>(VT_UNKNOWN));
        SAME(identity(state->punkVal), identity(static_cast<IDispatch*>(&object)));
    }
    ended(family, job);
    CHECK(becomes(20'000, [&] { return object.references() == 0; }));
}

TEST_IN("jobs", In::Single, an_object_as_state_is_carried_into_another_apartment) {
    Search family;
    Counted object;
    DWORD called_on = 0;
    object.invoked = [&](DISPID, WORD, DISPPARAMS*) { return called_on = GetCurrentThreadId(), S_OK; };
    VARIANT dispatch;
    VariantInit(&dispatch);
    dispatch.vt = VT_DISPATCH;
    dispatch.pdispVal = &object;
    Com<ISearchJob> job;
    MUST(family.begin(nullptr, dispatch, job.out()));
    struct Look {
        ISearchJob* job;
        void* raw;
        Event done;
        string why = "not looked";
    } look{job.get(), static_cast<IDispatch*>(&object), {}, "not looked"};
    HANDLE thread = CreateThread(nullptr, 0, [](void* argument) -> DWORD {
        auto& look = *static_cast<Look*>(argument);
        CoInitializeEx(nullptr, COINIT_MULTITHREADED);
        try {
            // Jobs are free-threaded: the pointer itself may cross.
            Variant state;
            MUST(look.job->get_AsyncState(state.out()));
            if (state->vt != VT_DISPATCH) throw Failure{E_FAIL, "no VT_DISPATCH"};
            if (state->pdispVal == look.raw) throw Failure{E_FAIL, "a raw pointer of another apartment"};
            DISPPARAMS none{};
            MUST(state->pdispVal->Invoke(0, IID_NULL, 0, DISPATCH_METHOD, &none, nullptr, nullptr, nullptr));
            look.why.clear();
        } catch (const Failure& failure) {
            look.why = failure.what;
        }
        CoUninitialize();
        look.done.set();
        return 0;
    }, &look, 0, nullptr);
    bool done = look.done.wait_for(20'000, setting.apartment);
    wait(thread, 5'000, setting.apartment);
    CloseHandle(thread);
    CHECK(done);
    SAME(look.why, string());
    SAME(called_on, setting.main_thread);
    ended(family, job);
    CHECK(becomes(20'000, [&] { return object.references() == 0; }));
}

// Ending.

TEST_OF_JOBS("jobs", ending_twice_is_an_invalid_operation) {
    Family family;
    Com<typename Family::Job> job;
    MUST(family.begin(nullptr, Variant(), job.out()));
    ended(family, job);
    auto* result = reinterpret_cast<typename Family::Result*>(1);
    CODE(family.end(job.get(), &result), WU_E_INVALID_OPERATION);
    SAME(static_cast<void*>(result), static_cast<void*>(nullptr));
    CODE(job->RequestAbort(), S_OK);
    CODE(job->CleanUp(), S_OK);
    CHECK(completed(job.get()));
}

TEST_OF_JOBS("jobs", another_front_of_the_family_may_end_it) {
    Family family, other;
    Com<typename Family::Job> job;
    MUST(family.begin(nullptr, Variant(), job.out()));
    succeeded<Family>(ended(other, job));
}

TEST("jobs", a_job_of_another_family_is_refused) {
    Search search;
    Download download;
    Com<ISearchJob> searching;
    Com<IDownloadJob> downloading;
    MUST(search.begin(nullptr, Variant(), searching.out()));
    MUST(download.begin(nullptr, Variant(), downloading.out()));
    Com<IDownloadResult> downloaded;
    Com<ISearchResult> searched;
    CODE(download.end(reinterpret_cast<IDownloadJob*>(searching.get()), downloaded.out()), E_INVALIDARG);
    CODE(search.end(reinterpret_cast<ISearchJob*>(downloading.get()), searched.out()), E_INVALIDARG);
    // Something of the client's own.
    Counted own;
    CODE(search.end(reinterpret_cast<ISearchJob*>(static_cast<IDispatch*>(&own)), searched.out()), E_INVALIDARG);
    SAME(own.references(), 0ul);
    succeeded<Search>(ended(search, searching));
    succeeded<Download>(ended(download, downloading));
}

TEST("jobs", an_installation_is_not_ended_as_an_uninstallation) {
    Install install;
    Com<IInstallationJob> job;
    MUST(install.begin(nullptr, Variant(), job.out()));
    Com<IInstallationResult> result;
    CODE(install.front->EndUninstall(job.get(), result.out()), WU_E_INVALID_OPERATION);
    succeeded<Install>(ended(install, job));
}

TEST_OF_JOBS("jobs", two_threads_racing_for_the_end_get_one_result) {
    Family family;
    Com<typename Family::Job> job;
    MUST(family.begin(nullptr, Variant(), job.out()));
    struct Racer {
        Family* family;
        typename Family::Job* job;
        HRESULT code;
    } racer{&family, job.get(), E_PENDING};
    HANDLE thread = CreateThread(nullptr, 0, [](void* argument) -> DWORD {
        auto& racer = *static_cast<Racer*>(argument);
        CoInitializeEx(nullptr, COINIT_MULTITHREADED);
        Com<typename Family::Result> result;
        racer.code = racer.family->end(racer.job, result.out());
        result = Com<typename Family::Result>();
        CoUninitialize();
        return 0;
    }, &racer, 0, nullptr);
    Com<typename Family::Result> result;
    HRESULT ours = family.end(job.get(), result.out());
    CHECK(wait(thread, 60'000, setting.apartment));
    CloseHandle(thread);
    CHECK((ours == S_OK) != (racer.code == S_OK));
    SAME(ours == S_OK ? racer.code : ours, WU_E_INVALID_OPERATION);
}

// Aborting what fetches: it has begun, and cannot end before the request.

TEST("jobs", aborting_a_search_that_fetches_stops_it) {
    Search search;
    FetchGate gate;
    Com<ISearchJob> job;
    MUST(search.begin(nullptr, Variant(), job.out()));
    CHECK(gate.is_met());
    CODE(job->RequestAbort(), S_OK);
    CODE(job->RequestAbort(), S_OK);
    auto result = ended(search, job);
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcAborted));
    SAME(number<LONG>(object(result.get(), &ISearchResult::get_Updates).get(), &IUpdateCollection::get_Count), 0l);
    CODE(job->RequestAbort(), S_OK);
}

TEST("jobs", aborting_a_download_stops_it) {
    Download download(0);
    MUST(download.front->put_Updates(collection({not_downloaded()}).get()));
    FetchGate gate;
    int completions = 0;
    DownloadCompleted listener([&](auto*, auto*) { return ++completions, S_OK; });
    Com<IDownloadJob> job;
    MUST(download.begin(&listener, Variant(), job.out()));
    CHECK(gate.is_met());
    CODE(job->RequestAbort(), S_OK);
    CODE(job->RequestAbort(), S_OK);
    auto result = ended(download, job);
    SAME(completions, 1);
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcAborted));
    SAME(static_cast<HRESULT>(number<LONG>(result.get(), &IDownloadResult::get_HResult)), WU_E_CALL_CANCELLED);
    Com<IUpdateDownloadResult> one;
    MUST(result->GetUpdateResult(0, one.out()));
    SAME(static_cast<int>(number<OperationResultCode>(one.get(), &IUpdateDownloadResult::get_ResultCode)), static_cast<int>(orcAborted));
    SAME(static_cast<HRESULT>(number<LONG>(one.get(), &IUpdateDownloadResult::get_HResult)), WU_E_CALL_CANCELLED);
}
