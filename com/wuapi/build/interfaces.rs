//! Writes Rust for every interface of layout.tsv: its vtable, a trait for the object behind it, and one shim a slot.
//!
//! The crate `windows` has vtables of these interfaces too. They do not fit a server: their shims write results through NULL,
//! leave them unset on failure, let panics abort the process, and free the caller's VARIANT. Ours leave all that to
//! `border`, so that an object's methods are plain safe Rust. The crate's own are what sizes, IIDs and slots are compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Objects that may be missing: NULL with S_OK.
const MAY_BE_NULL: &[(&str, &str)] = &[
    ("ICategory", "Image"),
    ("ICategory", "Parent"),
    ("IUpdate", "Image"),
    ("IUpdate", "InstallationBehavior"),
    ("IUpdate", "UninstallationBehavior"),
    ("IUpdateDownloader", "Updates"),
    ("IUpdateInstaller", "ParentWindow"),
    ("IUpdateInstaller", "Updates"),
    ("IUpdateServiceRegistration", "Service"),
    ("IWebProxy", "BypassList"),
];

/// Results that native clients pass NULL for.
const MAY_BE_IGNORED: &[(&str, &str)] = &[("IUpdateCollection", "Add"), ("IStringCollection", "Add")];

/// Members that have more than one code of success.
const SUCCEEDS_VARIOUSLY: &[&str] = &["CleanUp"];

#[derive(Default)]
struct Interface<'a> {
    base: &'a str,
    iid: &'a str,
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    slot: &'a str,
    name: &'a str,
    kind: &'a str,
    given: Vec<(&'a str, String)>,
    retval: Option<&'a str>,
}

/// The whole file.
pub fn generate(layout: &str, enums: &str) -> String {
    let enums: BTreeSet<&str> = rows(enums).map(|row| row[0]).collect();
    let mut interfaces: BTreeMap<&str, Interface<'_>> = BTreeMap::new();
    for row in rows(layout) {
        let interface = interfaces.entry(row[0]).or_default();
        (interface.base, interface.iid) = (row[1], row[2]);
        if row[3] != "-" {
            interface.members.push(member(&row));
        }
    }
    let mut code = String::from("// Made by build/interfaces.rs from layout.tsv.\n\n");
    for (name, interface) in &interfaces {
        one(&mut code, name, interface, &interfaces, &enums).expect("a String takes everything");
    }
    code
}

fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().skip(1).map(|line| line.split('\t').collect())
}

fn member<'a>(row: &[&'a str]) -> Member<'a> {
    let mut member = Member {
        slot: row[3],
        name: row[5],
        kind: row[6],
        given: Vec::new(),
        retval: None,
    };
    for parameter in row[8].split(", ").filter(|text| *text != "-") {
        let words: Vec<&str> = parameter.split(' ').collect();
        match words[..] {
            ["in", kind, name, ..] => member.given.push((kind, snake(name))),
            ["retval", kind, _] => {
                member.retval = Some(kind.strip_suffix('*').expect("a retval is a pointer"));
            }
            _ => panic!("layout.tsv: {parameter}"),
        }
    }
    member
}

