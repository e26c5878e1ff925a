"""Condenses the project's reference on the API (wua.md) into the three tables beside this file.

It reads line by line and lets nothing pass that it does not understand: an interface whose slots leave a gap, that says another
range of slots than its members fill, or whose IID differs from the one in the index of all interfaces, is an error.
"""

import re
from dataclasses import dataclass

IUNKNOWN_SLOTS, IDISPATCH_SLOTS = 3, 7
LAYOUT = ("interface", "base", "iid", "slot", "dispid", "member", "kind", "flags", "parameters")
ENUMS = ("enum", "name", "value")
CLASSES = ("class", "clsid", "progid", "interface", "role")
NO_MEMBER = "-"


class Misread(Exception):
    pass


def require(holds: bool, what: str):
    if not holds:
        raise Misread(what)


@dataclass
class Interface:
    name: str
    base: str
    iid: str
    slots: str
    rows: list[list[str]]


def chapter(lines: list[str], title: str) -> list[str]:
    """The lines below a title, down to the next title of the same or a higher level."""
    start = next((i for i, line in enumerate(lines) if line.startswith(title)), None)
    require(start is not None, f"there is no chapter `{title}`")
    level = len(title) - len(title.lstrip("#"))
    end = start + 1
    while end < len(lines) and not re.match(rf"#{{1,{level}}} ", lines[end]):
        end += 1
    return lines[start + 1:end]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def layout(lines: list[str]) -> list[list[str]]:
    index = index_of_all(lines)
    interfaces, titled, in_table = [], None, False
    for line in chapter(lines, "## 2. Interfaces"):
        if line.startswith("### 2."):
            titled = line.split()[2].rstrip(",")
        elif re.match(r"(I\w+ )?`\{", line):
            name, rest = line.split("`{", 1)
            iid, rest = rest.split("}` : ", 1)
            base, slots = rest.strip().split(", ", 1)
            interfaces.append(Interface(name.strip() or titled, base, iid, slots, []))
            in_table = False
        elif line.startswith("| slot | DISPID | member |"):
            in_table = True
        elif in_table and line.startswith("|---"):
            pass
        elif in_table and line.startswith("|"):
            slots, dispid, member = cells(line)[:3]
            interfaces[-1].rows += slot_rows(slots, dispid, member)
        elif line.startswith("- slot "):
            slots, dispid, member = line.removeprefix("- slot ").split(" · ", 2)
            interfaces[-1].rows += slot_rows(slots, dispid.removesuffix(", see below"), member.split(" — ")[0])
        else:
            in_table = False
            require("· get" not in line and "· `" not in line, f"a member that is not understood: {line}")
    return verified(interfaces, index)


def index_of_all(lines: list[str]) -> dict[str, tuple[str, str]]:
    found = {}
    for line in chapter(lines, "### 1.3 All interfaces"):
        if line.startswith("| I"):
            first, first_iid, second, second_iid = cells(line)
            for pair, iid in ((first, first_iid), (second, second_iid)):
                name, base = pair.split(" : ")
                require(name not in found, f"{name} is in the index twice")
                found[name] = (base, iid.strip("`"))
    return found


def slot_rows(slots: str, dispid: str, member: str) -> list[list[str]]:
    """One member as the reference tells it, as one row for each of its slots."""
    numbers = slots.split(",")
    flags = NO_MEMBER
    member = member.strip()
    if member.endswith(" (restricted)"):
        flags, member = "restricted", member.removesuffix(" (restricted)")
    number = f"0x{int(dispid) & 0xFFFFFFFF:08x}" if dispid in ("0", "-4") else f"0x{int(dispid, 16):08x}"
    words, name, rest = member.split("`")
    if words == "":
        require(len(numbers) == 1 and rest.startswith("("), f"a method that is not understood: {member}")
        inner, result = rest[1:].split(")", 1)
        parameters = [f"in {one}" for one in inner.split(", ") if one]
        if result:
            require(result.startswith(" -> "), f"a result that is not understood: {member}")
            parameters.append(f"retval {result.removeprefix(' -> ')}* retval")
        return [[numbers[0], number, name, "method", flags, ", ".join(parameters) or NO_MEMBER]]
    kinds = words.strip().split("/")
    require(len(kinds) == len(numbers) and set(kinds) <= {"get", "put"}, f"a property that is not understood: {member}")
    indexed, kind_of_value = rest.split(": ", 1)
    index = [f"in {indexed.strip('[]')} index"] if indexed else []
    made = []
    for slot, kind in zip(numbers, kinds):
        value = f"retval {kind_of_value}* retval" if kind == "get" else f"in {kind_of_value} value"
        made.append([slot, number, name, kind, flags, ", ".join([*index, value])])
    return made


