// Members beside the jobs: what each answers out of range, in the wrong state and for what cannot exist here, and what stays.
#include "contract.h"

namespace {

constexpr HRESULT WU_E_AU_NOSERVICE = static_cast<HRESULT>(0x8024A000);
constexpr HRESULT WU_E_AU_PAUSED = static_cast<HRESULT>(0x8024A004);
constexpr HRESULT WU_E_DS_NEEDWINDOWSSERVICE = static_cast<HRESULT>(0x80248019);
constexpr HRESULT WU_E_DS_UNKNOWNSERVICE = static_cast<HRESULT>(0x80248014);
constexpr HRESULT WU_E_DS_INVALIDOPERATION = static_cast<HRESULT>(0x8024801A);
constexpr HRESULT WU_E_NO_UI_SUPPORT = static_cast<HRESULT>(0x80240043);
constexpr HRESULT WU_E_UNSUPPORTED_SEARCHSCOPE = static_cast<HRESULT>(0x80240045);
constexpr HRESULT WU_E_PT_SUS_SERVER_NOT_SET = static_cast<HRESULT>(0x80244011);

// A service that this machine has never heard of.
const wchar_t* const STRANGE = L"7971f918-a847-4430-9279-4a52d1efe18d";

Com<IUpdateServiceManager2> services() {
    auto newest = session().as<IUpdateSession3>();
    Com<IUpdateServiceManager2> made;
    MUST(newest->CreateUpdateServiceManager(made.out()));
    return made;
}

void lock_down(IUnknown* object) {
    auto lockdown = Com<IUnknown>(object).as<IUpdateLockdown>();
    CHECK(lockdown);
    CODE(lockdown->LockDown(2), E_INVALIDARG);
    CODE(lockdown->LockDown(1), S_OK);
}

// What the calling thread's error object says, which is taken by asking.
std::string words() {
    Com<IErrorInfo> info;
    if (GetErrorInfo(0, info.out()) != S_OK) return "";
    Bstr text;
    MUST(info->GetDescription(text.out()));
    return text.text();
}

int state_of(const wchar_t* id) {
    Com<IUpdateServiceRegistration> told;
    MUST(services()->QueryServiceRegistration(Bstr(id), told.out()));
    Com<IUpdateService2> service;
    MUST(told->get_Service(service.out()));
    int state = number<UpdateServiceRegistrationState>(told.get(), &IUpdateServiceRegistration::get_RegistrationState);
    SAME(static_cast<bool>(service), state == usrsRegistered);
    return state;
}

void search(VARIANT_BOOL online) {
    auto front = searcher();
    MUST(front->put_Online(online));
    Com<ISearchResult> result;
    MUST(front->Search(Bstr(L"IsInstalled=0"), result.out()));
}

Com<IAutomaticUpdates> automatic() { return create<IAutomaticUpdates>(__uuidof(AutomaticUpdates)); }

// Sets the level as programs do, and back at the end.
class Level {
public:
    explicit Level(AutomaticUpdatesNotificationLevel level) { set(level); }
    ~Level() { set(aunlNotConfigured); }

private:
    static void set(AutomaticUpdatesNotificationLevel level) {
        auto settings = object(automatic().get(), &IAutomaticUpdates::get_Settings);
        MUST(settings->put_NotificationLevel(level));
        MUST(settings->Save());
    }
};

}  // namespace

TEST("members", failures_come_in_words_to_programs_that_call_by_vtable) {
    auto update = pending(1)[0];
    Com<IUnknown> objects[] = {
        session().as<IUnknown>(),  searcher().as<IUnknown>(),      update.as<IUnknown>(), automatic().as<IUnknown>(),
        services().as<IUnknown>(), collection({}).as<IUnknown>(),  object(update.get(), &IUpdate::get_Identity).as<IUnknown>(),
        object(update.get(), &IUpdate::get_Categories).as<IUnknown>(),
    };
    for (auto& one : objects) {
        auto tells = one.as<ISupportErrorInfo>();
        CHECK(tells);
        CODE(tells->InterfaceSupportsErrorInfo(__uuidof(IUpdate5)), S_OK);
        CODE(tells->InterfaceSupportsErrorInfo(IID_IStream), S_FALSE);
    }
    Search search;
    Com<ISearchJob> job;
    MUST(search.begin(nullptr, Variant(), job.out()));
    CHECK(job.as<ISupportErrorInfo>());
    Com<ISearchResult> result;
    MUST(search.end(job.get(), result.out()));
    CHECK(result.as<ISupportErrorInfo>());
    CODE(search.end(job.get(), result.out()), WU_E_INVALID_OPERATION);
    CHECK(words().find("WU_E_INVALID_OPERATION") != std::string::npos);
    CODE(searcher()->put_ServiceID(Bstr(L"abc")), E_INVALIDARG);
    Com<IErrorInfo> info;
    CODE(GetErrorInfo(0, info.out()), S_OK);
    Bstr text, source;
    MUST(info->GetDescription(text.out()));
    MUST(info->GetSource(source.out()));
    CHECK(text.text().find("`abc` is not the id of a service") == 0);
    CHECK(text.text().find("E_INVALIDARG") != std::string::npos);
    SAME(source.text(), std::string("Microsoft.Update"));
    SAME(words(), std::string());
    // A code that says it all has words, too, and so has a pointer that is missing.
    CODE(collection({})->RemoveAt(0), WU_E_INVALIDINDEX);
    CHECK(words().find("WU_E_INVALIDINDEX") != std::string::npos);
    CODE(update->get_Title(nullptr), E_POINTER);
    CHECK(words().find("0x80004003") != std::string::npos);
}

