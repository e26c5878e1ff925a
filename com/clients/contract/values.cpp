// Collections, enumerators, inputs, out parameters: what a call does to values.
#include "contract.h"

#include <algorithm>

namespace {

Com<IEnumVARIANT> enumerator(IUpdateCollection* updates) {
    Com<IUnknown> unknown;
    MUST(updates->get__NewEnum(unknown.out()));
    auto made = unknown.as<IEnumVARIANT>();
    if (!made) throw Failure{E_NOINTERFACE, "_NewEnum is no IEnumVARIANT"};
    return made;
}

Com<IStringCollection> three_strings() {
    auto made = create<IStringCollection>(__uuidof(StringCollection));
    for (auto word : {L"one", L"two", L"three"}) {
        LONG index = -1;
        MUST(made->Add(Bstr(word), &index));
    }
    return made;
}

// An update that the client made: every member fails.
class Foreign : public Counted {
public:
    HRESULT STDMETHODCALLTYPE QueryInterface(REFIID iid, void** object) override {
        if (iid == __uuidof(IUpdate)) {
            *object = static_cast<IDispatch*>(this);
            AddRef();
            return S_OK;
        }
        return Counted::QueryInterface(iid, object);
    }
};

}  // namespace

TEST("values", a_search_result_s_updates_are_read_only) {
    auto updates = found(L"IsInstalled=0");
    auto one = items<IUpdate, IUpdateCollection>(updates.get()).at(0);
    LONG index = 55;
    CHECK(truth(updates.get(), &IUpdateCollection::get_ReadOnly));
    CODE(updates->Add(one.get(), &index), WU_E_NOT_SUPPORTED);
    CODE(updates->Insert(0, one.get()), WU_E_NOT_SUPPORTED);
    CODE(updates->RemoveAt(0), WU_E_NOT_SUPPORTED);
    CODE(updates->Clear(), WU_E_NOT_SUPPORTED);
    CODE(updates->put_Item(0, one.get()), WU_E_NOT_SUPPORTED);
}

TEST("values", a_copy_of_a_read_only_collection_can_be_changed) {
    auto updates = found(L"IsInstalled=0");
    Com<IUpdateCollection> copy;
    MUST(updates->Copy(copy.out()));
    CHECK(!truth(copy.get(), &IUpdateCollection::get_ReadOnly));
    LONG before = number<LONG>(copy.get(), &IUpdateCollection::get_Count);
    CODE(copy->RemoveAt(0), S_OK);
    SAME(number<LONG>(copy.get(), &IUpdateCollection::get_Count), before - 1);
    SAME(number<LONG>(updates.get(), &IUpdateCollection::get_Count), before);
    // Shallow: the same objects.
    Com<IUpdate> ours, theirs;
    MUST(copy->get_Item(0, ours.out()));
    MUST(updates->get_Item(1, theirs.out()));
    SAME(identity(ours.get()), identity(theirs.get()));
}

TEST("values", indexes_are_checked) {
    auto updates = found(L"IsInstalled=0");
    LONG count = number<LONG>(updates.get(), &IUpdateCollection::get_Count);
    for (LONG index : {-1L, count, LONG_MAX, LONG_MIN}) {
        auto* update = reinterpret_cast<IUpdate*>(1);
        CODE(updates->get_Item(index, &update), WU_E_INVALIDINDEX);
        SAME(static_cast<void*>(update), static_cast<void*>(nullptr));
    }
    auto own = collection(items<IUpdate, IUpdateCollection>(updates.get()));
    CODE(own->Insert(count + 1, items<IUpdate, IUpdateCollection>(updates.get())[0].get()), WU_E_INVALIDINDEX);
    CODE(own->Insert(count, items<IUpdate, IUpdateCollection>(updates.get())[0].get()), S_OK);
    CODE(own->RemoveAt(count + 1), WU_E_INVALIDINDEX);
    CODE(own->RemoveAt(-1), WU_E_INVALIDINDEX);
    CODE(own->RemoveAt(count), S_OK);
}

