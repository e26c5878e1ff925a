// What every C++ client here needs of COM: owned pointers and strings, failures as exceptions, callbacks from lambdas, waiting
// that suits the apartment, and facts: lines of `KEY=VALUE` that clients in all languages print alike.
//
// The interfaces come from our own IDL by `widl -h`. Nothing in here knows the DLL; only CoCreateInstance finds it.
#pragma once

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "wuapi.h"

// The API's result codes that clients meet, as wuerror.h has them.
constexpr HRESULT WU_E_INVALIDINDEX = static_cast<HRESULT>(0x80240007);
constexpr HRESULT WU_E_OPERATIONINPROGRESS = static_cast<HRESULT>(0x80240009);
constexpr HRESULT WU_E_COULDNOTCANCEL = static_cast<HRESULT>(0x8024000A);
constexpr HRESULT WU_E_CALL_CANCELLED = static_cast<HRESULT>(0x8024000B);
constexpr HRESULT WU_E_INSTALL_NOT_ALLOWED = static_cast<HRESULT>(0x80240016);
constexpr HRESULT WU_E_SERVICE_STOP = static_cast<HRESULT>(0x8024001E);
constexpr HRESULT WU_E_NO_UPDATE = static_cast<HRESULT>(0x80240024);
constexpr HRESULT WU_E_UNINSTALL_NOT_ALLOWED = static_cast<HRESULT>(0x80240028);
constexpr HRESULT WU_E_NOT_SUPPORTED = static_cast<HRESULT>(0x80240037);
constexpr HRESULT WU_E_INVALID_CRITERIA = static_cast<HRESULT>(0x80240032);
constexpr HRESULT WU_E_INVALID_OPERATION = static_cast<HRESULT>(0x80240036);
constexpr HRESULT WU_E_DM_NOTDOWNLOADED = static_cast<HRESULT>(0x80246007);
constexpr HRESULT WU_E_ALL_UPDATES_FAILED = static_cast<HRESULT>(0x80240022);
constexpr HRESULT WU_S_MARKED_FOR_DISCONNECT = 0x00240004;
constexpr HRESULT WU_S_ALREADY_INSTALLED = 0x00240006;
constexpr HRESULT WU_S_ALREADY_UNINSTALLED = 0x00240007;
constexpr HRESULT WU_S_ALREADY_DOWNLOADED = 0x00240008;

// A call that failed, or a promise that was not kept.
struct Failure {
    HRESULT code;
    std::string what;
};

inline std::string format(const char* pattern, ...) {
    va_list list, again;
    va_start(list, pattern);
    va_copy(again, list);
    std::string made(static_cast<size_t>(vsnprintf(nullptr, 0, pattern, list)), '\0');
    vsnprintf(made.data(), made.size() + 1, pattern, again);
    va_end(list);
    va_end(again);
    return made;
}

inline std::string hex(HRESULT code) { return format("0x%08X", static_cast<unsigned>(code)); }

inline void must(HRESULT code, const char* what) {
    if (FAILED(code)) throw Failure{code, format("%s: %s", what, hex(code).c_str())};
}
// Calls, and throws where it fails; the text of the call is part of the failure.
#define MUST(call) must((call), #call)

// An owned COM pointer.
template <class T>
class Com {
public:
    Com() = default;
    Com(T* counted) : raw(counted) {
        if (raw) raw->AddRef();
    }
    Com(const Com& other) : Com(other.raw) {}
    Com(Com&& other) noexcept : raw(std::exchange(other.raw, nullptr)) {}
    Com& operator=(Com other) noexcept {
        std::swap(raw, other.raw);
        return *this;
    }
    ~Com() {
        if (raw) raw->Release();
    }
    // Takes over a reference that somebody made for us.
    static Com own(T* made) {
        Com com;
        com.raw = made;
        return com;
    }
    // Where an out parameter puts its object; what was here before is released.
    T** out() {
        *this = Com();
        return &raw;
    }
    T* get() const { return raw; }
    T* operator->() const { return raw; }
    explicit operator bool() const { return raw != nullptr; }

