// What a native client sees that a script cannot: vtables, identity, apartments, NULLs, who frees what. One line a check; WRONG
// marks what is not as it should be, and their number is the exit code. The header is made of the IDL by `widl -h`.
#define INITGUID
#include <windows.h>
#include <oleauto.h>
#include <cstdio>
#include "wuapi.h"

static int wrong = 0;
static void check(const char *what, long got, long expected) {
    bool good = got == expected;
    wrong += !good;
    printf("%s: 0x%08lx%s\n", what, (unsigned long)got, good ? "" : "   WRONG");
}

static DWORD WINAPI other_thread(void *argument) {
    CoInitializeEx(nullptr, COINIT_MULTITHREADED);
    IStream *stream = (IStream *)argument;
    IStringCollection *strings = nullptr;
    HRESULT code = CoGetInterfaceAndReleaseStream(stream, IID_IStringCollection, (void **)&strings);
    LONG count = -1;
    if (SUCCEEDED(code)) strings->get_Count(&count);
    CoUninitialize();
    return SUCCEEDED(code) ? (DWORD)(ULONG_PTR)strings : 0;
}

int main() {
    CoInitializeEx(nullptr, COINIT_APARTMENTTHREADED);
    IStringCollection *strings = nullptr;
    HRESULT code = CoCreateInstance(CLSID_StringCollection, nullptr, CLSCTX_INPROC_SERVER, IID_IStringCollection, (void **)&strings);
    check("create", code, S_OK);
    if (FAILED(code)) return 1;
    BSTR text = SysAllocString(L"text");
    check("add with NULL retval", strings->Add(text, nullptr), S_OK);
    LONG index = 77;
    check("add NULL", strings->Add(nullptr, &index), E_POINTER);
    check("add NULL leaves 0", index, 0);
    check("count to NULL", strings->get_Count(nullptr), E_POINTER);
    BSTR got = (BSTR)1;
    check("item 5", strings->get_Item(5, &got), 0x80240007);
    check("item 5 leaves NULL", got == nullptr, 1);
    IUnknown *unknown = nullptr, *again = nullptr, *marshal = nullptr, *nothing = (IUnknown *)1;
    strings->QueryInterface(IID_IUnknown, (void **)&unknown);
    IDispatch *dispatch = nullptr;
    check("IDispatch", strings->QueryInterface(IID_IDispatch, (void **)&dispatch), S_OK);
    dispatch->QueryInterface(IID_IUnknown, (void **)&again);
    check("one identity", unknown == again, 1);
    check("IMarshal", strings->QueryInterface(IID_IMarshal, (void **)&marshal), S_OK);
    check("IUpdate", strings->QueryInterface(IID_IUpdate, (void **)&nothing), E_NOINTERFACE);
    check("IUpdate leaves NULL", nothing == nullptr, 1);
    check("QueryInterface to NULL", strings->QueryInterface(IID_IUnknown, nullptr), E_POINTER);
    IUnknown *enumerator = nullptr;
    strings->get__NewEnum(&enumerator);
    IEnumVARIANT *walk = nullptr;
    check("IEnumVARIANT", enumerator->QueryInterface(IID_IEnumVARIANT, (void **)&walk), S_OK);
    VARIANT elements[3];
    ULONG fetched = 9;
    check("next 3 of 1", walk->Next(3, elements, &fetched), S_FALSE);
    check("fetched", fetched, 1);
    check("a text", elements[0].vt, VT_BSTR);
    check("next at end", walk->Next(1, elements, nullptr), S_FALSE);
    check("clone to NULL", walk->Clone(nullptr), E_POINTER);
    check("reset", walk->Reset(), S_OK);
    check("skip 1", walk->Skip(1), S_OK);
    check("skip 1 more", walk->Skip(1), S_FALSE);

    IStream *stream = nullptr;
    check("marshal", CoMarshalInterThreadInterfaceInStream(IID_IStringCollection, strings, &stream), S_OK);
    HANDLE thread = CreateThread(nullptr, 0, other_thread, stream, 0, nullptr);
    WaitForSingleObject(thread, 10000);
    DWORD pointer = 0;
    GetExitCodeThread(thread, &pointer);
    check("same pointer in another apartment", pointer == (DWORD)(ULONG_PTR)strings, 1);

    // A VARIANT that is given stays the caller's: it is used again and freed here.
    IWindowsUpdateAgentInfo *info = nullptr;
    CoCreateInstance(CLSID_WindowsUpdateAgentInfo, nullptr, CLSCTX_INPROC_SERVER, IID_IWindowsUpdateAgentInfo, (void **)&info);
    VARIANT name, value;
    VariantInit(&value);
    name.vt = VT_BSTR;
    name.bstrVal = SysAllocString(L"ProductVersionString");
    for (int i = 0; i < 1000; ++i) {
        VariantClear(&value);
        code = info->GetInfo(name, &value);
    }
    check("GetInfo a thousand times", code, S_OK);
    check("its text", value.vt, VT_BSTR);
    VariantClear(&name);

    IWebProxy *proxy = nullptr;
    CoCreateInstance(CLSID_WebProxy, nullptr, CLSCTX_INPROC_SERVER, IID_IWebProxy, (void **)&proxy);
    check("boolean 1", proxy->put_AutoDetect(1), E_INVALIDARG);
    check("boolean -1", proxy->put_AutoDetect(VARIANT_TRUE), S_OK);
    VARIANT_BOOL detects = 5;
    proxy->get_AutoDetect(&detects);
    check("is -1", detects, VARIANT_TRUE);
    IUpdateLockdown *lockdown = nullptr;
    check("IUpdateLockdown", proxy->QueryInterface(IID_IUpdateLockdown, (void **)&lockdown), S_OK);
    check("lock with 2", lockdown->LockDown(2), E_INVALIDARG);
    check("lock", lockdown->LockDown(1), S_OK);
    check("put when locked", proxy->put_Address(text), 0x80240036);
    IUpdateInstaller4 *installer = nullptr;
    check("installer as 4", CoCreateInstance(CLSID_UpdateInstaller, nullptr, CLSCTX_INPROC_SERVER, IID_IUpdateInstaller4, (void **)&installer), S_OK);
    check("no aggregation", CoCreateInstance(CLSID_UpdateInstaller, unknown, CLSCTX_INPROC_SERVER, IID_IUnknown, (void **)&nothing), CLASS_E_NOAGGREGATION);
    IUnknown *window = (IUnknown *)1;
    check("no parent window", installer->get_ParentWindow(&window), S_OK);
    check("is NULL", window == nullptr, 1);
    check("parent window", installer->put_ParentWindow(unknown), S_OK);
    installer->get_ParentWindow(&window);
    check("is the same", window == unknown, 1);
    check("Commit", installer->Commit(1), E_INVALIDARG);

    HMODULE dll = GetModuleHandleW(L"wuapi.dll");
    auto can_unload = reinterpret_cast<HRESULT(WINAPI *)()>(reinterpret_cast<void *>(GetProcAddress(dll, "DllCanUnloadNow")));
    check("DllCanUnloadNow in use", can_unload(), S_FALSE);
    window->Release();
    installer->put_ParentWindow(nullptr);
    installer->Release(), proxy->Release(), lockdown->Release(), info->Release(), walk->Release(), enumerator->Release();
    marshal->Release(), unknown->Release(), again->Release(), dispatch->Release();
    // The other thread's reference, and our own.
    strings->Release();
    check("last reference", strings->Release(), 0);
    check("DllCanUnloadNow", can_unload(), S_OK);
    printf(wrong ? "%d wrong\n" : "all as it should be\n", wrong);
    return wrong;
}