TEST("values", removing_while_counting_up_shifts_as_in_a_list) {
    auto own = collection(pending(3));
    auto all = items<IUpdate, IUpdateCollection>(own.get());
    CODE(own->RemoveAt(0), S_OK);
    Com<IUpdate> first;
    MUST(own->get_Item(0, first.out()));
    SAME(identity(first.get()), identity(all[1].get()));
}

TEST("values", null_pointers_are_e_pointer) {
    auto made = session();
    auto found_ = found(L"IsInstalled=0");
    Com<IUpdate> update = items<IUpdate, IUpdateCollection>(found_.get())[0];
    CODE(made->CreateUpdateSearcher(nullptr), E_POINTER);
    CODE(made->CreateUpdateDownloader(nullptr), E_POINTER);
    CODE(made->CreateUpdateInstaller(nullptr), E_POINTER);
    CODE(made->get_ClientApplicationID(nullptr), E_POINTER);
    CODE(made->get_ReadOnly(nullptr), E_POINTER);
    CODE(update->get_Title(nullptr), E_POINTER);
    CODE(update->get_Identity(nullptr), E_POINTER);
    CODE(update->get_Categories(nullptr), E_POINTER);
    CODE(update->get_MaxDownloadSize(nullptr), E_POINTER);
    CODE(update->get_IsDownloaded(nullptr), E_POINTER);
    CODE(update->get_Deadline(nullptr), E_POINTER);
    CODE(found_->get_Item(0, nullptr), E_POINTER);
    CODE(found_->get__NewEnum(nullptr), E_POINTER);
    CODE(found_->get_Count(nullptr), E_POINTER);
    CODE(found_->Copy(nullptr), E_POINTER);
    auto search = searcher();
    CODE(search->Search(Bstr(L"IsInstalled=0"), nullptr), E_POINTER);
    CODE(search->BeginSearch(Bstr(L"IsInstalled=0"), nullptr, Variant(), nullptr), E_POINTER);
    CODE(search->EscapeString(Bstr(L"a"), nullptr), E_POINTER);
    CODE(search->GetTotalHistoryCount(nullptr), E_POINTER);
    CODE(search->QueryHistory(0, 1, nullptr), E_POINTER);
    Com<ISearchResult> result;
    CODE(search->EndSearch(nullptr, result.out()), E_POINTER);
    Com<IUpdateDownloader> downloader;
    MUST(made->CreateUpdateDownloader(downloader.out()));
    CODE(downloader->put_Updates(nullptr), E_POINTER);
    Com<IDownloadResult> downloaded;
    CODE(downloader->EndDownload(nullptr, downloaded.out()), E_POINTER);
    CODE(downloader->Download(nullptr), E_POINTER);
    Com<IUpdateInstaller> installer;
    MUST(made->CreateUpdateInstaller(installer.out()));
    CODE(installer->put_Updates(nullptr), E_POINTER);
    Com<IInstallationResult> installed;
    CODE(installer->EndInstall(nullptr, installed.out()), E_POINTER);
    CODE(installer->EndUninstall(nullptr, installed.out()), E_POINTER);
    CODE(installer->Install(nullptr), E_POINTER);
    CODE(installer->get_IsBusy(nullptr), E_POINTER);
    auto own = create<IUpdateCollection>(__uuidof(UpdateCollection));
    LONG index = 7;
    CODE(own->Add(nullptr, &index), E_POINTER);
    CODE(own->Insert(0, nullptr), E_POINTER);
}

TEST("values", add_does_not_need_an_out_pointer) {
    auto own = create<IUpdateCollection>(__uuidof(UpdateCollection));
    auto update = pending(1)[0];
    CODE(own->Add(update.get(), nullptr), S_OK);
    LONG index = -1;
    CODE(own->Add(update.get(), &index), S_OK);
    SAME(index, 1);
}

TEST("values", a_client_s_own_update_is_refused) {
    Foreign foreign;
    auto* update = reinterpret_cast<IUpdate*>(static_cast<IDispatch*>(&foreign));
    auto own = create<IUpdateCollection>(__uuidof(UpdateCollection));
    CODE(own->Add(update, nullptr), E_INVALIDARG);
    SAME(foreign.references(), 0ul);
}

