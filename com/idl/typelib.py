"""Reads a type library in Microsoft's format (magic `MSFT`), as widl writes it: the kinds of types and members that wuapi.idl has.

It shows what the library itself says, on any machine and without Wine. It gives names, numbers and types, and judges nothing; what
it does not know (structures, arrays, modules) it refuses.
"""

import struct
import uuid
from dataclasses import dataclass, field

KINDS = {0: "enum", 3: "interface", 4: "dispatch", 5: "coclass"}
INVOKE = {1: "method", 2: "get", 4: "put", 8: "putref"}
SIMPLE = {2: "I2", 3: "I4", 7: "DATE", 8: "BSTR", 9: "IDispatch*", 11: "VARIANT_BOOL", 12: "VARIANT", 13: "IUnknown*",
          14: "DECIMAL", 19: "UI4", 20: "I8", 25: "HRESULT"}
VT_PTR, VT_USERDEFINED = 26, 29
IN, OUT, RETVAL, OPTIONAL, DEFAULT = 1, 2, 8, 16, 32
RESTRICTED = 1  # FUNCFLAG_FRESTRICTED
SEGMENTS = ("types", "imports", "import_files", "references", "guid_hash", "guids", "name_hash", "names", "strings", "descriptions",
            "arrays", "data", "data_guids", "reserved", "reserved_too")
TYPE_SIZE = 100


@dataclass
class Parameter:
    name: str
    type: str
    flags: int
    default: object = None


@dataclass
class Function:
    name: str
    dispid: int
    slot: int
    kind: str
    flags: int
    result: str
    optional: int
    parameters: list[Parameter]


@dataclass
class Type:
    name: str
    kind: str
    guid: str
    flags: int
    base: str | None = None
    vtable: int = 0
    functions: list[Function] = field(default_factory=list)
    constants: list[tuple[str, int]] = field(default_factory=list)
    implements: list[tuple[str, int]] = field(default_factory=list)


