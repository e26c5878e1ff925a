// Late binding, as scripts come: names, DISPIDs, EXCEPINFO, types of what comes out.
#include "contract.h"

#include <stdexcept>

namespace {

HRESULT name_to_id(IDispatch* object, const wchar_t* name, DISPID* id) {
    auto* text = const_cast<wchar_t*>(name);
    return object->GetIDsOfNames(IID_NULL, &text, 1, LOCALE_USER_DEFAULT, id);
}

HRESULT invoke(IDispatch* object, DISPID id, WORD flags, std::vector<VARIANT> reversed, Variant& result, EXCEPINFO* exception) {
    DISPID put = DISPID_PROPERTYPUT;
    bool puts = flags & (DISPATCH_PROPERTYPUT | DISPATCH_PROPERTYPUTREF);
    DISPPARAMS arguments{reversed.data(), puts ? &put : nullptr, static_cast<UINT>(reversed.size()), puts ? 1u : 0u};
    return object->Invoke(id, IID_NULL, LOCALE_USER_DEFAULT, flags, &arguments, puts ? nullptr : result.out(), exception, nullptr);
}

HRESULT call(IDispatch* object, const wchar_t* name, WORD flags, std::vector<VARIANT> reversed, Variant& result,
             EXCEPINFO* exception = nullptr) {
    DISPID id = 0;
    HRESULT known = name_to_id(object, name, &id);
    return FAILED(known) ? known : invoke(object, id, flags, std::move(reversed), result, exception);
}

void forget(EXCEPINFO& exception) {
    SysFreeString(exception.bstrSource);
    SysFreeString(exception.bstrDescription);
    SysFreeString(exception.bstrHelpFile);
}

}  // namespace

TEST("late", a_failing_member_is_an_exception_with_its_code_and_a_text) {
    auto search = searcher();
    Variant criteria(L"IsInstalled > 0"), result;
    EXCEPINFO exception{};
    CODE(call(search.get(), L"Search", DISPATCH_METHOD, {criteria}, result, &exception), DISP_E_EXCEPTION);
    if (exception.pfnDeferredFillIn) exception.pfnDeferredFillIn(&exception);
    HRESULT code = exception.scode;
    std::string text = utf8(exception.bstrDescription);
    forget(exception);
    SAME(code, WU_E_INVALID_CRITERIA);
    CHECK(!text.empty());
}

TEST("late", names_are_found_whatever_their_case_and_unknown_ones_are_not) {
    auto search = searcher();
    DISPID id = 0, other = 1;
    CODE(name_to_id(search.get(), L"serverselection", &id), S_OK);
    CODE(name_to_id(search.get(), L"ServerSelection", &other), S_OK);
    SAME(id, 0x60020007l);
    SAME(other, id);
    CODE(name_to_id(search.get(), L"NoSuchMember", &id), DISP_E_UNKNOWNNAME);
}

TEST("late", the_newest_members_are_reached_by_the_oldest_interface) {
    auto update = pending(1)[0];
    Variant value;
    for (auto name : {L"RebootRequired", L"IsPresent", L"BrowseOnly", L"PerUser"}) {
        CODE(call(update.get(), name, DISPATCH_PROPERTYGET, {}, value), S_OK);
        SAME(static_cast<int>(value->vt), static_cast<int>(VT_BOOL));
    }
    CODE(call(update.get(), L"AutoSelection", DISPATCH_PROPERTYGET, {}, value), S_OK);
    CODE(call(update.get(), L"CveIDs", DISPATCH_PROPERTYGET, {}, value), S_OK);
    SAME(static_cast<int>(value->vt), static_cast<int>(VT_DISPATCH));
}

TEST("late", byte_counts_are_decimals_and_defaults_are_dispid_0) {
    auto update = pending(1)[0];
    Variant value;
    CODE(call(update.get(), L"MaxDownloadSize", DISPATCH_PROPERTYGET, {}, value), S_OK);
    SAME(static_cast<int>(value->vt), static_cast<int>(VT_DECIMAL));
    CODE(invoke(update.get(), DISPID_VALUE, DISPATCH_PROPERTYGET, {}, value, nullptr), S_OK);
    SAME(static_cast<int>(value->vt), static_cast<int>(VT_BSTR));
    SAME(utf8(value->bstrVal), title(update.get()));
}

TEST("late", restricted_members_and_wrong_numbers_of_arguments_are_refused) {
    Com<IUpdateInstaller> installer;
    MUST(session()->CreateUpdateInstaller(installer.out()));
    Variant value;
    HRESULT code = call(installer.get(), L"ParentHwnd", DISPATCH_PROPERTYGET, {}, value);
    CHECK(code == DISP_E_UNKNOWNNAME || code == DISP_E_MEMBERNOTFOUND);
    auto search = searcher();
    CODE(call(search.get(), L"Search", DISPATCH_METHOD, {}, value), DISP_E_BADPARAMCOUNT);
    CODE(call(search.get(), L"Search", DISPATCH_METHOD, {Variant(1l), Variant(2l)}, value), DISP_E_BADPARAMCOUNT);
}

TEST("late", numbers_and_texts_are_converted) {
    auto search = searcher();
    Variant value, text(L"2");
    CODE(call(search.get(), L"ServerSelection", DISPATCH_PROPERTYPUT, {text}, value), S_OK);
    SAME(static_cast<int>(number<ServerSelection>(search.get(), &IUpdateSearcher::get_ServerSelection)), 2);
}