fn one(
    code: &mut String,
    name: &str,
    interface: &Interface<'_>,
    all: &BTreeMap<&str, Interface<'_>>,
    enums: &BTreeSet<&str>,
) -> std::fmt::Result {
    let iid = interface.iid.replace('-', "").to_lowercase();
    let mut bases = Vec::new();
    let mut base = interface.base;
    while let Some(further) = all.get(base) {
        bases.insert(0, base);
        base = further.base;
    }
    let is_dual = base == "IDispatch";
    if is_dual {
        bases.insert(0, "IDispatch");
    }
    bases.insert(0, "IUnknown");
    writeln!(
        code,
        "windows_core::imp::define_interface!({name}, {name}_Vtbl, 0x{iid});"
    )?;
    writeln!(
        code,
        "windows_core::imp::interface_hierarchy!({name}, {});",
        bases.join(", ")
    )?;
    writeln!(
        code,
        "impl RuntimeName for {name} {{}}\nimpl border::Pointer for {name} {{}}"
    )?;

    writeln!(
        code,
        "#[repr(C)]\npub struct {name}_Vtbl {{\n    base: {}_Vtbl,",
        interface.base
    )?;
    for member in &interface.members {
        writeln!(
            code,
            "    slot{}: unsafe extern \"system\" fn({}) -> HRESULT,",
            member.slot,
            member.raw(enums).join(", ")
        )?;
    }
    writeln!(code, "}}")?;

    let base_trait = match interface.base {
        "IDispatch" => "Scripted".into(),
        "IUnknown" => "IUnknownImpl".into(),
        base => format!("{base}_Impl"),
    };
    writeln!(
        code,
        "/// What an object that has `{name}` does.\npub trait {name}_Impl: {base_trait} {{"
    )?;
    for member in &interface.members {
        writeln!(code, "    {};", member.signature(name, enums))?;
    }
    writeln!(code, "}}")?;

    writeln!(code, "impl {name}_Vtbl {{")?;
    writeln!(
        code,
        "    pub const fn new<T: {name}_Impl, const OFFSET: isize>() -> Self {{"
    )?;
    for member in &interface.members {
        member.shim(code, name, enums)?;
    }
    writeln!(code, "        Self {{")?;
    match interface.base {
        "IDispatch" => writeln!(code, "            base: dispatch::vtable::<T, OFFSET>(),")?,
        base => writeln!(code, "            base: {base}_Vtbl::new::<T, OFFSET>(),")?,
    }
    for member in &interface.members {
        writeln!(code, "            slot{0}: slot{0}::<T, OFFSET>,", member.slot)?;
    }
    writeln!(code, "        }}\n    }}")?;
    let ids: Vec<String> = bases
        .iter()
        .skip(1)
        .chain([&name])
        .map(|id| format!("*iid == {id}::IID"))
        .collect();
    writeln!(
        code,
        "    pub fn matches(iid: &GUID) -> bool {{\n        {}\n    }}\n}}",
        ids.join(" || ")
    )?;

    writeln!(code, "const _: () = same::<{name}, theirs::{name}>();")?;
    for member in &interface.members {
        writeln!(
            code,
            "const _: () = assert!(offset_of!({name}_Vtbl, slot{}) == offset_of!(theirs::{name}_Vtbl, {}));",
            member.slot,
            member.theirs()
        )?;
    }
    writeln!(code)
}

