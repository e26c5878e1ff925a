#include "walk.h"

#include <algorithm>
#include <cmath>

namespace {

// One fact per member; `at`, `object` and the interface's name `Face` come from where the macro is used.
#define STRING(member) fact(at + "." #member, text(object, &Face::get_##member))
#define TRUTH(member) fact(at + "." #member, truth(object, &Face::get_##member))
#define LONG_NUMBER(member) fact(at + "." #member, number<LONG>(object, &Face::get_##member))
#define CODE(member) fact(at + "." #member, hex(number<LONG>(object, &Face::get_##member)))
#define ENUM(kind, member) fact(at + "." #member, static_cast<long long>(number<kind>(object, &Face::get_##member)))
#define STRINGS(member) list(at + "." #member, ::object<IStringCollection>(object, &Face::get_##member).get())
#define BYTES(member) fact(at + "." #member, decimal(object, &Face::get_##member))
#define DATE_TIME(member) fact(at + "." #member, date(number<DATE>(object, &Face::get_##member)))

// Seconds since 1970, rounded: what a DATE can tell apart.
std::string date(DATE days) { return format("%lld", std::llround((days - 25569.0) * 86400.0)); }

std::string date(const VARIANT& value) {
    if (value.vt == VT_EMPTY) return "";
    if (value.vt != VT_DATE) throw Failure{E_UNEXPECTED, format("a date is of type %d", value.vt)};
    return date(value.date);
}

void list(const std::string& key, IStringCollection* collection) {
    if (!collection) throw Failure{E_UNEXPECTED, key + " is NULL"};
    fact(key, joined(strings(collection)));
    if (!truth(collection, &IStringCollection::get_ReadOnly)) throw Failure{E_UNEXPECTED, key + " can be written to"};
}

void walk_behaviour(const std::string& at, IInstallationBehavior* object) {
    using Face = IInstallationBehavior;
    fact(at, object ? "some" : "none");
    if (!object) return;
    TRUTH(CanRequestUserInput);
    ENUM(InstallationImpact, Impact);
    ENUM(InstallationRebootBehavior, RebootBehavior);
    TRUTH(RequiresNetworkConnectivity);
}

void walk_image(const std::string& at, IImageInformation* object) {
    using Face = IImageInformation;
    fact(at, object ? "some" : "none");
    if (!object) return;
    STRING(AltText);
    LONG_NUMBER(Height);
    LONG_NUMBER(Width);
    STRING(Source);
}

void walk_identity(const std::string& at, IUpdateIdentity* object) {
    using Face = IUpdateIdentity;
    STRING(UpdateID);
    LONG_NUMBER(RevisionNumber);
}

std::string names(ICategoryCollection* categories) {
    std::vector<std::string> made;
    for (auto& one : items<ICategory, ICategoryCollection>(categories)) made.push_back(text(one.get(), &ICategory::get_Name));
    return joined(made);
}

void walk_category(const std::string& at, ICategory* object) {
    using Face = ICategory;
    STRING(Name);
    STRING(CategoryID);
    STRING(Description);
    STRING(Type);
    LONG_NUMBER(Order);
    walk_image(at + ".Image", ::object(object, &Face::get_Image).get());
    auto parent = ::object(object, &Face::get_Parent);
    fact(at + ".Parent", parent ? text(parent.get(), &Face::get_Name) : "");
    std::vector<std::string> ids;
    for (auto& one : items<IUpdate, IUpdateCollection>(::object(object, &Face::get_Updates).get())) ids.push_back(id_of(one.get()));
    fact(at + ".Updates", joined(ids));
    auto children = ::object(object, &Face::get_Children);
    LONG index = 0;
    for (auto& one : items<ICategory, ICategoryCollection>(children.get()))
        walk_category(at + format(".%ld", index++), one.get());
}

void walk_update(const std::string& at, IUpdate* object) {
    using Face = IUpdate;
    STRING(Title);
    TRUTH(AutoSelectOnWebSites);
    TRUTH(CanRequireSource);
    fact(at + ".Categories", names(::object(object, &Face::get_Categories).get()));
    Variant deadline;
    MUST(object->get_Deadline(deadline.out()));
    fact(at + ".Deadline", date(deadline.raw));
    TRUTH(DeltaCompressedContentAvailable);
    TRUTH(DeltaCompressedContentPreferred);
    STRING(Description);
    TRUTH(EulaAccepted);
    STRING(EulaText);
    STRING(HandlerID);
    walk_identity(at + ".Identity", ::object(object, &Face::get_Identity).get());
    walk_image(at + ".Image", ::object(object, &Face::get_Image).get());
    walk_behaviour(at + ".InstallationBehavior", ::object(object, &Face::get_InstallationBehavior).get());
    TRUTH(IsBeta);
    TRUTH(IsDownloaded);
    TRUTH(IsHidden);
    TRUTH(IsInstalled);
    TRUTH(IsMandatory);
    TRUTH(IsUninstallable);
    STRINGS(Languages);
    DATE_TIME(LastDeploymentChangeTime);
    BYTES(MaxDownloadSize);
    BYTES(MinDownloadSize);
    STRINGS(MoreInfoUrls);
    STRING(MsrcSeverity);
    LONG_NUMBER(RecommendedCpuSpeed);
    LONG_NUMBER(RecommendedHardDiskSpace);
    LONG_NUMBER(RecommendedMemory);
    STRING(ReleaseNotes);
    STRINGS(SecurityBulletinIDs);
    STRINGS(SupersededUpdateIDs);
    STRING(SupportUrl);
    ENUM(UpdateType, Type);
    STRING(UninstallationNotes);
    walk_behaviour(at + ".UninstallationBehavior", ::object(object, &Face::get_UninstallationBehavior).get());
    STRINGS(UninstallationSteps);
    STRINGS(KBArticleIDs);
    ENUM(DeploymentAction, DeploymentAction);
    ENUM(DownloadPriority, DownloadPriority);
    auto contents = ::object(object, &Face::get_DownloadContents);
    std::vector<std::string> urls;
    for (auto& one : items<IUpdateDownloadContent, IUpdateDownloadContentCollection>(contents.get())) {
        urls.push_back(text(one.get(), &IUpdateDownloadContent::get_DownloadUrl));
        auto second = one.as<IUpdateDownloadContent2>();
        if (!second) throw Failure{E_NOINTERFACE, "no IUpdateDownloadContent2"};
        truth(second.get(), &IUpdateDownloadContent2::get_IsDeltaCompressedContent);
    }
    fact(at + ".DownloadContents", joined(urls));
}

void walk_further(const std::string& at, IUpdate5* object) {
    using Face = IUpdate5;
    TRUTH(RebootRequired);
    TRUTH(IsPresent);
    STRINGS(CveIDs);
    TRUTH(BrowseOnly);
    TRUTH(PerUser);
    ENUM(AutoSelectionMode, AutoSelection);
    ENUM(AutoDownloadMode, AutoDownload);
}

void walk_bundle(const std::string& at, IUpdate* update) {
    walk_update(at, update);
    auto newest = Com<IUpdate>(update).as<IUpdate5>();
    if (!newest) throw Failure{E_NOINTERFACE, "an update has no IUpdate5"};
    walk_further(at, newest.get());
    auto children = object(update, &IUpdate::get_BundledUpdates);
    fact(at + ".BundledUpdates.Count", number<LONG>(children.get(), &IUpdateCollection::get_Count));
    LONG index = 0;
    for (auto& child : items<IUpdate, IUpdateCollection>(children.get()))
        walk_bundle(at + format(".BundledUpdates.%ld", index++), child.get());
}

}  // namespace