TEST("late", a_dispatch_callback_gets_args_and_job_in_reversed_order) {
    Counted callback;
    Event done;
    std::string wrong = "not called";
    IUnknown* told = nullptr;
    callback.invoked = [&](DISPID id, WORD flags, DISPPARAMS* arguments) {
        wrong.clear();
        if (id != DISPID_VALUE) wrong = format("DISPID %ld", id);
        else if (!(flags & DISPATCH_METHOD)) wrong = "no method call";
        else if (arguments->cArgs != 2 || arguments->cNamedArgs != 0) wrong = "not two arguments";
        else if (arguments->rgvarg[0].vt != VT_DISPATCH || arguments->rgvarg[1].vt != VT_DISPATCH) wrong = "no VT_DISPATCH";
        else {
            auto args = Com<IDispatch>(arguments->rgvarg[0].pdispVal).as<ISearchCompletedCallbackArgs>();
            auto job = Com<IDispatch>(arguments->rgvarg[1].pdispVal).as<ISearchJob>();
            if (!args) wrong = "the first is no args object";
            else if (!job) wrong = "the second is no job";
            else told = identity(job.get());
        }
        if (!on_its_thread()) wrong = "on the wrong thread";
        done.set();
        return S_OK;
    };
    Search search;
    Com<ISearchJob> job;
    MUST(search.begin(&callback, Variant(), job.out()));
    CHECK(done.wait_for(60'000, setting.apartment));
    SAME(wrong, std::string());
    SAME(told, identity(job.get()));
    Com<ISearchResult> result;
    MUST(search.end(job.get(), result.out()));
    SAME(callback.references(), 0ul);
}

TEST("late", an_exception_tells_of_its_own_call_and_may_be_left_out) {
    auto search = searcher();
    Variant criteria(L"IsInstalled > 0"), result;
    // What an earlier call left behind is not told.
    CODE(search->put_ServiceID(Bstr(L"abc")), E_INVALIDARG);
    EXCEPINFO exception{};
    CODE(call(search.get(), L"Search", DISPATCH_METHOD, {criteria}, result, &exception), DISP_E_EXCEPTION);
    std::string text = utf8(exception.bstrDescription), source = utf8(exception.bstrSource);
    forget(exception);
    CHECK(text.find("WU_E_INVALID_CRITERIA") != std::string::npos);
    CHECK(text.find("abc") == std::string::npos);
    SAME(source, std::string("Microsoft.Update"));
    CODE(call(search.get(), L"Search", DISPATCH_METHOD, {criteria}, result), DISP_E_EXCEPTION);
}

TEST("late", what_scripts_give_by_reference_is_looked_into) {
    auto info = create<IWindowsUpdateAgentInfo>(__uuidof(WindowsUpdateAgentInfo));
    Variant name(L"ApiMajorVersion"), value;
    VARIANT of_variant{}, of_text{};
    of_variant.vt = VT_BYREF | VT_VARIANT;
    of_variant.pvarVal = &name.raw;
    of_text.vt = VT_BYREF | VT_BSTR;
    of_text.pbstrVal = &name.raw.bstrVal;
    for (auto& given : {of_variant, of_text}) {
        CODE(call(info.get(), L"GetInfo", DISPATCH_METHOD, {given}, value), S_OK);
        SAME(static_cast<int>(value->vt), static_cast<int>(VT_I4));
    }
}

TEST("late", a_dispatch_callback_that_throws_changes_nothing) {
    Counted callback;
    int calls = 0;
    callback.invoked = [&](DISPID, WORD, DISPPARAMS*) -> HRESULT {
        ++calls;
        throw std::runtime_error("as the test wants it");
    };
    Search search;
    Com<ISearchJob> job;
    MUST(search.begin(&callback, Variant(), job.out()));
    Com<ISearchResult> result;
    MUST(search.end(job.get(), result.out()));
    SAME(calls, 1);
    SAME(callback.references(), 0ul);
}

// The IDL has defaults for RunWizard's title and AddScanPackageService's flags. A script leaves them away, or says nothing between commas.
TEST("late", arguments_with_defaults_may_be_left_out) {
    auto fails_with = [](IDispatch* object, const wchar_t* name, std::vector<VARIANT> reversed, HRESULT expected) {
        Variant result;
        EXCEPINFO exception{};
        CODE(call(object, name, DISPATCH_METHOD, std::move(reversed), result, &exception), DISP_E_EXCEPTION);
        HRESULT code = exception.scode;
        forget(exception);
        SAME(code, expected);
    };
    VARIANT nothing{};
    nothing.vt = VT_ERROR;
    nothing.scode = DISP_E_PARAMNOTFOUND;
    Com<IUpdateInstaller> installer;
    MUST(session()->CreateUpdateInstaller(installer.out()));
    fails_with(installer.get(), L"RunWizard", {}, WU_E_NO_UPDATE);
    fails_with(installer.get(), L"RunWizard", {nothing}, WU_E_NO_UPDATE);
    auto manager = create<IUpdateServiceManager>(__uuidof(UpdateServiceManager));
    Variant name(L"offline"), there(file(setting.layout).c_str()), wrong(2l);
    fails_with(manager.get(), L"AddScanPackageService", {there, name}, TRUST_E_NOSIGNATURE);
    fails_with(manager.get(), L"AddScanPackageService", {nothing, there, name}, TRUST_E_NOSIGNATURE);
    fails_with(manager.get(), L"AddScanPackageService", {wrong, there, name}, E_INVALIDARG);
}
