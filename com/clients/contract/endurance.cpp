// What is done thousands of times must cost nothing that stays.
#include "contract.h"

#include <psapi.h>

namespace {

struct Cost {
    DWORD handles = 0;
    SIZE_T bytes = 0;
    static Cost now() {
        Cost cost;
        GetProcessHandleCount(GetCurrentProcess(), &cost.handles);
        PROCESS_MEMORY_COUNTERS_EX memory{};
        memory.cb = sizeof memory;
        GetProcessMemoryInfo(GetCurrentProcess(), reinterpret_cast<PROCESS_MEMORY_COUNTERS*>(&memory), sizeof memory);
        cost.bytes = memory.PrivateUsage;
        return cost;
    }
};

// Rounds after a first part, in which pools and caches fill, may not cost more than a little.
void endure(int rounds, int first, SIZE_T allowed, const std::function<void()>& round) {
    for (int i = 0; i < first; ++i) round();
    Cost before = Cost::now();
    for (int i = 0; i < rounds; ++i) round();
    Cost after = Cost::now();
    // Threads that are just ending may still hold a handle or two.
    if (after.handles > before.handles + 8)
        throw Failure{E_FAIL, format("%lu handles before, %lu after", before.handles, after.handles)};
    if (after.bytes > before.bytes + allowed)
        throw Failure{E_FAIL, format("%llu KB before, %llu KB after", static_cast<unsigned long long>(before.bytes / 1024),
                                     static_cast<unsigned long long>(after.bytes / 1024))};
}

}  // namespace

TEST_IN("endurance", In::Many, three_hundred_searches_leave_nothing) {
    auto search = offline();
    endure(300, 60, 2 << 20, [&] {
        Com<ISearchResult> result;
        MUST(search->Search(Bstr(L"IsInstalled=0"), result.out()));
    });
}

TEST_IN("endurance", In::Many, thirty_searches_with_new_indexes_leave_nothing) {
    auto search = searcher();
    endure(30, 10, 1 << 20, [&] {
        Com<ISearchResult> result;
        MUST(search->Search(Bstr(L"IsInstalled=0"), result.out()));
        SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    });
}

TEST("endurance", a_hundred_search_jobs_leave_nothing) {
    Search search;
    search.front = offline();
    endure(100, 30, 2 << 20, [&] {
        SearchCompleted listener([](auto*, auto*) { return S_OK; });
        Counted state;
        Com<ISearchJob> job;
        MUST(search.begin(&listener, Variant(&state), job.out()));
        Com<ISearchResult> result;
        MUST(search.end(job.get(), result.out()));
        if (listener.references() || state.references()) throw Failure{E_FAIL, "a reference stayed"};
    });
}

TEST("endurance", ten_thousand_enumerations_leave_nothing) {
    auto updates = found(L"IsInstalled=0");
    size_t met = 0, count = static_cast<size_t>(number<LONG>(updates.get(), &IUpdateCollection::get_Count));
    endure(10'000, 500, 1 << 20, [&] {
        Com<IUnknown> unknown;
        MUST(updates->get__NewEnum(unknown.out()));
        auto each = unknown.as<IEnumVARIANT>();
        Variant one;
        while (each->Next(1, one.out(), nullptr) == S_OK) {
            auto update = Com<IDispatch>(one->pdispVal).as<IUpdate>();
            Bstr title;
            MUST(update->get_Title(title.out()));
            Com<IUpdateIdentity> identity;
            MUST(update->get_Identity(identity.out()));
            ++met;
        }
    });
    CHECK(count > 0);
    SAME(met, 10'500 * count);
}

TEST("endurance", a_thousand_failing_calls_leave_nothing) {
    auto search = searcher();
    auto updates = found(L"IsInstalled=0");
    endure(1'000, 100, 1 << 20, [&] {
        Com<IUpdate> none;
        if (updates->get_Item(-1, none.out()) != WU_E_INVALIDINDEX) throw Failure{E_FAIL, "no failure"};
        Com<IUpdateHistoryEntryCollection> entries;
        if (search->QueryHistory(0, 0, entries.out()) != WU_E_INVALIDINDEX) throw Failure{E_FAIL, "no failure"};
    });
}