std::string id_of(IUpdate* update) {
    auto id = text(object(update, &IUpdate::get_Identity).get(), &IUpdateIdentity::get_UpdateID);
    std::transform(id.begin(), id.end(), id.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return id;
}

void walk_updates(IUpdateCollection* updates) {
    for (auto& update : items<IUpdate, IUpdateCollection>(updates)) walk_bundle("update." + id_of(update.get()), update.get());
}

void walk_search_result(ISearchResult* result) {
    fact("search.ResultCode", static_cast<long long>(number<OperationResultCode>(result, &ISearchResult::get_ResultCode)));
    auto updates = object(result, &ISearchResult::get_Updates);
    fact("search.Updates.Count", number<LONG>(updates.get(), &IUpdateCollection::get_Count));
    fact("search.Updates.ReadOnly", truth(updates.get(), &IUpdateCollection::get_ReadOnly));
    walk_updates(updates.get());
    LONG index = 0;
    for (auto& one : items<ICategory, ICategoryCollection>(object(result, &ISearchResult::get_RootCategories).get()))
        walk_category(format("category.%ld", index++), one.get());
    index = 0;
    for (auto& one : items<IUpdateException, IUpdateExceptionCollection>(::object(result, &ISearchResult::get_Warnings).get())) {
        IUpdateException* object = one.get();
        using Face = IUpdateException;
        std::string at = format("warning.%ld", index++);
        STRING(Message);
        CODE(HResult);
        ENUM(UpdateExceptionContext, Context);
    }
    fact("search.Warnings.Count", index);
}

void walk_history(IUpdateHistoryEntryCollection* entries) {
    LONG index = 0;
    for (auto& one : items<IUpdateHistoryEntry, IUpdateHistoryEntryCollection>(entries)) {
        IUpdateHistoryEntry* object = one.get();
        using Face = IUpdateHistoryEntry;
        std::string at = format("history.%ld", index++);
        ENUM(UpdateOperation, Operation);
        ENUM(OperationResultCode, ResultCode);
        CODE(HResult);
        DATE_TIME(Date);
        walk_identity(at + ".UpdateIdentity", ::object(object, &Face::get_UpdateIdentity).get());
        STRING(Title);
        STRING(Description);
        LONG_NUMBER(UnmappedResultCode);
        STRING(ClientApplicationID);
        ENUM(ServerSelection, ServerSelection);
        STRING(ServiceID);
        STRINGS(UninstallationSteps);
        STRING(UninstallationNotes);
        STRING(SupportUrl);
        auto second = one.as<IUpdateHistoryEntry2>();
        if (!second) throw Failure{E_NOINTERFACE, "no IUpdateHistoryEntry2"};
        fact(at + ".Categories", names(::object(second.get(), &IUpdateHistoryEntry2::get_Categories).get()));
    }
}

void walk_services(IUpdateServiceCollection* services) {
    LONG index = 0;
    for (auto& one : items<IUpdateService, IUpdateServiceCollection>(services)) {
        auto second = one.as<IUpdateService2>();
        if (!second) throw Failure{E_NOINTERFACE, "no IUpdateService2"};
        IUpdateService2* object = second.get();
        using Face = IUpdateService2;
        std::string at = "service." + text(object, &Face::get_ServiceID);
        STRING(Name);
        Variant certificate;
        MUST(object->get_ContentValidationCert(certificate.out()));
        fact(at + ".ContentValidationCert", certificate->vt);
        DATE_TIME(ExpirationDate);
        TRUTH(IsManaged);
        TRUTH(IsRegisteredWithAU);
        DATE_TIME(IssueDate);
        TRUTH(OffersWindowsUpdates);
        STRINGS(RedirectUrls);
        TRUTH(IsScanPackageService);
        TRUTH(CanRegisterWithAU);
        STRING(ServiceUrl);
        STRING(SetupPrefix);
        TRUTH(IsDefaultAUService);
        ++index;
    }
    fact("service.Count", index);
}

void walk_settings(IAutomaticUpdates* automatic) {
    fact("automatic.ServiceEnabled", truth(automatic, &IAutomaticUpdates::get_ServiceEnabled));
    auto settings = object(automatic, &IAutomaticUpdates::get_Settings).as<IAutomaticUpdatesSettings3>();
    if (!settings) throw Failure{E_NOINTERFACE, "no IAutomaticUpdatesSettings3"};
    IAutomaticUpdatesSettings3* object = settings.get();
    using Face = IAutomaticUpdatesSettings3;
    std::string at = "settings";
    ENUM(AutomaticUpdatesNotificationLevel, NotificationLevel);
    TRUTH(ReadOnly);
    TRUTH(Required);
    ENUM(AutomaticUpdatesScheduledInstallationDay, ScheduledInstallationDay);
    LONG_NUMBER(ScheduledInstallationTime);
    TRUTH(IncludeRecommendedUpdates);
    TRUTH(NonAdministratorsElevated);
    TRUTH(FeaturedUpdatesEnabled);
    auto second = Com<IAutomaticUpdates>(automatic).as<IAutomaticUpdates2>();
    if (!second) throw Failure{E_NOINTERFACE, "no IAutomaticUpdates2"};
    auto results = ::object(second.get(), &IAutomaticUpdates2::get_Results);
    Variant when;
    MUST(results->get_LastSearchSuccessDate(when.out()));
    fact("results.LastSearchSuccessDate", date(when.raw));
    MUST(results->get_LastInstallationSuccessDate(when.out()));
    fact("results.LastInstallationSuccessDate", date(when.raw));
}

void walk_system(ISystemInformation* system, IWindowsUpdateAgentInfo* agent) {
    fact("system.RebootRequired", truth(system, &ISystemInformation::get_RebootRequired));
    fact("system.OemHardwareSupportLink", text(system, &ISystemInformation::get_OemHardwareSupportLink));
    for (const wchar_t* name : {L"ApiMajorVersion", L"ApiMinorVersion", L"ProductVersionString"}) {
        Variant value;
        MUST(agent->GetInfo(Variant(name), value.out()));
        std::string key = "agent." + utf8(name);
        if (value->vt == VT_I4) fact(key, value->lVal);
        else if (value->vt == VT_BSTR) fact(key, utf8(value->bstrVal));
        else throw Failure{E_UNEXPECTED, format("%s is of type %d", key.c_str(), value->vt)};
    }
}