TEST("values", an_enumerator_gives_all_and_then_says_so) {
    auto updates = found(L"IsInstalled=0");
    auto each = enumerator(updates.get());
    ULONG count = static_cast<ULONG>(number<LONG>(updates.get(), &IUpdateCollection::get_Count));
    std::vector<VARIANT> got(count + 3);
    ULONG fetched = 99;
    CODE(each->Next(count + 3, got.data(), &fetched), S_FALSE);
    SAME(fetched, count);
    for (ULONG index = 0; index < count; ++index) {
        SAME(static_cast<int>(got[index].vt), static_cast<int>(VT_DISPATCH));
        Com<IUpdate> item;
        MUST(updates->get_Item(static_cast<LONG>(index), item.out()));
        SAME(identity(got[index].pdispVal), identity(item.get()));
        VariantClear(&got[index]);
    }
    CODE(each->Next(1, got.data(), &fetched), S_FALSE);
    SAME(fetched, 0ul);
}

TEST("values", an_enumerator_skips_resets_and_clones) {
    auto own = collection(pending(4));
    auto each = enumerator(own.get());
    auto next = [](IEnumVARIANT* from) {
        Variant value;
        // One at a time nobody needs the count.
        if (from->Next(1, value.out(), nullptr) != S_OK) return static_cast<IUnknown*>(nullptr);
        return identity(value->pdispVal);
    };
    auto at = [&](LONG index) {
        Com<IUpdate> item;
        MUST(own->get_Item(index, item.out()));
        return identity(item.get());
    };
    CODE(each->Skip(2), S_OK);
    Com<IEnumVARIANT> clone;
    CODE(each->Clone(clone.out()), S_OK);
    SAME(next(each.get()), at(2));
    SAME(next(clone.get()), at(2));
    SAME(next(clone.get()), at(3));
    SAME(next(each.get()), at(3));
    CODE(each->Skip(1), S_FALSE);
    CODE(each->Reset(), S_OK);
    CODE(each->Skip(4), S_OK);
    CODE(each->Reset(), S_OK);
    CODE(each->Skip(5), S_FALSE);
    CODE(each->Reset(), S_OK);
    SAME(next(each.get()), at(0));
    CODE(each->Skip(0), S_OK);
    SAME(next(each.get()), at(1));
    CODE(each->Clone(nullptr), E_POINTER);
    CODE(each->Next(1, nullptr, nullptr), E_POINTER);
}

TEST("values", an_enumerator_is_a_snapshot) {
    auto own = collection(pending(3));
    auto each = enumerator(own.get());
    CODE(own->Clear(), S_OK);
    VARIANT got[3];
    ULONG fetched = 0;
    CODE(each->Next(3, got, &fetched), S_OK);
    SAME(fetched, 3ul);
    for (auto& one : got) VariantClear(&one);
}

TEST("values", strings_enumerate_as_strings) {
    auto strings_ = three_strings();
    Com<IUnknown> unknown;
    MUST(strings_->get__NewEnum(unknown.out()));
    Variant got;
    ULONG fetched = 0;
    CODE(unknown.as<IEnumVARIANT>()->Next(1, got.out(), &fetched), S_OK);
    SAME(static_cast<int>(got->vt), static_cast<int>(VT_BSTR));
    SAME(utf8(got->bstrVal), std::string("one"));
}

TEST("values", a_string_collection_is_changed_in_the_middle_and_its_copy_is_not) {
    auto words = three_strings();
    CODE(words->Insert(1, Bstr(L"new")), S_OK);
    CODE(words->put_Item(0, Bstr(L"first")), S_OK);
    Com<IStringCollection> copy;
    CODE(words->Copy(copy.out()), S_OK);
    CODE(words->RemoveAt(2), S_OK);
    CHECK(strings(words.get()) == (std::vector<std::string>{"first", "new", "three"}));
    CHECK(strings(copy.get()) == (std::vector<std::string>{"first", "new", "two", "three"}));
    CODE(words->Insert(3, Bstr(L"last")), S_OK);
    CODE(words->Insert(5, Bstr(L"x")), WU_E_INVALIDINDEX);
    CODE(words->put_Item(4, Bstr(L"x")), WU_E_INVALIDINDEX);
    CODE(words->RemoveAt(4), WU_E_INVALIDINDEX);
    CODE(words->RemoveAt(-1), WU_E_INVALIDINDEX);
    CHECK(strings(words.get()) == (std::vector<std::string>{"first", "new", "three", "last"}));
    CODE(words->Clear(), S_OK);
    SAME(number<LONG>(words.get(), &IStringCollection::get_Count), 0l);
    SAME(number<LONG>(copy.get(), &IStringCollection::get_Count), 4l);
}

