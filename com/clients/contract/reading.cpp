// Somebody who may only look: a bridge that reaches the agent's `read.sock` alone. What acts is refused, and nothing else is.
#include "contract.h"

TEST("reading", who_may_only_look_sees_everything) {
    auto updates = found(L"IsInstalled=0");
    CHECK(number<LONG>(updates.get(), &IUpdateCollection::get_Count) > 0);
    auto update = items<IUpdate, IUpdateCollection>(updates.get())[0];
    CHECK(!truth(update.get(), &IUpdate::get_IsHidden));
    CHECK(!truth(update.get(), &IUpdate::get_IsDownloaded));
    LONG total = -1;
    CODE(searcher()->GetTotalHistoryCount(&total), S_OK);
    Com<IUpdateInstaller> installer;
    CODE(session()->CreateUpdateInstaller(installer.out()), S_OK);
    CHECK(!truth(installer.get(), &IUpdateInstaller::get_IsBusy));
    auto system = create<ISystemInformation>(__uuidof(SystemInformation));
    CHECK(!truth(system.get(), &ISystemInformation::get_RebootRequired));
    auto automatic = create<IAutomaticUpdates>(__uuidof(AutomaticUpdates));
    CHECK(truth(automatic.get(), &IAutomaticUpdates::get_ServiceEnabled));
    auto settings = object(automatic.get(), &IAutomaticUpdates::get_Settings);
    CHECK(truth(settings.get(), &IAutomaticUpdatesSettings::get_ReadOnly));
    CODE(settings->Refresh(), S_OK);
    // Nothing was changed.
    CODE(settings->Save(), S_OK);
}

TEST("reading", who_may_only_look_changes_nothing) {
    auto automatic = create<IAutomaticUpdates>(__uuidof(AutomaticUpdates));
    CODE(automatic->Pause(), E_ACCESSDENIED);
    CODE(automatic->Resume(), E_ACCESSDENIED);
    CODE(automatic->EnableService(), E_ACCESSDENIED);
    CODE(automatic->DetectNow(), E_ACCESSDENIED);
    auto settings = object(automatic.get(), &IAutomaticUpdates::get_Settings).as<IAutomaticUpdatesSettings3>();
    CODE(settings->put_NotificationLevel(aunlDisabled), E_ACCESSDENIED);
    CODE(settings->put_ScheduledInstallationDay(ausidEveryDay), E_ACCESSDENIED);
    CODE(settings->put_ScheduledInstallationTime(5), E_ACCESSDENIED);
    CODE(settings->put_IncludeRecommendedUpdates(VARIANT_TRUE), E_ACCESSDENIED);
    CODE(settings->put_NonAdministratorsElevated(VARIANT_FALSE), E_ACCESSDENIED);
    VARIANT_BOOL permitted = VARIANT_TRUE;
    CODE(settings->CheckPermission(auutCurrentUser, auptSetNotificationLevel, &permitted), S_OK);
    SAME(static_cast<int>(permitted), static_cast<int>(VARIANT_FALSE));
    CODE(settings->CheckPermission(auutLocalAdministrator, auptSetNotificationLevel, &permitted), S_OK);
    SAME(static_cast<int>(permitted), static_cast<int>(VARIANT_TRUE));

    auto update = pending(1)[0];
    CODE(update->put_IsHidden(VARIANT_TRUE), E_ACCESSDENIED);
    auto wanted = collection({update});
    Com<IUpdateDownloader> downloader;
    MUST(session()->CreateUpdateDownloader(downloader.out()));
    MUST(downloader->put_Updates(wanted.get()));
    Com<IDownloadResult> downloaded;
    CODE(downloader->Download(downloaded.out()), E_ACCESSDENIED);
    Com<IDownloadJob> downloading;
    CODE(downloader->BeginDownload(nullptr, nullptr, Variant(), downloading.out()), E_ACCESSDENIED);
    CHECK(!downloading);
    Com<IUpdateInstaller> installer;
    MUST(session()->CreateUpdateInstaller(installer.out()));
    MUST(installer->put_Updates(wanted.get()));
    Com<IInstallationResult> installed;
    CODE(installer->Install(installed.out()), E_ACCESSDENIED);
    CODE(installer->Uninstall(installed.out()), E_ACCESSDENIED);
    Com<IInstallationJob> installing;
    CODE(installer->BeginInstall(nullptr, nullptr, Variant(), installing.out()), E_ACCESSDENIED);
    CHECK(!installing);

    Com<IUpdateServiceManager2> manager;
    MUST(session().as<IUpdateSession3>()->CreateUpdateServiceManager(manager.out()));
    auto all = items<IUpdateService, IUpdateServiceCollection>(object(manager.get(), &IUpdateServiceManager::get_Services).get());
    CODE(manager->RegisterServiceWithAU(Bstr(text(all.at(0).get(), &IUpdateService::get_ServiceID))), E_ACCESSDENIED);
}