TEST("members", automatic_updates_are_paused_and_go_on) {
    auto updates = automatic();
    CODE(updates->Resume(), S_OK);
    CODE(updates->Pause(), S_OK);
    // A second one would make it longer than eight hours.
    CODE(updates->Pause(), WU_E_AU_PAUSED);
    CODE(updates->DetectNow(), WU_E_AU_PAUSED);
    CHECK(truth(updates.get(), &IAutomaticUpdates::get_ServiceEnabled));
    CODE(updates->EnableService(), S_OK);
    CODE(updates->Resume(), S_OK);
    CODE(updates->Resume(), S_OK);
    CODE(updates->Pause(), S_OK);
    CODE(updates->Resume(), S_OK);
    lock_down(updates.get());
    CODE(updates->Pause(), WU_E_INVALID_OPERATION);
    CODE(updates->Resume(), WU_E_INVALID_OPERATION);
    CODE(object(updates.get(), &IAutomaticUpdates::get_Settings)->Save(), WU_E_INVALID_OPERATION);
    CODE(updates->ShowSettingsDialog(), WU_E_NO_UI_SUPPORT);
}

TEST("members", what_is_off_can_be_neither_paused_nor_begun) {
    Level level(aunlDisabled);
    auto updates = automatic();
    CODE(updates->Pause(), WU_E_AU_NOSERVICE);
    CODE(updates->Resume(), WU_E_AU_NOSERVICE);
    CODE(updates->DetectNow(), WU_E_AU_NOSERVICE);
}

TEST("members", settings_are_changed_by_saving_only) {
    auto updates = automatic();
    auto settings = object(updates.get(), &IAutomaticUpdates::get_Settings);
    auto before = number<LONG>(settings.get(), &IAutomaticUpdatesSettings::get_ScheduledInstallationTime);
    for (LONG hour : {-1L, 24L}) CODE(settings->put_ScheduledInstallationTime(hour), E_INVALIDARG);
    for (int day : {-1, 8}) {
        auto wrong = static_cast<AutomaticUpdatesScheduledInstallationDay>(day);
        CODE(settings->put_ScheduledInstallationDay(wrong), E_INVALIDARG);
    }
    CODE(settings->put_NotificationLevel(static_cast<AutomaticUpdatesNotificationLevel>(5)), E_INVALIDARG);
    CODE(settings->put_ScheduledInstallationTime(before == 5 ? 6 : 5), S_OK);
    CODE(settings->Refresh(), S_OK);
    SAME(number<LONG>(settings.get(), &IAutomaticUpdatesSettings::get_ScheduledInstallationTime), before);
    auto newest = settings.as<IAutomaticUpdatesSettings3>();
    CHECK(newest);
    CHECK(!truth(newest.get(), &IAutomaticUpdatesSettings3::get_FeaturedUpdatesEnabled));
    CODE(newest->put_FeaturedUpdatesEnabled(VARIANT_TRUE), WU_E_NOT_SUPPORTED);
    CODE(newest->put_NonAdministratorsElevated(VARIANT_TRUE), WU_E_NOT_SUPPORTED);
    VARIANT_BOOL permitted = VARIANT_FALSE;
    CODE(newest->CheckPermission(auutCurrentUser, auptSetNotificationLevel, &permitted), S_OK);
    SAME(static_cast<int>(permitted), static_cast<int>(VARIANT_TRUE));
    CODE(newest->CheckPermission(static_cast<AutomaticUpdatesUserType>(3), auptSetNotificationLevel, &permitted), E_INVALIDARG);
    SAME(static_cast<int>(permitted), static_cast<int>(VARIANT_FALSE));
}