    // The same object by another interface, or nothing.
    template <class Other>
    Com<Other> as() const {
        Com<Other> other;
        if (raw) raw->QueryInterface(__uuidof(Other), reinterpret_cast<void**>(other.out()));
        return other;
    }

private:
    T* raw = nullptr;
};

// The identity of an object: what COM promises to be equal for all ways to it.
template <class T>
IUnknown* identity(T* object) {
    IUnknown* unknown = nullptr;
    must(object->QueryInterface(IID_IUnknown, reinterpret_cast<void**>(&unknown)), "QueryInterface(IUnknown)");
    unknown->Release();
    return unknown;
}

template <class T>
Com<T> create(const CLSID& clsid) {
    Com<T> made;
    must(CoCreateInstance(clsid, nullptr, CLSCTX_INPROC_SERVER, __uuidof(T), reinterpret_cast<void**>(made.out())),
         "CoCreateInstance");
    return made;
}

// Strings.

inline std::string utf8(const wchar_t* wide, int length = -1) {
    if (!wide) return {};
    if (length < 0) length = static_cast<int>(wcslen(wide));
    std::string made(static_cast<size_t>(WideCharToMultiByte(CP_UTF8, 0, wide, length, nullptr, 0, nullptr, nullptr)), '\0');
    WideCharToMultiByte(CP_UTF8, 0, wide, length, made.data(), static_cast<int>(made.size()), nullptr, nullptr);
    return made;
}

class Bstr {
public:
    Bstr() = default;
    explicit Bstr(const wchar_t* text) : raw(SysAllocString(text)) {}
    explicit Bstr(const std::string& text) {
        int length = MultiByteToWideChar(CP_UTF8, 0, text.data(), static_cast<int>(text.size()), nullptr, 0);
        raw = SysAllocStringLen(nullptr, static_cast<UINT>(length));
        MultiByteToWideChar(CP_UTF8, 0, text.data(), static_cast<int>(text.size()), raw, length);
    }
    Bstr(const Bstr&) = delete;
    Bstr& operator=(const Bstr&) = delete;
    ~Bstr() { SysFreeString(raw); }
    BSTR get() const { return raw; }
    operator BSTR() const { return raw; }
    BSTR* out() {
        SysFreeString(raw);
        raw = nullptr;
        return &raw;
    }
    std::string text() const { return utf8(raw, static_cast<int>(SysStringLen(raw))); }

private:
    BSTR raw = nullptr;
};

// A VARIANT that is cleared at the end. By value it is passed as the ABI has it: `state` is no pointer in the API.
class Variant {
public:
    Variant() { VariantInit(&raw); }
    explicit Variant(long number) : Variant() {
        raw.vt = VT_I4;
        raw.lVal = number;
    }
    explicit Variant(const wchar_t* text) : Variant() {
        raw.vt = VT_BSTR;
        raw.bstrVal = SysAllocString(text);
    }
    explicit Variant(IUnknown* object) : Variant() {
        raw.vt = VT_UNKNOWN;
        raw.punkVal = object;
        if (object) object->AddRef();
    }
    Variant(const Variant&) = delete;
    Variant& operator=(const Variant&) = delete;
    ~Variant() { VariantClear(&raw); }
    VARIANT* out() {
        VariantClear(&raw);
        return &raw;
    }
    operator VARIANT() const { return raw; }
    const VARIANT* operator->() const { return &raw; }
    VARIANT raw;
};

// Property getters as values.

template <class I, class Base>
std::string text(I* object, HRESULT (STDMETHODCALLTYPE Base::*get)(BSTR*)) {
    Bstr value;
    must((object->*get)(value.out()), "a text property");
    return value.text();
}

