// The contract tests: what the documents, published clients and the project's rules (R1 to R50 of the reference) promise to
// clients. One line a test: `ok NAME`, or `FAILED NAME why`; then their numbers.
//
//     contract mta|sta MACHINE CONTROL LAYOUT [GROUP | NAME…]
//     contract install-one                      begin the slow update's installation and say how it went (a test runs many)
//     contract install-and-die mta|sta          begin it and end at the first notice of it (a test runs this)
//
// MACHINE is a practice machine made with `--with slow`, whose etc/wua/wua.toml makes each update a run of its own. Without names all
// is run but three groups: `endurance`, which wants a machine with few updates, `hostile`, which needs `fake_bridge`, and `reading`,
// which needs a bridge that may only look. A last test looks whether all the others gave everything back.
#include "contract.h"

#include <algorithm>
#include <exception>

int install_one();
int install_and_die(Apartment apartment);

Setting setting;

std::vector<Test>& Test::all() {
    static std::vector<Test> tests;
    return tests;
}

namespace {

bool wanted(const Test& test, int count, char** words) {
    if (count == 0) return strcmp(test.group, "hostile") && strcmp(test.group, "endurance") && strcmp(test.group, "reading");
    return std::any_of(words, words + count, [&](const char* word) { return !strcmp(word, test.name) || !strcmp(word, test.group); });
}

bool fits(In in) {
    return in == In::Both || (in == In::Single) == (setting.apartment == Apartment::Single);
}

std::string run(const Test& test) {
    try {
        test.run();
        return "";
    } catch (const Failure& failure) {
        return failure.what;
    } catch (const std::exception& exception) {
        return exception.what();
    }
}

// What the DLL counts: its objects, and its work that goes on.
void everything_was_given_back() {
    HMODULE dll = GetModuleHandleW(L"wuapi.dll");
    CHECK(dll);
    auto can_unload = reinterpret_cast<HRESULT(STDMETHODCALLTYPE*)()>(reinterpret_cast<void*>(GetProcAddress(dll, "DllCanUnloadNow")));
    CHECK(can_unload);
    CHECK(becomes(20'000, [&] { return can_unload() == S_OK; }));
}

}  // namespace

int main(int count, char** words) {
    setvbuf(stdout, nullptr, _IONBF, 0);
    wchar_t program[MAX_PATH];
    GetModuleFileNameW(nullptr, program, MAX_PATH);
    setting.program = program;
    if (count == 2 && !strcmp(words[1], "install-one")) return install_one();
    if (count == 3 && !strcmp(words[1], "install-and-die")) return install_and_die(apartment_of(words[2]));
    if (count < 5) {
        printf("usage: contract mta|sta MACHINE CONTROL LAYOUT [GROUP | NAME...]\n");
        return 2;
    }
    setting.machine = words[2];
    setting.control = words[3];
    setting.layout = words[4];
    setting.main_thread = GetCurrentThreadId();
    setting.apartment = apartment_of(words[1]);
    Initialised initialised(setting.apartment);
    std::vector<Test> tests;
    for (const Test& test : Test::all())
        if (wanted(test, count - 5, words + 5) && fits(test.in)) tests.push_back(test);
    if (tests.empty()) return 1;
    tests.push_back({"end", "everything_was_given_back", In::Both, everything_was_given_back});
    int good = 0, failed = 0;
    for (const Test& test : tests) {
        ULONGLONG begun = GetTickCount64();
        std::string why = run(test);
        double seconds = static_cast<double>(GetTickCount64() - begun) / 1000;
        if (why.empty()) printf("ok %s %.1f s\n", test.name, seconds);
        else printf("FAILED %s %s\n", test.name, why.c_str());
        ++(why.empty() ? good : failed);
    }
    printf("contract: %d ok, %d failed\n", good, failed);
    return failed ? 1 : 0;
}