TEST("members", a_registration_that_was_put_off_is_pending_until_the_next_search_online) {
    SAME(state_of(STRANGE), static_cast<int>(usrsNotRegistered));
    Com<IUpdateServiceRegistration> told;
    // Online only: it is tried, and that is all.
    CODE(services()->AddService2(Bstr(STRANGE), 2, nullptr, told.out()), WU_E_DS_INVALIDOPERATION);
    CHECK(!told);
    SAME(state_of(STRANGE), static_cast<int>(usrsNotRegistered));
    CODE(services()->AddService2(Bstr(STRANGE), 1, nullptr, told.out()), S_OK);
    SAME(static_cast<int>(number<UpdateServiceRegistrationState>(told.get(), &IUpdateServiceRegistration::get_RegistrationState)),
         static_cast<int>(usrsRegistrationPending));
    CHECK(!truth(told.get(), &IUpdateServiceRegistration::get_IsPendingRegistrationWithAU));
    CODE(services()->AddService2(Bstr(STRANGE), 5, Bstr(L""), told.out()), S_OK);
    CHECK(truth(told.get(), &IUpdateServiceRegistration::get_IsPendingRegistrationWithAU));
    search(VARIANT_FALSE);
    SAME(state_of(STRANGE), static_cast<int>(usrsRegistrationPending));
    search(VARIANT_TRUE);
    SAME(state_of(STRANGE), static_cast<int>(usrsNotRegistered));
    // Both: tried, failed and put off.
    CODE(services()->AddService2(Bstr(STRANGE), 7, nullptr, told.out()), WU_E_DS_INVALIDOPERATION);
    CHECK(!told);
    SAME(state_of(STRANGE), static_cast<int>(usrsRegistrationPending));
    CODE(services()->RemoveService(Bstr(STRANGE)), S_OK);
    CODE(services()->RemoveService(Bstr(STRANGE)), WU_E_DS_UNKNOWNSERVICE);
    for (LONG flags : {0L, 4L}) CODE(services()->AddService2(Bstr(STRANGE), flags, nullptr, told.out()), E_INVALIDARG);
    for (LONG flags : {1L, 2L, 3L, 7L}) CODE(services()->AddService2(Bstr(STRANGE), flags, Bstr(L"C:\\a.cab"), told.out()), E_INVALIDARG);
    for (LONG flags : {8L, -1L}) CODE(services()->AddService2(Bstr(STRANGE), flags, nullptr, told.out()), E_INVALIDARG);
    CODE(services()->AddService2(Bstr(L"abc"), 1, nullptr, told.out()), E_INVALIDARG);
    CODE(services()->QueryServiceRegistration(Bstr(L"abc"), told.out()), E_INVALIDARG);
}

TEST("members", the_machine_s_own_service_stays) {
    auto manager = services();
    auto all = items<IUpdateService, IUpdateServiceCollection>(object(manager.get(), &IUpdateServiceManager::get_Services).get());
    SAME(all.size(), static_cast<size_t>(1));
    Bstr own(text(all[0].get(), &IUpdateService::get_ServiceID));
    SAME(state_of(own), static_cast<int>(usrsRegistered));
    CODE(manager->RegisterServiceWithAU(own), S_OK);
    CODE(manager->UnregisterServiceWithAU(own), WU_E_DS_NEEDWINDOWSSERVICE);
    CODE(manager->RemoveService(own), WU_E_DS_NEEDWINDOWSSERVICE);
    CODE(manager->RegisterServiceWithAU(Bstr(STRANGE)), WU_E_DS_UNKNOWNSERVICE);
    CODE(manager->RegisterServiceWithAU(Bstr(L"abc")), WU_E_INVALID_OPERATION);
    CODE(manager->UnregisterServiceWithAU(Bstr(STRANGE)), WU_E_DS_UNKNOWNSERVICE);
    CODE(manager->RemoveService(Bstr(L"abc")), E_INVALIDARG);
    Com<IUpdateService> added;
    CODE(manager->AddService(Bstr(STRANGE), nullptr, added.out()), E_INVALIDARG);
    CODE(manager->AddService(Bstr(STRANGE), Bstr(L"C:\\a.cab"), added.out()), WU_E_DS_INVALIDOPERATION);
    CHECK(!added);
    CODE(manager->SetOption(Bstr(L"AllowWarningUI"), Variant(L"x")), E_INVALIDARG);
    CODE(manager->SetOption(Bstr(L"AllowedServiceID"), Variant(STRANGE)), S_OK);
    CODE(manager->SetOption(Bstr(L"Colour"), Variant(1l)), E_INVALIDARG);
    lock_down(manager.get());
    CODE(manager->SetOption(Bstr(L"AllowedServiceID"), Variant(STRANGE)), WU_E_INVALID_OPERATION);
    CODE(manager->RemoveService(own), WU_E_INVALID_OPERATION);
    CODE(manager->RegisterServiceWithAU(own), S_OK);
}