TEST("values", truth_values_are_0_and_minus_1_only) {
    auto made = session();
    Com<IUpdateInstaller> installer;
    MUST(made->CreateUpdateInstaller(installer.out()));
    Com<IUpdateDownloader> downloader;
    MUST(made->CreateUpdateDownloader(downloader.out()));
    auto search = searcher();
    auto newer = installer.as<IUpdateInstaller2>();
    CHECK(newer);
    auto proxy = create<IWebProxy>(__uuidof(WebProxy));
    for (int value : {1, 2, 255, -2}) {
        auto wrong = static_cast<VARIANT_BOOL>(value);
        CODE(installer->put_IsForced(wrong), E_INVALIDARG);
        CODE(installer->put_AllowSourcePrompts(wrong), E_INVALIDARG);
        CODE(newer->put_ForceQuiet(wrong), E_INVALIDARG);
        CODE(downloader->put_IsForced(wrong), E_INVALIDARG);
        CODE(search->put_Online(wrong), E_INVALIDARG);
        CODE(search->put_CanAutomaticallyUpgradeService(wrong), E_INVALIDARG);
        CODE(search->put_IncludePotentiallySupersededUpdates(wrong), E_INVALIDARG);
        CODE(proxy->put_AutoDetect(wrong), E_INVALIDARG);
        CODE(pending(1)[0]->put_IsHidden(wrong), E_INVALIDARG);
    }
    CHECK(truth(installer.get(), &IUpdateInstaller::get_AllowSourcePrompts));
    CODE(installer->put_IsForced(VARIANT_TRUE), S_OK);
    CHECK(truth(installer.get(), &IUpdateInstaller::get_IsForced));
    CODE(installer->put_IsForced(VARIANT_FALSE), S_OK);
    CHECK(!truth(installer.get(), &IUpdateInstaller::get_IsForced));
}

TEST("values", enumerations_are_checked) {
    Com<IUpdateDownloader> downloader;
    MUST(session()->CreateUpdateDownloader(downloader.out()));
    auto search = searcher();
    for (int value : {0, 5, -1, 0x7FFFFFFF}) CODE(downloader->put_Priority(static_cast<DownloadPriority>(value)), E_INVALIDARG);
    for (int value : {-1, 4, 0x7FFFFFFF}) CODE(search->put_ServerSelection(static_cast<ServerSelection>(value)), E_INVALIDARG);
    CODE(downloader->put_Priority(dpHigh), S_OK);
    SAME(static_cast<int>(number<DownloadPriority>(downloader.get(), &IUpdateDownloader::get_Priority)), static_cast<int>(dpHigh));
    CODE(search->put_ServerSelection(ssOthers), S_OK);
}

TEST("values", the_client_s_name_is_unknown_until_it_is_told) {
    auto made = create<IUpdateSession>(__uuidof(UpdateSession));
    SAME(text(made.get(), &IUpdateSession::get_ClientApplicationID), std::string("Unknown"));
    CODE(made->put_ClientApplicationID(Bstr(L"mine")), S_OK);
    Com<IUpdateInstaller> before;
    MUST(made->CreateUpdateInstaller(before.out()));
    CODE(made->put_ClientApplicationID(nullptr), S_OK);
    SAME(text(made.get(), &IUpdateSession::get_ClientApplicationID), std::string("Unknown"));
    // It was copied when the installer was made.
    SAME(text(before.get(), &IUpdateInstaller::get_ClientApplicationID), std::string("mine"));
}