impl Member<'_> {
    /// The method's name in Rust.
    fn method(&self) -> String {
        let name = match snake(self.name).as_str() {
            "type" => "type_".into(),
            other => other.to_owned(),
        };
        if self.kind.starts_with("put") {
            format!("put_{name}")
        } else {
            name
        }
    }

    /// The slot's name in the crate `windows`.
    fn theirs(&self) -> String {
        match (self.kind, self.name) {
            ("get", "Item") => "get_Item".into(),
            ("put", "Item") => "put_Item".into(),
            ("put", name) => format!("Set{name}"),
            (_, name) => name.into(),
        }
    }

    /// The parameters' types as they cross the border.
    fn raw(&self, enums: &BTreeSet<&str>) -> Vec<String> {
        let given = self.given.iter().map(|(kind, _)| raw_in(kind, enums));
        let retval = self
            .retval
            .map(|kind| format!("*mut <{} as Out>::Raw", plain_out(kind)));
        ["*mut c_void".to_owned()]
            .into_iter()
            .chain(given)
            .chain(retval)
            .collect()
    }

    fn signature(&self, interface: &str, enums: &BTreeSet<&str>) -> String {
        let given: String = self
            .given
            .iter()
            .map(|(kind, name)| format!(", {name}: {}", rust_in(kind, enums)))
            .collect();
        format!(
            "fn {}(&self{given}) -> Answer<{}>",
            self.method(),
            self.answer(interface)
        )
    }

    /// What the method answers.
    fn answer(&self, interface: &str) -> String {
        let here = (interface, self.name);
        match self.retval {
            None if SUCCEEDS_VARIOUSLY.contains(&self.name) => "HResult".into(),
            None => "()".into(),
            Some(kind) if MAY_BE_NULL.contains(&here) => format!("Option<{}>", plain_out(kind)),
            Some(kind) => plain_out(kind),
        }
    }

    fn shim(&self, code: &mut String, interface: &str, enums: &BTreeSet<&str>) -> std::fmt::Result {
        let mut raw = self.raw(enums).into_iter();
        raw.next();
        let names = self
            .given
            .iter()
            .map(|(_, name)| name.as_str())
            .chain(self.retval.map(|_| "retval"));
        let parameters: String = names
            .zip(raw)
            .map(|(name, kind)| format!(", {name}: {kind}"))
            .collect();
        let given: Vec<String> = self
            .given
            .iter()
            .map(|(kind, name)| match *kind {
                "BSTR" => format!("border::text(&{name})"),
                "VARIANT" => format!("&{name}"),
                "VARIANT_BOOL" => format!("border::boolean({name})?"),
                kind if kind.ends_with('*') => format!("border::interface(&{name})"),
                kind if enums.contains(kind) => format!("border::number({name})?"),
                _ => name.clone(),
            })
            .collect();
        let border = match self.retval {
            None => "border::done(".into(),
            Some(_) if MAY_BE_IGNORED.contains(&(interface, self.name)) => {
                "border::answer_if_wanted(retval, ".into()
            }
            Some(_) => String::from("border::answer(retval, "),
        };
        writeln!(
            code,
            "        unsafe extern \"system\" fn slot{}<T: {interface}_Impl, const OFFSET: isize>(this: *mut c_void{parameters}) -> HRESULT {{
            // SAFETY: COM's own rules: `this` is this vtable's pointer in an object of ours, `retval` NULL or writable, and what
            // is given stays for the call.
            unsafe {{
                let this = border::this::<T, OFFSET>(this);
                {border}|| this.{}({}))
            }}
        }}",
            self.slot,
            self.method(),
            given.join(", ")
        )
    }
}

fn raw_in(kind: &str, enums: &BTreeSet<&str>) -> String {
    match kind {
        "BSTR" => "*const u16".into(),
        "VARIANT_BOOL" => "i16".into(),
        "VARIANT" => "ManuallyDrop<VARIANT>".into(),
        kind if kind.ends_with('*') => "*mut c_void".into(),
        kind if enums.contains(kind) => "i32".into(),
        kind => number(kind).into(),
    }
}

fn rust_in(kind: &str, enums: &BTreeSet<&str>) -> String {
    match kind {
        "BSTR" => "&BSTR".into(),
        "VARIANT_BOOL" => "bool".into(),
        "VARIANT" => "&VARIANT".into(),
        kind if kind.ends_with('*') => format!("Option<&{}>", kind.trim_end_matches('*')),
        kind if enums.contains(kind) => kind.into(),
        kind => number(kind).into(),
    }
}

fn plain_out(kind: &str) -> String {
    match kind {
        "VARIANT_BOOL" => "bool".into(),
        "LONG" | "DWORD" | "LCID" | "HWND" | "DATE" => number(kind).into(),
        kind => kind.trim_end_matches('*').into(),
    }
}

fn number(kind: &str) -> &'static str {
    match kind {
        "LONG" => "i32",
        "DWORD" | "LCID" => "u32",
        "HWND" => "isize",
        "DATE" => "f64",
        kind => panic!("layout.tsv: a type {kind}"),
    }
}

/// `ClientApplicationID` is `client_application_id`, `KBArticleIDs` is `kb_article_ids`.
fn snake(name: &str) -> String {
    let name = name
        .trim_start_matches('_')
        .replace("IDs", "Ids")
        .replace("HResult", "Hresult");
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (place, letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).map(|place| letters[place]);
        let begins_word = letters.get(place + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && before.is_some_and(|before| !before.is_uppercase() || begins_word) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