def verified(interfaces: list[Interface], index: dict[str, tuple[str, str]]) -> list[list[str]]:
    names = [one.name for one in interfaces]
    require(len(set(names)) == len(names), "an interface is told twice")
    require(set(names) == set(index), f"the index and the chapters differ: {set(names) ^ set(index)}")
    ends = {"IUnknown": IUNKNOWN_SLOTS, "IDispatch": IDISPATCH_SLOTS}
    rows = []
    for one in interfaces:
        require(index[one.name] == (one.base, one.iid), f"{one.name} differs from the index")
        require(one.base in ends, f"{one.name} comes before its base {one.base}")
        first, end = ends[one.base], ends[one.base] + len(one.rows)
        require([int(row[0]) for row in one.rows] == list(range(first, end)), f"the slots of {one.name} leave a gap")
        said = f"slots {first}..{end - 1}" if one.rows else "no members"
        require(one.slots == said, f"{one.name} says `{one.slots}`, its members fill `{said}`")
        ends[one.name] = end
        rows += [[one.name, one.base, one.iid, *row] for row in one.rows or [[NO_MEMBER] * 6]]
    return rows


def enums(lines: list[str]) -> list[list[str]]:
    rows = []
    for line in chapter(lines, "## 6. Enumerations"):
        if not line.startswith("| ") or line.startswith("| enum |"):
            continue
        title, values = cells(line)
        name = title.split(" ")[0]
        if name == "DownloadType":
            # The only one told in another form, since its numbers are not published.
            require("[I] 0, 1" in values, "the numbers of DownloadType have changed")
            values = "downloadTypeFull 0, downloadTypeUpdateBootstrapper 1"
        values = re.sub(r" *[(\[][^)\]]*[)\]]", "", values)
        stem = None
        for value in values.split(", "):
            constant, number = value.split(" ")
            if stem is None:
                # "searchScopeDefault 0, MachineOnly 1": what follows in capitals goes without the words that all begin with.
                stem = re.sub(r"[A-Z][a-z]+$", "", constant)
            rows.append([name, stem + constant if constant[0].isupper() else constant, number])
    return rows


def classes(lines: list[str], of_layout: list[list[str]]) -> list[list[str]]:
    base_of = {row[0]: row[1] for row in of_layout}
    paragraph = next(line for line in chapter(lines, "### 1.4 Who implements") if line.strip())
    lockable = paragraph.split(" (and")[0].split(", ")
    rows = []
    for line in chapter(lines, "### 1.2 Co-classes"):
        if not line.startswith("| ") or line.startswith("| co-class |"):
            continue
        name, clsid, progid, in_sdk, newest = cells(line)
        default = newest if newest in base_of else in_sdk
        require(newest in base_of or newest == "same" or "(1.5)" in newest, f"the default of {name} is not understood")
        implemented = [default]
        while base_of[implemented[-1]] in base_of:
            implemented.append(base_of[implemented[-1]])
        if name in lockable:
            implemented.append("IUpdateLockdown")
        for interface in implemented:
            role = "default" if interface == default else "further"
            rows.append([name, clsid.strip("`{}"), progid.split(" ")[0], interface, role])
    require(set(lockable) <= {row[0] for row in rows}, f"unknown among the lockable: {lockable}")
    return rows