// Numbers and enumerations.
template <class N, class I, class Base>
N number(I* object, HRESULT (STDMETHODCALLTYPE Base::*get)(N*)) {
    N value{};
    must((object->*get)(&value), "a property");
    return value;
}

// VARIANT_BOOL has two values only; a third is a fault of the server.
template <class I, class Base>
bool truth(I* object, HRESULT (STDMETHODCALLTYPE Base::*get)(VARIANT_BOOL*)) {
    VARIANT_BOOL value = 0x5A5A;
    must((object->*get)(&value), "a truth property");
    if (value != VARIANT_TRUE && value != VARIANT_FALSE) throw Failure{E_UNEXPECTED, format("VARIANT_BOOL is %d", value)};
    return value == VARIANT_TRUE;
}

template <class T, class I, class Base>
Com<T> object(I* from, HRESULT (STDMETHODCALLTYPE Base::*get)(T**)) {
    Com<T> value;
    must((from->*get)(value.out()), "an object property");
    return value;
}

// Byte counts travel as DECIMAL; ours are whole, not negative and below 2^64.
template <class I, class Base>
std::string decimal(I* object, HRESULT (STDMETHODCALLTYPE Base::*get)(DECIMAL*)) {
    DECIMAL value{};
    must((object->*get)(&value), "a DECIMAL property");
    if (value.scale || value.sign || value.Hi32) throw Failure{E_UNEXPECTED, "a DECIMAL is no whole number of bytes"};
    return format("%llu", static_cast<unsigned long long>(value.Lo64));
}

template <class T, class Collection, class I>
std::vector<Com<T>> items(I* collection) {
    LONG count = number<LONG>(collection, &Collection::get_Count);
    std::vector<Com<T>> made;
    for (LONG index = 0; index < count; ++index) {
        Com<T> one;
        must(collection->get_Item(index, one.out()), "Item");
        made.push_back(one);
    }
    return made;
}

inline std::vector<std::string> strings(IStringCollection* collection) {
    LONG count = number<LONG>(collection, &IStringCollection::get_Count);
    std::vector<std::string> made;
    for (LONG index = 0; index < count; ++index) {
        Bstr one;
        must(collection->get_Item(index, one.out()), "Item");
        made.push_back(one.text());
    }
    return made;
}

inline std::string joined(std::vector<std::string> parts) {
    std::string made;
    for (const auto& part : std::set<std::string>(parts.begin(), parts.end())) made += (made.empty() ? "" : ";") + part;
    return made;
}

// Facts.

inline void fact(const std::string& key, const std::string& value) {
    std::string line = key + "=";
    for (char c : value) {
        if (c == '\n') line += "\\n";
        else if (c == '\\') line += "\\\\";
        else if (c != '\r') line += c;
    }
    line += "\n";
    fwrite(line.data(), 1, line.size(), stdout);
    fflush(stdout);
}
inline void fact(const std::string& key, const char* value) { fact(key, std::string(value)); }
inline void fact(const std::string& key, long long value) { fact(key, format("%lld", value)); }

// Apartments.

enum class Apartment { Many, Single };

struct Initialised {
    explicit Initialised(Apartment apartment) {
        MUST(CoInitializeEx(nullptr, apartment == Apartment::Single ? COINIT_APARTMENTTHREADED : COINIT_MULTITHREADED));
    }
    ~Initialised() { CoUninitialize(); }
};

inline Apartment apartment_of(const char* word) {
    if (!strcmp(word, "mta")) return Apartment::Many;
    if (!strcmp(word, "sta")) return Apartment::Single;
    throw Failure{E_INVALIDARG, format("`%s` is no apartment", word)};
}

// Works off what other apartments want from this thread.
inline void pump() {
    MSG message;
    while (PeekMessageW(&message, nullptr, 0, 0, PM_REMOVE)) {
        TranslateMessage(&message);
        DispatchMessageW(&message);
    }
}

