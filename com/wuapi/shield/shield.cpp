// Calls a client's routine. What a C++ client throws ends here: Rust can only end the process when it meets such an exception.

#include <windows.h>
#include <oaidl.h>

namespace {
// What COM itself answers where a call's receiver throws: RPC_E_SERVERFAULT.
constexpr HRESULT threw = static_cast<HRESULT>(0x80010105L);

constexpr IID none = {};

using routine = HRESULT(STDMETHODCALLTYPE *)(void *, void *, void *);

template <typename Work>
HRESULT shielded(Work work) noexcept {
    try {
        return work();
    } catch (...) {
        return threw;
    }
}
}  // namespace

// By the vtable: each of the five callback interfaces has one slot after IUnknown's three.
extern "C" HRESULT wua_call_typed(void *callback, void *job, void *args) noexcept {
    return shielded([=] {
        void **vtable = *static_cast<void ***>(callback);
        return reinterpret_cast<routine>(vtable[3])(callback, job, args);
    });
}

// By IDispatch, as Automation wants it.
extern "C" HRESULT wua_call_dispatch(IDispatch *callback, DISPPARAMS *given, VARIANT *answer, EXCEPINFO *exception) noexcept {
    return shielded([=] {
        return callback->Invoke(DISPID_VALUE, none, 0, DISPATCH_METHOD, given, answer, exception, nullptr);
    });
}