TEST("values", updates_are_a_snapshot_of_what_was_put) {
    Com<IUpdateInstaller> installer;
    MUST(session()->CreateUpdateInstaller(installer.out()));
    auto* none = reinterpret_cast<IUpdateCollection*>(1);
    CODE(installer->get_Updates(&none), S_OK);
    SAME(static_cast<void*>(none), static_cast<void*>(nullptr));
    auto some = pending(2);
    auto own = collection({some[0]});
    MUST(installer->put_Updates(own.get()));
    MUST(own->Add(some[1].get(), nullptr));
    auto kept = object(installer.get(), &IUpdateInstaller::get_Updates);
    SAME(number<LONG>(kept.get(), &IUpdateCollection::get_Count), 1l);
    CHECK(truth(kept.get(), &IUpdateCollection::get_ReadOnly));
    CODE(kept->Clear(), WU_E_NOT_SUPPORTED);
}

TEST("values", criteria_errors_are_told_at_the_end) {
    auto search = searcher();
    for (auto criteria : {L"IsInstalled > 0", L"BrowseOnly != 1", L"Nothing=1", L"IsInstalled=2", L"IsInstalled=0 and", L"("}) {
        Com<ISearchResult> result;
        CODE(search->Search(Bstr(criteria), result.out()), WU_E_INVALID_CRITERIA);
        CHECK(!result);
        Com<ISearchJob> job;
        CODE(search->BeginSearch(Bstr(criteria), nullptr, Variant(), job.out()), S_OK);
        CODE(search->EndSearch(job.get(), result.out()), WU_E_INVALID_CRITERIA);
        CHECK(!result);
    }
}

TEST("values", no_criteria_are_the_usual_criteria) {
    auto search = searcher();
    Com<ISearchResult> usual, none;
    MUST(search->Search(Bstr(L"IsInstalled=0 and IsHidden=0"), usual.out()));
    CODE(search->Search(nullptr, none.out()), S_OK);
    SAME(number<LONG>(object(none.get(), &ISearchResult::get_Updates).get(), &IUpdateCollection::get_Count),
         number<LONG>(object(usual.get(), &ISearchResult::get_Updates).get(), &IUpdateCollection::get_Count));
}

TEST("values", a_service_id_is_ignored_unless_others_are_selected) {
    auto search = searcher();
    CODE(search->put_ServiceID(Bstr(L"7971f918-a847-4430-9279-4a52d1efe18d")), S_OK);
    Com<ISearchResult> result;
    CODE(search->Search(Bstr(L"IsInstalled=0"), result.out()), S_OK);
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
}

TEST("values", history_wants_a_positive_count) {
    auto search = searcher();
    Com<IUpdateHistoryEntryCollection> entries;
    CODE(search->QueryHistory(0, 0, entries.out()), WU_E_INVALIDINDEX);
    CODE(search->QueryHistory(-1, 1, entries.out()), WU_E_INVALIDINDEX);
    CODE(search->QueryHistory(0, -1, entries.out()), WU_E_INVALIDINDEX);
    CODE(search->QueryHistory(1'000'000, 5, entries.out()), S_OK);
    SAME(number<LONG>(entries.get(), &IUpdateHistoryEntryCollection::get_Count), 0l);
}

TEST("values", interfaces_are_symmetric_and_unknown_ones_are_refused) {
    Com<IUpdate> update = pending(1)[0];
    auto newest = update.as<IUpdate5>();
    CHECK(newest);
    SAME(identity(update.get()), identity(newest.get()));
    CHECK(newest.as<IUpdate>());
    CHECK(newest.as<IDispatch>());
    CHECK(!update.as<IWindowsDriverUpdate>());
    auto* nothing = reinterpret_cast<void*>(1);
    CODE(update->QueryInterface(IID_IStream, &nothing), E_NOINTERFACE);
    SAME(nothing, static_cast<void*>(nullptr));
}