TEST("members", scan_packages_are_not_trusted) {
    auto manager = services();
    Bstr there(file(setting.layout).c_str());
    Com<IUpdateService> added;
    CODE(manager->AddScanPackageService(Bstr(L"offline"), there, 0, added.out()), TRUST_E_NOSIGNATURE);
    CHECK(!added);
    CODE(manager->AddScanPackageService(Bstr(L"offline"), Bstr(L"C:\\nowhere.cab"), 0, added.out()), E_INVALIDARG);
    CODE(manager->AddScanPackageService(Bstr(L"offline"), nullptr, 0, added.out()), E_INVALIDARG);
    CODE(manager->AddScanPackageService(nullptr, there, 0, added.out()), E_INVALIDARG);
    CODE(manager->AddScanPackageService(Bstr(L"offline"), there, 2, added.out()), E_INVALIDARG);
    CODE(manager->AddScanPackageService(Bstr(L"offline"), there, 0, nullptr), E_POINTER);
    lock_down(manager.get());
    CODE(manager->AddScanPackageService(Bstr(L"offline"), there, 0, added.out()), WU_E_INVALID_OPERATION);
}

TEST("members", what_a_property_is_given_is_copied) {
    auto proxy = create<IWebProxy>(__uuidof(WebProxy));
    Com<IStringCollection> list;
    CODE(proxy->get_BypassList(list.out()), S_OK);
    CHECK(!list);
    auto hosts = create<IStringCollection>(__uuidof(StringCollection));
    MUST(hosts->Add(Bstr(L"one.example"), nullptr));
    CODE(proxy->put_BypassList(hosts.get()), S_OK);
    MUST(hosts->Add(Bstr(L"two.example"), nullptr));
    list = object(proxy.get(), &IWebProxy::get_BypassList);
    SAME(number<LONG>(list.get(), &IStringCollection::get_Count), 1l);
    CHECK(truth(list.get(), &IStringCollection::get_ReadOnly));
    CODE(list->Clear(), WU_E_NOT_SUPPORTED);
    CODE(proxy->put_Address(Bstr(L"proxy.example:8080")), S_OK);
    CODE(proxy->put_BypassList(nullptr), E_POINTER);

    auto made = session();
    CODE(made->put_WebProxy(nullptr), E_POINTER);
    CODE(made->put_WebProxy(proxy.get()), S_OK);
    CODE(proxy->put_Address(Bstr(L"other.example:8080")), S_OK);
    auto kept = object(made.get(), &IUpdateSession::get_WebProxy);
    SAME(text(kept.get(), &IWebProxy::get_Address), std::string("proxy.example:8080"));
    // What the session gives is its own.
    CODE(kept->put_UserName(Bstr(L"somebody")), S_OK);
    SAME(text(object(made.get(), &IUpdateSession::get_WebProxy).get(), &IWebProxy::get_UserName), std::string("somebody"));
    SAME(text(proxy.get(), &IWebProxy::get_UserName), std::string());

    lock_down(proxy.get());
    CODE(proxy->put_Address(Bstr(L"a")), WU_E_INVALID_OPERATION);
    CODE(proxy->put_BypassList(hosts.get()), WU_E_INVALID_OPERATION);
    CODE(proxy->put_BypassProxyOnLocal(VARIANT_TRUE), WU_E_INVALID_OPERATION);
    CODE(proxy->put_UserName(Bstr(L"a")), WU_E_INVALID_OPERATION);
    CODE(proxy->SetPassword(Bstr(L"a")), WU_E_INVALID_OPERATION);
    CODE(proxy->put_AutoDetect(VARIANT_FALSE), WU_E_INVALID_OPERATION);
    CODE(proxy->PromptForCredentials(nullptr, Bstr(L"a")), WU_E_NO_UI_SUPPORT);
    // A copy of what is locked down is so, too.
    CODE(made->put_WebProxy(proxy.get()), S_OK);
    CODE(object(made.get(), &IUpdateSession::get_WebProxy)->put_AutoDetect(VARIANT_FALSE), WU_E_INVALID_OPERATION);
}