// Waits for the handle, at the longest for so many milliseconds. In a single-threaded apartment callbacks arrive meanwhile.
inline bool wait(HANDLE handle, DWORD milliseconds, Apartment apartment) {
    if (apartment == Apartment::Many) return WaitForSingleObject(handle, milliseconds) == WAIT_OBJECT_0;
    ULONGLONG end = GetTickCount64() + milliseconds;
    for (;;) {
        ULONGLONG now = GetTickCount64();
        DWORD left = now < end ? static_cast<DWORD>(end - now) : 0;
        switch (MsgWaitForMultipleObjects(1, &handle, FALSE, left, QS_ALLINPUT)) {
            case WAIT_OBJECT_0: return true;
            case WAIT_OBJECT_0 + 1: pump(); break;
            default: return false;
        }
    }
}

class Event {
public:
    Event() : handle(CreateEventW(nullptr, TRUE, FALSE, nullptr)) {}
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    ~Event() { CloseHandle(handle); }
    void set() { SetEvent(handle); }
    bool is_set() const { return WaitForSingleObject(handle, 0) == WAIT_OBJECT_0; }
    bool wait_for(DWORD milliseconds, Apartment apartment) { return wait(handle, milliseconds, apartment); }

private:
    HANDLE handle;
};

// A client's callback, as C++ programs write them: one interface, counted, no marshalling of its own.
template <class Callback, class Job, class Args>
class Listener final : public Callback {
public:
    using Told = std::function<HRESULT(Job*, Args*)>;
    explicit Listener(Told told) : told(std::move(told)) {}
    // Whoever still holds it would call into a frame that is gone: a client that leaves early, as a failing test does, has to wait.
    ~Listener() {
        for (int i = 0; i < 4'000 && count; ++i) {
            MSG message;
            while (PeekMessageW(&message, nullptr, 0, 0, PM_REMOVE)) DispatchMessageW(&message);
            Sleep(10);
        }
        if (!count) return;
        printf("  a callback is still held after 40 seconds\n");
        fflush(stdout);
        TerminateProcess(GetCurrentProcess(), 3);
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    HRESULT STDMETHODCALLTYPE QueryInterface(REFIID iid, void** object) override {
        if (iid != IID_IUnknown && iid != __uuidof(Callback)) {
            *object = nullptr;
            return E_NOINTERFACE;
        }
        *object = static_cast<Callback*>(this);
        AddRef();
        return S_OK;
    }
    ULONG STDMETHODCALLTYPE AddRef() override { return ++count; }
    // Who made it owns it: it may well be on the stack. See `references`.
    ULONG STDMETHODCALLTYPE Release() override {
        releaser = GetCurrentThreadId();
        return --count;
    }
    // What a check found is told; any other exception leaves.
    HRESULT STDMETHODCALLTYPE Invoke(Job* job, Args* args) override {
        try {
            return told(job, args);
        } catch (const Failure& failure) {
            fact("callback.failed", failure.what);
            return failure.code;
        }
    }

    // How many references others hold.
    ULONG references() const { return count; }
    // The thread that gave the last one back.
    DWORD released_on() const { return releaser; }

private:
    Told told;
    std::atomic<ULONG> count{0};
    std::atomic<DWORD> releaser{0};
};

using SearchCompleted = Listener<ISearchCompletedCallback, ISearchJob, ISearchCompletedCallbackArgs>;
using DownloadProgressed = Listener<IDownloadProgressChangedCallback, IDownloadJob, IDownloadProgressChangedCallbackArgs>;
using DownloadCompleted = Listener<IDownloadCompletedCallback, IDownloadJob, IDownloadCompletedCallbackArgs>;
using InstallProgressed =
    Listener<IInstallationProgressChangedCallback, IInstallationJob, IInstallationProgressChangedCallbackArgs>;
using InstallCompleted = Listener<IInstallationCompletedCallback, IInstallationJob, IInstallationCompletedCallbackArgs>;