TEST("values", what_is_live_follows_and_what_is_of_the_search_stays) {
    auto one = pending(1)[0];
    CHECK(!truth(one.get(), &IUpdate::get_IsHidden));
    CODE(one->put_IsHidden(VARIANT_TRUE), S_OK);
    CHECK(truth(one.get(), &IUpdate::get_IsHidden));
    CODE(one->put_IsHidden(VARIANT_FALSE), S_OK);
    auto absent = not_downloaded();
    Install install(ready({absent}));
    CHECK(truth(absent.get(), &IUpdate::get_IsDownloaded));
    Com<IInstallationResult> result;
    MUST(install.front->Install(result.out()));
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
    CHECK(!truth(absent.get(), &IUpdate::get_IsInstalled));
    Bstr id(text(object(absent.get(), &IUpdate::get_Identity).get(), &IUpdateIdentity::get_UpdateID));
    auto again = found((std::wstring(L"UpdateID='") + id.get() + L"'").c_str());
    Com<IUpdate> now;
    MUST(again->get_Item(0, now.out()));
    CHECK(truth(now.get(), &IUpdate::get_IsInstalled));
}

TEST("values", updates_are_found_by_category_whatever_the_locale) {
    auto made = session().as<IUpdateSession2>();
    MUST(made->put_UserLocale(1031));
    Com<IUpdateSearcher> search;
    MUST(made->CreateUpdateSearcher(search.out()));
    MUST(search->put_Online(VARIANT_FALSE));
    std::map<std::string, LONG> expected;
    auto all = items<IUpdate, IUpdateCollection>(found(L"IsInstalled=0").get());
    for (auto& update : all)
        for (auto& category : items<ICategory, ICategoryCollection>(object(update.get(), &IUpdate::get_Categories).get()))
            ++expected[text(category.get(), &ICategory::get_CategoryID)];
    CHECK(!expected.empty());
    expected["7971f918-a847-4430-9279-4a52d1efe18d"] = 0;
    for (auto& [id, count] : expected) {
        Com<ISearchResult> result;
        MUST(search->Search(Bstr("IsInstalled=0 and CategoryIDs contains '" + id + "'"), result.out()));
        SAME(number<LONG>(object(result.get(), &ISearchResult::get_Updates).get(), &IUpdateCollection::get_Count), count);
    }
}

// The archive is away: what is known already is found, and a warning says why there may be more.
TEST("values", a_search_whose_archive_is_broken_finds_what_is_known_and_warns) {
    struct Broken {
        std::wstring path = file(setting.machine + "/srv/archive/dists"), away = path + L".away";
        Broken() { CHECK(MoveFileW(path.c_str(), away.c_str())); }
        ~Broken() { MoveFileW(away.c_str(), path.c_str()); }
    };
    LONG known = number<LONG>(found(L"IsInstalled=0").get(), &IUpdateCollection::get_Count);
    CHECK(known > 0);
    Com<ISearchResult> result;
    {
        Broken broken;
        CODE(searcher()->Search(Bstr(L"IsInstalled=0"), result.out()), S_OK);
    }
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceededWithErrors));
    auto updates = object(result.get(), &ISearchResult::get_Updates);
    SAME(number<LONG>(updates.get(), &IUpdateCollection::get_Count), known);
    for (auto& update : items<IUpdate, IUpdateCollection>(updates.get())) CHECK(!title(update.get()).empty());
    auto warnings = items<IUpdateException, IUpdateExceptionCollection>(object(result.get(), &ISearchResult::get_Warnings).get());
    SAME(warnings.size(), static_cast<size_t>(1));
    CHECK(FAILED(number<LONG>(warnings[0].get(), &IUpdateException::get_HResult)));
    CHECK(!text(warnings[0].get(), &IUpdateException::get_Message).empty());
    SAME(static_cast<int>(number<UpdateExceptionContext>(warnings[0].get(), &IUpdateException::get_Context)),
         static_cast<int>(uecSearchIncomplete));
    // With the archive, as before.
    CODE(searcher()->Search(Bstr(L"IsInstalled=0"), result.out()), S_OK);
    SAME(static_cast<int>(code_of(result)), static_cast<int>(orcSucceeded));
}