TEST("members", a_lockdown_goes_along_with_what_is_given_afterwards) {
    Com<IUpdateInstaller> installer;
    MUST(session()->CreateUpdateInstaller(installer.out()));
    auto update = pending(1)[0];
    MUST(installer->put_Updates(collection({update}).get()));
    lock_down(installer.get());
    CODE(installer->put_IsForced(VARIANT_TRUE), WU_E_INVALID_OPERATION);
    Com<IInstallationResult> result;
    CODE(installer->Install(result.out()), WU_E_INVALID_OPERATION);
    CODE(installer->Uninstall(result.out()), WU_E_INVALID_OPERATION);
    CODE(installer->EndInstall(nullptr, result.out()), WU_E_INVALID_OPERATION);
    Com<IInstallationJob> job;
    CODE(installer->BeginInstall(nullptr, nullptr, Variant(), job.out()), WU_E_INVALID_OPERATION);
    CODE(installer->BeginUninstall(nullptr, nullptr, Variant(), job.out()), WU_E_INVALID_OPERATION);
    auto refused = [](const Com<IUpdate>& one) {
        CODE(one->AcceptEula(), WU_E_INVALID_OPERATION);
        CODE(one->CopyFromCache(Bstr(L"C:\\"), VARIANT_FALSE), WU_E_INVALID_OPERATION);
        CODE(one.as<IUpdate2>()->CopyToCache(create<IStringCollection>(__uuidof(StringCollection)).get()), WU_E_INVALID_OPERATION);
    };
    auto locked = items<IUpdate, IUpdateCollection>(object(installer.get(), &IUpdateInstaller::get_Updates).get()).at(0);
    refused(locked);
    size_t met = 0;
    for (auto& child : items<IUpdate, IUpdateCollection>(object(locked.get(), &IUpdate::get_BundledUpdates).get())) refused(child), ++met;
    for (auto& category : items<ICategory, ICategoryCollection>(object(locked.get(), &IUpdate::get_Categories).get()))
        for (auto& member : items<IUpdate, IUpdateCollection>(object(category.get(), &ICategory::get_Updates).get())) refused(member), ++met;
    CHECK(met > 0);
    // The client's own stays as it was.
    CODE(update->AcceptEula(), S_OK);
}

TEST("members", copies_to_and_from_the_cache_are_refused_after_the_documented_checks) {
    auto update = pending(1)[0];
    CODE(update->CopyFromCache(nullptr, VARIANT_FALSE), E_INVALIDARG);
    CODE(update->CopyFromCache(Bstr(L"C:\\no such folder"), VARIANT_FALSE), STG_E_PATHNOTFOUND);
    CODE(update->CopyFromCache(Bstr(L"C:\\"), 1), E_INVALIDARG);
    CODE(update.as<IUpdate2>()->CopyToCache(nullptr), E_POINTER);
    CODE(update.as<IUpdate2>()->CopyToCache(create<IStringCollection>(__uuidof(StringCollection)).get()), E_ACCESSDENIED);
    ready({update});
    CODE(update->CopyFromCache(Bstr(L"C:\\"), VARIANT_FALSE), E_ACCESSDENIED);
}

TEST("members", there_are_no_drivers) {
    auto update = pending(1)[0];
    CHECK(!update.as<IWindowsDriverUpdate>() && !update.as<IWindowsDriverUpdate2>() && !update.as<IWindowsDriverUpdate3>() &&
          !update.as<IWindowsDriverUpdate4>() && !update.as<IWindowsDriverUpdate5>());
    SAME(static_cast<int>(number<UpdateType>(update.get(), &IUpdate::get_Type)), 1);
    SAME(number<LONG>(found(L"Type='Driver'").get(), &IUpdateCollection::get_Count), 0l);
}