class TypeLibrary:
    def __init__(self, data: bytes):
        self.bytes = data
        if data[:4] != b"MSFT":
            raise ValueError("no type library: it does not begin with MSFT")
        guid, _lcid, _lcid2, varflags, version, _flags, count = struct.unpack_from("<7i", data, 8)
        self.version = (version & 0xFFFF, version >> 16)
        self.pointer = {1: 4, 3: 8}[varflags & 0xF]
        names_at = struct.unpack_from("<i", data, 0x38)[0]
        at = 84 + (4 if varflags & 0x100 else 0) + 4 * count
        self.segments = {}
        for i, name in enumerate(SEGMENTS):
            self.segments[name] = struct.unpack_from("<ii", data, at + 16 * i)
        self.guid = self._guid(guid)
        self.name = self._name(names_at)
        self.types = [self._type(i) for i in range(count)]

    def _at(self, segment: str, offset: int) -> int:
        start, length = self.segments[segment]
        if not 0 <= offset < length:
            raise ValueError(f"{offset:#x} is outside of the segment `{segment}`")
        return start + offset

    def _ints(self, at: int, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f"<{count}i", self.bytes, at)

    def _guid(self, offset: int) -> str:
        if offset < 0:
            return ""
        at = self._at("guids", offset)
        return str(uuid.UUID(bytes_le=self.bytes[at:at + 16])).upper()

    def _name(self, offset: int) -> str:
        if offset < 0:
            return ""
        at = self._at("names", offset)
        length = self.bytes[at + 8]
        return self.bytes[at + 12:at + 12 + length].decode("ascii")

    def _reference(self, reference: int) -> str:
        """The name of a type, which is one of this library's, or IUnknown or IDispatch of another's."""
        if reference & 3 == 0:
            return self._name(self._ints(self._at("types", reference) + 0x34, 1)[0])
        flags, _file, guid = self._ints(self._at("imports", reference & ~3), 3)
        if not flags & 0x10000:
            raise ValueError("an import by number")
        return {"00000000-0000-0000-C000-000000000046": "IUnknown", "00020400-0000-0000-C000-000000000046": "IDispatch"}[
            self._guid(guid)]

    def _described(self, value: int) -> str:
        if value < 0:
            return SIMPLE[value & 0xFFF]
        kind, _, low, high = struct.unpack_from("<HHHh", self.bytes, self._at("descriptions", value))
        if kind & 0xFFF == VT_PTR:
            return (SIMPLE[low & 0xFFF] if high < 0 else self._described(low | high << 16)) + "*"
        if kind & 0xFFF == VT_USERDEFINED:
            return self._reference(low | high << 16)
        return SIMPLE[kind & 0xFFF]

    def _value(self, encoded: int) -> object:
        if encoded < 0:
            kind, value = (encoded >> 26) & 0x1F, encoded & 0x3FFFFFF
            if kind not in (2, 3, 11, 19, 22):
                raise ValueError(f"an inline value of type {kind}")
            return value
        at = self._at("data", encoded)
        kind = struct.unpack_from("<H", self.bytes, at)[0]
        if kind == 8:
            length = struct.unpack_from("<i", self.bytes, at + 2)[0]
            return self.bytes[at + 6:at + 6 + max(length, 0)].decode("ascii")
        return struct.unpack_from("<i", self.bytes, at + 2)[0]

    def _type(self, index: int) -> Type:
        at = self._at("types", index * TYPE_SIZE)
        kind, members, *_ = self._ints(at, 2)
        elements = self._ints(at + 0x18, 1)[0]
        guid, flags, name = self._ints(at + 0x2C, 3)
        implemented, vtable = struct.unpack_from("<hh", self.bytes, at + 0x4C)
        reference = self._ints(at + 0x54, 1)[0]
        made = Type(self._name(name), KINDS[kind & 0xF], self._guid(guid), flags)
        if made.kind in ("interface", "dispatch"):
            made.base = self._reference(reference)
            made.vtable = vtable // self.pointer
            made.functions = self._functions(members, elements & 0xFFFF)
        elif made.kind == "enum":
            made.constants = self._constants(members, elements >> 16)
        elif made.kind == "coclass":
            offset = reference
            for _ in range(implemented):
                target, role, _data, following = self._ints(self._at("references", offset), 4)
                made.implements.append((self._reference(target), role))
                offset = following
        return made

    def _records(self, members: int, count: int):
        """DISPID, name and place of each member: three rows of integers behind the records themselves."""
        if count == 0:
            return []
        length = self._ints(members, 1)[0]
        rows = self._ints(members + 4 + length, 3 * count)
        return [(rows[i], self._name(rows[count + i]), members + 4 + rows[2 * count + i]) for i in range(count)]

    def _functions(self, members: int, count: int) -> list[Function]:
        made = []
        for dispid, name, at in self._records(members, count):
            info, result, flags = self._ints(at, 3)
            slot, _size, how, parameters, optional = struct.unpack_from("<HhiHh", self.bytes, at + 12)
            end = at + (info & 0xFFFF)
            first = end - 12 * parameters
            defaults = self._ints(first - 4 * parameters, parameters) if how & 0x1000 else [-1] * parameters
            made.append(Function(name, dispid, (slot & 0xFFFC) // self.pointer, INVOKE[(how >> 3) & 0xF], flags,
                                 self._described(result), optional, [
                self._parameter(first + 12 * i, defaults[i]) for i in range(parameters)]))
        return made

    def _parameter(self, at: int, default: int) -> Parameter:
        kind, name, flags = self._ints(at, 3)
        return Parameter(self._name(name), self._described(kind), flags, self._value(default) if flags & DEFAULT else None)

    def _constants(self, members: int, count: int) -> list[tuple[str, int]]:
        return [(name, self._value(self._ints(at + 16, 1)[0])) for _, name, at in self._records(members, count)]
