// The type library inside the DLL that is registered, as this system reads it, against layout.tsv; and the vtables of live objects.
#include "contract.h"

#include <fstream>
#include <sstream>

namespace {

struct Row {
    std::string interface_, base, iid, member, kind, flags;
    int slot;
    unsigned dispid;
};

// The rows of a table, without its heads.
std::vector<std::vector<std::string>> table(const std::string& path) {
    std::ifstream in(utf8(file(path).c_str()));
    std::string line, cell;
    std::getline(in, line);
    std::vector<std::vector<std::string>> rows;
    while (std::getline(in, line)) {
        std::istringstream cells(line);
        rows.emplace_back();
        while (std::getline(cells, cell, '\t')) rows.back().push_back(cell);
    }
    return rows;
}

std::vector<Row> layout() {
    std::vector<Row> rows;
    for (auto& made : table(setting.layout)) {
        Row row{made[0], made[1], made[2], made[5], made[6], made[7], -1, 0};
        if (row.member != "-") {
            row.slot = std::stoi(made[3]);
            row.dispid = static_cast<unsigned>(std::stoul(made[4], nullptr, 16));
        }
        rows.push_back(row);
    }
    return rows;
}

Com<ITypeLib> library() {
    Com<ITypeLib> made;
    MUST(LoadRegTypeLib({0xB596CC9F, 0x56E5, 0x419E, {0xA6, 0x22, 0xE0, 0x1B, 0xB4, 0x57, 0x43, 0x1E}}, 2, 0, 0, made.out()));
    return made;
}

Com<ITypeInfo> info_of(ITypeLib* library, const std::string& iid) {
    GUID guid;
    MUST(IIDFromString(Bstr("{" + iid + "}"), &guid));
    Com<ITypeInfo> made;
    MUST(library->GetTypeInfoOfGuid(guid, made.out()));
    TYPEATTR* attributes = nullptr;
    MUST(made->GetTypeAttr(&attributes));
    TYPEKIND kind = attributes->typekind;
    made->ReleaseTypeAttr(attributes);
    if (kind != TKIND_DISPATCH) return made;
    // The vtable side of a dual interface.
    HREFTYPE other = 0;
    MUST(made->GetRefTypeOfImplType(static_cast<UINT>(-1), &other));
    Com<ITypeInfo> vtable;
    MUST(made->GetRefTypeInfo(other, vtable.out()));
    return vtable;
}

// What tells an object from its neighbours: its texts, if it is a list of such, or else what it is and how many are in it.
std::string contents(const Com<IDispatch>& object) {
    if (!object) return "NULL";
    Com<ITypeInfo> info;
    MUST(object->GetTypeInfo(0, 0, info.out()));
    Bstr name;
    MUST(info->GetDocumentation(MEMBERID_NIL, name.out(), nullptr, nullptr, nullptr));
    std::string made = name.text();
    if (auto list = object.as<IStringCollection>())
        for (auto& one : strings(list.get())) made += " `" + one + "`";
    if (auto list = object.as<IUpdateCollection>()) made += format(" %ld", number<LONG>(list.get(), &IUpdateCollection::get_Count));
    return made;
}

const std::map<std::string, INVOKEKIND> KINDS{{"get", INVOKE_PROPERTYGET}, {"put", INVOKE_PROPERTYPUT},
                                              {"putref", INVOKE_PROPERTYPUTREF}, {"method", INVOKE_FUNC}};

}  // namespace

TEST("layout", the_registered_type_library_has_every_slot_of_the_table) {
    auto lib = library();
    size_t members = 0, interfaces = 0;
    std::string before;
    for (const Row& row : layout()) {
        if (row.interface_ != before) {
            ++interfaces;
            before = row.interface_;
        }
        auto info = info_of(lib.get(), row.iid);
        Bstr name;
        MUST(info->GetDocumentation(MEMBERID_NIL, name.out(), nullptr, nullptr, nullptr));
        SAME(name.text(), row.interface_);
        if (row.member == "-") continue;
        bool met = false;
        TYPEATTR* attributes = nullptr;
        MUST(info->GetTypeAttr(&attributes));
        UINT functions = attributes->cFuncs;
        info->ReleaseTypeAttr(attributes);
        for (UINT index = 0; index < functions && !met; ++index) {
            FUNCDESC* function = nullptr;
            MUST(info->GetFuncDesc(index, &function));
            if (function->oVft == row.slot * static_cast<int>(sizeof(void*))) {
                met = true;
                Bstr member;
                HRESULT named = info->GetDocumentation(function->memid, member.out(), nullptr, nullptr, nullptr);
                std::string wrong;
                // One name may be spelt in one way only in a library.
                if (FAILED(named) || _stricmp(member.text().c_str(), row.member.c_str())) wrong = "name " + member.text();
                if (static_cast<unsigned>(function->memid) != row.dispid) wrong = format("DISPID 0x%08lx", function->memid);
                if (function->invkind != KINDS.at(row.kind)) wrong = format("kind %d", function->invkind);
                if ((function->wFuncFlags & FUNCFLAG_FRESTRICTED) != (row.flags == "restricted" ? FUNCFLAG_FRESTRICTED : 0))
                    wrong = "restricted or not";
                info->ReleaseFuncDesc(function);
                if (!wrong.empty()) throw Failure{E_FAIL, row.interface_ + "." + row.member + ": " + wrong};
            } else {
                info->ReleaseFuncDesc(function);
            }
        }
        if (!met) throw Failure{E_FAIL, format("%s.%s: nothing in slot %d", row.interface_.c_str(), row.member.c_str(), row.slot)};
        ++members;
    }
    SAME(interfaces, static_cast<size_t>(76));
    SAME(members, static_cast<size_t>(354));
}