TEST("members", fronts_begin_as_documented) {
    auto search = searcher().as<IUpdateSearcher3>();
    CHECK(!truth(search.get(), &IUpdateSearcher::get_CanAutomaticallyUpgradeService));
    CHECK(!truth(search.get(), &IUpdateSearcher::get_IncludePotentiallySupersededUpdates));
    CHECK(truth(search.get(), &IUpdateSearcher::get_Online));
    SAME(static_cast<int>(number<ServerSelection>(search.get(), &IUpdateSearcher::get_ServerSelection)), 0);
    SAME(text(search.get(), &IUpdateSearcher::get_ServiceID), std::string("00000000-0000-0000-0000-000000000000"));
    CHECK(!truth(search.get(), &IUpdateSearcher2::get_IgnoreDownloadPriority));
    SAME(static_cast<int>(number<SearchScope>(search.get(), &IUpdateSearcher3::get_SearchScope)), 0);
    Com<IUpdateDownloader> downloader;
    MUST(session()->CreateUpdateDownloader(downloader.out()));
    CHECK(!truth(downloader.get(), &IUpdateDownloader::get_IsForced));
    SAME(static_cast<int>(number<DownloadPriority>(downloader.get(), &IUpdateDownloader::get_Priority)), static_cast<int>(dpNormal));
    Com<IUpdateInstaller> plain;
    MUST(session()->CreateUpdateInstaller(plain.out()));
    auto installer = plain.as<IUpdateInstaller4>();
    CHECK(!truth(installer.get(), &IUpdateInstaller::get_IsForced));
    CHECK(truth(installer.get(), &IUpdateInstaller::get_AllowSourcePrompts));
    CHECK(!truth(installer.get(), &IUpdateInstaller2::get_ForceQuiet));
    CHECK(!truth(installer.get(), &IUpdateInstaller3::get_AttemptCloseAppsIfNecessary));
    CHECK(!truth(installer.get(), &IUpdateInstaller::get_RebootRequiredBeforeInstallation));
    Com<IUnknown> window;
    CODE(installer->get_ParentWindow(window.out()), S_OK);
    CHECK(!window);
    HWND handle = reinterpret_cast<HWND>(1);
    CODE(installer->get_ParentHwnd(&handle), S_OK);
    CHECK(!handle);
    CODE(installer->Commit(1), E_INVALIDARG);
    CODE(installer->Commit(0), S_OK);
    Com<IInstallationResult> result;
    CODE(installer->RunWizard(nullptr, result.out()), WU_E_NO_UPDATE);
    MUST(installer->put_Updates(collection(pending(1)).get()));
    CODE(installer->RunWizard(nullptr, result.out()), WU_E_NO_UI_SUPPORT);
    CHECK(!truth(session().get(), &IUpdateSession::get_ReadOnly));
    auto newest = session().as<IUpdateSession2>();
    CODE(newest->put_UserLocale(77777), E_INVALIDARG);
    CODE(newest->put_UserLocale(1031), S_OK);
    SAME(static_cast<ULONG>(number<LCID>(newest.get(), &IUpdateSession2::get_UserLocale)), 1031ul);
}

TEST("members", a_search_that_cannot_be_says_so) {
    auto search = searcher().as<IUpdateSearcher3>();
    for (int scope : {3, 4, 5}) CODE(search->put_SearchScope(static_cast<SearchScope>(scope)), WU_E_UNSUPPORTED_SEARCHSCOPE);
    for (int scope : {-1, 6}) CODE(search->put_SearchScope(static_cast<SearchScope>(scope)), E_INVALIDARG);
    Com<ISearchResult> result;
    // All updates are the machine's, none one user's.
    MUST(search->put_SearchScope(searchScopeCurrentUserOnly));
    MUST(search->Search(Bstr(L"IsInstalled=0"), result.out()));
    SAME(number<LONG>(object(result.get(), &ISearchResult::get_Updates).get(), &IUpdateCollection::get_Count), 0l);
    MUST(search->put_SearchScope(searchScopeMachineOnly));
    MUST(search->Search(Bstr(L"IsInstalled=0"), result.out()));
    CHECK(number<LONG>(object(result.get(), &ISearchResult::get_Updates).get(), &IUpdateCollection::get_Count) > 0);
    MUST(search->put_ServerSelection(ssManagedServer));
    CODE(search->Search(Bstr(L"IsInstalled=0"), result.out()), WU_E_PT_SUS_SERVER_NOT_SET);
    MUST(search->put_ServerSelection(ssOthers));
    CODE(search->Search(Bstr(L"IsInstalled=0"), result.out()), WU_E_DS_UNKNOWNSERVICE);
    SAME(words(), std::string("service not in the data store (WU_E_DS_UNKNOWNSERVICE, 0x80248014)"));
    auto all = items<IUpdateService, IUpdateServiceCollection>(object(services().get(), &IUpdateServiceManager::get_Services).get());
    MUST(search->put_ServiceID(Bstr(text(all.at(0).get(), &IUpdateService::get_ServiceID))));
    CODE(search->Search(Bstr(L"IsInstalled=0"), result.out()), S_OK);
    CODE(search->put_ServiceID(nullptr), S_OK);
    Com<IUpdateHistoryEntryCollection> history;
    CODE(session().as<IUpdateSession3>()->QueryHistory(Bstr(L"Title='x'"), 0, 1, history.out()), WU_E_INVALID_CRITERIA);
    CODE(session().as<IUpdateSession3>()->QueryHistory(nullptr, 0, 1, history.out()), S_OK);
}

TEST("members", the_agent_s_version_is_told_by_name_only) {
    auto info = create<IWindowsUpdateAgentInfo>(__uuidof(WindowsUpdateAgentInfo));
    Variant value;
    CODE(info->GetInfo(Variant(L"ApiMajorVersion"), value.out()), S_OK);
    SAME(static_cast<int>(value->vt), static_cast<int>(VT_I4));
    CHECK(value->lVal >= 7);
    CODE(info->GetInfo(Variant(L"ProductVersionString"), value.out()), S_OK);
    SAME(static_cast<int>(value->vt), static_cast<int>(VT_BSTR));
    CODE(info->GetInfo(Variant(L"Colour"), value.out()), E_INVALIDARG);
    SAME(static_cast<int>(value->vt), static_cast<int>(VT_EMPTY));
    CODE(info->GetInfo(Variant(7l), value.out()), E_INVALIDARG);
    auto agent = create<IInstallationAgent>(__uuidof(InstallationAgent));
    auto nothing = create<IStringCollection>(__uuidof(StringCollection));
    CODE(agent->RecordInstallationResult(Bstr(L"cookie"), S_OK, nothing.get()), E_INVALIDARG);
    auto system = create<ISystemInformation>(__uuidof(SystemInformation));
    SAME(text(system.get(), &ISystemInformation::get_OemHardwareSupportLink), std::string());
}

TEST("members", what_is_in_a_bundle_is_hidden_with_it) {
    auto bundle = pending(1)[0];
    auto children = items<IUpdate, IUpdateCollection>(object(bundle.get(), &IUpdate::get_BundledUpdates).get());
    CHECK(!children.empty());
    CODE(children[0]->put_IsHidden(VARIANT_TRUE), S_OK);
    CHECK(truth(bundle.get(), &IUpdate::get_IsHidden));
    for (auto& child : children) CHECK(truth(child.get(), &IUpdate::get_IsHidden));
    CODE(children[0]->put_IsHidden(VARIANT_FALSE), S_OK);
    CHECK(!truth(bundle.get(), &IUpdate::get_IsHidden));
    for (auto& child : children) CHECK(!truth(child.get(), &IUpdate::get_IsHidden));
}

// The machine's policy says how often is tried again, and nothing that these settings have.
TEST("members", a_policy_on_other_things_leaves_settings_free) {
    auto settings = object(automatic().get(), &IAutomaticUpdates::get_Settings);
    CHECK(!truth(settings.get(), &IAutomaticUpdatesSettings::get_ReadOnly));
    CHECK(!truth(settings.get(), &IAutomaticUpdatesSettings::get_Required));
    VARIANT_BOOL permitted = VARIANT_FALSE;
    CODE(settings.as<IAutomaticUpdatesSettings2>()->CheckPermission(auutCurrentUser, auptSetNotificationLevel, &permitted), S_OK);
    SAME(static_cast<int>(permitted), static_cast<int>(VARIANT_TRUE));
}

TEST("members", a_search_that_is_refused_ends_no_pending_registration) {
    Com<IUpdateServiceRegistration> told;
    CODE(services()->AddService2(Bstr(STRANGE), 1, nullptr, told.out()), S_OK);
    auto front = searcher();
    Counted no_callback(false);
    Com<ISearchJob> job;
    CODE(front->BeginSearch(Bstr(L"IsInstalled=0"), &no_callback, Variant(), job.out()), E_NOINTERFACE);
    CHECK(!job);
    SAME(state_of(STRANGE), static_cast<int>(usrsRegistrationPending));
    CODE(front->BeginSearch(Bstr(L"IsInstalled=0"), nullptr, Variant(), job.out()), S_OK);
    SAME(state_of(STRANGE), static_cast<int>(usrsNotRegistered));
    Com<ISearchResult> result;
    MUST(front->EndSearch(job.get(), result.out()));
}

TEST("members", an_object_of_another_library_is_refused_without_being_asked) {
    struct Stranger : Counted {
        HRESULT STDMETHODCALLTYPE QueryInterface(REFIID iid, void** object) override {
            ++asked;
            return Counted::QueryInterface(iid, object);
        }
        int asked = 0;
    } stranger;
    auto* object = static_cast<IDispatch*>(&stranger);
    CODE(create<IUpdateCollection>(__uuidof(UpdateCollection))->Add(reinterpret_cast<IUpdate*>(object), nullptr), E_INVALIDARG);
    Com<IUpdateInstaller> installer;
    MUST(session()->CreateUpdateInstaller(installer.out()));
    CODE(installer->put_Updates(reinterpret_cast<IUpdateCollection*>(object)), E_INVALIDARG);
    Com<IInstallationResult> installed;
    CODE(installer->EndInstall(reinterpret_cast<IInstallationJob*>(object), installed.out()), E_INVALIDARG);
    CODE(session()->put_WebProxy(reinterpret_cast<IWebProxy*>(object)), E_INVALIDARG);
    auto proxy = create<IWebProxy>(__uuidof(WebProxy));
    CODE(proxy->put_BypassList(reinterpret_cast<IStringCollection*>(object)), E_INVALIDARG);
    SAME(stranger.asked, 0);
    SAME(stranger.references(), 0ul);
}