// Calls by number through Invoke and by slot through the vtable tell the same: the table's slots are the objects' slots.
TEST("layout", getters_by_slot_and_by_dispid_agree) {
    auto update = pending(1)[0].as<IUpdate5>();
    size_t compared = 0;
    for (const Row& row : layout()) {
        static const std::set<std::string> of_update{"IUpdate", "IUpdate2", "IUpdate3", "IUpdate4", "IUpdate5"};
        if (!of_update.count(row.interface_) || row.kind != "get") continue;
        auto* table = *reinterpret_cast<void***>(update.get());
        using Getter = HRESULT(STDMETHODCALLTYPE*)(void*, void*);
        alignas(16) unsigned char raw[64] = {};
        CODE(reinterpret_cast<Getter>(table[row.slot])(update.get(), raw), S_OK);
        DISPPARAMS none{};
        Variant late;
        CODE(update->Invoke(static_cast<DISPID>(row.dispid), IID_NULL, 0, DISPATCH_PROPERTYGET, &none, late.out(), nullptr, nullptr), S_OK);
        bool agree = true;
        switch (late->vt) {
            case VT_BSTR: {
                BSTR early = *reinterpret_cast<BSTR*>(raw);
                agree = utf8(early) == utf8(late->bstrVal);
                SysFreeString(early);
                break;
            }
            case VT_BOOL: agree = *reinterpret_cast<VARIANT_BOOL*>(raw) == late->boolVal; break;
            case VT_I4: agree = *reinterpret_cast<LONG*>(raw) == late->lVal; break;
            case VT_DATE: agree = *reinterpret_cast<DATE*>(raw) == late->date; break;
            case VT_DECIMAL: agree = reinterpret_cast<DECIMAL*>(raw)->Lo64 == late->decVal.Lo64; break;
            case VT_DISPATCH: {
                auto early = Com<IDispatch>::own(*reinterpret_cast<IDispatch**>(raw));
                agree = contents(early) == contents(late->pdispVal);
                break;
            }
            case VT_EMPTY: agree = reinterpret_cast<VARIANT*>(raw)->vt == VT_EMPTY; break;
            default: throw Failure{E_FAIL, format("%s is of type %d", row.member.c_str(), late->vt)};
        }
        if (!agree) throw Failure{E_FAIL, row.member + " differs"};
        ++compared;
    }
    SAME(compared, static_cast<size_t>(49));
}

TEST("layout", every_class_of_the_table_is_registered_by_both_names_and_has_its_interfaces) {
    std::map<std::string, std::string> iids;
    for (const Row& row : layout()) iids[row.interface_] = row.iid;
    std::set<std::string> classes;
    size_t interfaces = 0;
    auto rows = table(setting.layout.substr(0, setting.layout.rfind('/')) + "/classes.tsv");
    for (auto& row : rows) {
        CLSID expected, said;
        IID iid;
        MUST(CLSIDFromString(Bstr("{" + row[1] + "}"), &expected));
        MUST(IIDFromString(Bstr("{" + iids.at(row[3]) + "}"), &iid));
        for (auto& name : {row[2], row[2] + ".1"}) {
            CODE(CLSIDFromProgID(Bstr(name), &said), S_OK);
            if (said != expected) throw Failure{E_FAIL, name + " is another class"};
        }
        Com<IUnknown> made;
        HRESULT code = CoCreateInstance(expected, nullptr, CLSCTX_INPROC_SERVER, iid, reinterpret_cast<void**>(made.out()));
        if (FAILED(code)) throw Failure{code, row[0] + " as " + row[3] + ": " + hex(code)};
        classes.insert(row[0]);
        ++interfaces;
    }
    SAME(classes.size(), static_cast<size_t>(12));
    SAME(interfaces, static_cast<size_t>(26));
}