TEST("members", a_window_may_ask_its_installer_while_it_is_got) {
    struct Window : Counted {
        HRESULT STDMETHODCALLTYPE QueryInterface(REFIID iid, void** object) override {
            if (installer) code = Com<IUpdateInstaller>(std::move(installer))->put_ParentWindow(nullptr);
            return Counted::QueryInterface(iid, object);
        }
        Com<IUpdateInstaller> installer;
        HRESULT code = E_PENDING;
    } window;
    Com<IUpdateInstaller> installer;
    MUST(session()->CreateUpdateInstaller(installer.out()));
    MUST(installer->put_ParentWindow(&window));
    window.installer = installer;
    Com<IUnknown> got;
    CODE(installer->get_ParentWindow(got.out()), S_OK);
    SAME(window.code, S_OK);
    SAME(identity(got.get()), identity(static_cast<IUnknown*>(&window)));
    CODE(installer->get_ParentWindow(got.out()), S_OK);
    CHECK(!got);
}

// Nobody ends the job, and what was given along with it may hold the installer: it has to be let go of all the same.
TEST("members", an_installer_keeps_nothing_of_a_job_that_is_over) {
    Counted state;
    Install install(1);
    {
        Com<IInstallationJob> job;
        MUST(install.begin(nullptr, Variant(static_cast<IUnknown*>(&state)), job.out()));
        CHECK(state.references() > 0);
    }
    CHECK(becomes(60'000, [&] { return state.references() == 0; }));
}

TEST("members", arguments_that_are_counted_but_missing_are_refused) {
    auto search = searcher().as<IDispatch>();
    auto* name = const_cast<wchar_t*>(L"Online");
    DISPID id = 0;
    MUST(search->GetIDsOfNames(IID_NULL, &name, 1, LOCALE_USER_DEFAULT, &id));
    Variant truth_, result;
    DISPPARAMS none{nullptr, nullptr, 1, 0}, nameless{truth_.out(), nullptr, 1, 1};
    for (auto* arguments : {&none, &nameless})
        CODE(search->Invoke(id, IID_NULL, LOCALE_USER_DEFAULT, DISPATCH_PROPERTYPUT, arguments, result.out(), nullptr, nullptr), E_INVALIDARG);
}

// A thread with a single-threaded apartment takes calls while the agent, which is away, is waited for.
TEST("hostile", a_client_s_apartment_is_awake_while_a_job_is_begun_in_vain) {
    struct Awake {
        Event ready, begun, called;
        HRESULT code = E_PENDING;
        bool was_called = false;
        std::vector<Com<IUpdate>> updates = pending(1);
        IStream* carried = nullptr;
    } awake;
    HANDLE thread = CreateThread(nullptr, 0, [](void* argument) -> DWORD {
        auto& awake = *static_cast<Awake*>(argument);
        Initialised initialised(Apartment::Single);
        Counted lives_here;
        lives_here.invoked = [&](auto, auto, auto*) { return awake.called.set(), S_OK; };
        CoMarshalInterThreadInterfaceInStream(IID_IDispatch, &lives_here, &awake.carried);
        Install install(collection(awake.updates));
        awake.ready.set();
        // Without taking calls: only while the job is begun are any taken.
        awake.begun.wait_for(30'000, Apartment::Many);
        Com<IInstallationJob> job;
        awake.code = install.begin(nullptr, Variant(), job.out());
        awake.was_called = awake.called.is_set();
        // Whoever calls only now has to come to an end, too.
        pump();
        return 0;
    }, &awake, 0, nullptr);
    CHECK(awake.ready.wait_for(30'000, setting.apartment));
    tell("nobody");
    awake.begun.set();
    {
        Com<IDispatch> far_away;
        MUST(CoGetInterfaceAndReleaseStream(awake.carried, IID_IDispatch, reinterpret_cast<void**>(far_away.out())));
        DISPPARAMS nothing{};
        HRESULT code = far_away->Invoke(0, IID_NULL, LOCALE_USER_DEFAULT, DISPATCH_METHOD, &nothing, nullptr, nullptr, nullptr);
        SAME(code, S_OK);
    }
    CHECK(wait(thread, 120'000, setting.apartment));
    CloseHandle(thread);
    tell("good");
    SAME(awake.code, WU_E_SERVICE_STOP);
    CHECK(awake.was_called);
}
