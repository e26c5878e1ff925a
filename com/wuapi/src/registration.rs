//! What a machine's registry says about the DLL: its classes, their names for scripts, and the type library.

use windows::Win32::Foundation::{ERROR_FILE_NOT_FOUND, WIN32_ERROR};
use windows::Win32::System::Registry::{
    HKEY, HKEY_CLASSES_ROOT, KEY_WRITE, REG_OPTION_NON_VOLATILE, REG_SZ, RegCloseKey, RegCreateKeyExW,
    RegDeleteTreeW, RegSetValueExW,
};
use windows_core::{GUID, HSTRING, PCWSTR};

use crate::classes::{CLASSES, Class};
use crate::fault::Answer;
use crate::{module, typelib};

/// Writes it all.
pub fn register() -> Answer<()> {
    typelib::register()?;
    let dll = module::path()?.to_string();
    for class in CLASSES {
        write(class, &dll)?;
    }
    Ok(())
}

/// Takes it all back.
pub fn unregister() -> Answer<()> {
    for class in CLASSES {
        for key in keys(class) {
            remove(&key)?;
        }
    }
    // It may be gone already.
    let _ = typelib::unregister();
    Ok(())
}

/// The keys of a class: its id's, and its name's with and without a version (rule R1).
fn keys(class: &Class) -> [String; 3] {
    let name = format!("Microsoft.Update.{}", class.progid);
    [
        format!("CLSID\\{}", braced(class.clsid)),
        name.clone(),
        format!("{name}.1"),
    ]
}

fn write(class: &Class, dll: &str) -> Answer<()> {
    let [id, name, versioned] = &keys(class);
    let clsid = braced(class.clsid);
    let (major, minor) = typelib::VERSION;
    set(id, "", class.name)?;
    set(&format!("{id}\\InprocServer32"), "", dll)?;
    set(&format!("{id}\\InprocServer32"), "ThreadingModel", "Both")?;
    set(&format!("{id}\\ProgID"), "", versioned)?;
    set(&format!("{id}\\VersionIndependentProgID"), "", name)?;
    set(&format!("{id}\\TypeLib"), "", &braced(typelib::LIBRARY))?;
    set(&format!("{id}\\Version"), "", &format!("{major}.{minor}"))?;
    for key in [name, versioned] {
        set(key, "", class.name)?;
        set(&format!("{key}\\CLSID"), "", &clsid)?;
    }
    set(&format!("{name}\\CurVer"), "", versioned)
}

fn braced(id: GUID) -> String {
    format!("{{{id:?}}}")
}

fn set(key: &str, value: &str, text: &str) -> Answer<()> {
    let mut opened = HKEY::default();
    let (key, value) = (HSTRING::from(key), HSTRING::from(value));
    let bytes: Vec<u8> = text
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    // SAFETY: the names are terminated strings, and `opened` can be written.
    let created = unsafe {
        RegCreateKeyExW(
            HKEY_CLASSES_ROOT,
            &key,
            None,
            PCWSTR::null(),
            REG_OPTION_NON_VOLATILE,
            KEY_WRITE,
            None,
            &mut opened,
            None,
        )
    };
    done(created)?;
    // SAFETY: the key is open.
    let written = unsafe { RegSetValueExW(opened, &value, None, REG_SZ, Some(&bytes)) };
    // SAFETY: it is closed once.
    done(unsafe { RegCloseKey(opened) }).and(done(written))
}

fn remove(key: &str) -> Answer<()> {
    // SAFETY: the name is a terminated string.
    match unsafe { RegDeleteTreeW(HKEY_CLASSES_ROOT, &HSTRING::from(key)) } {
        ERROR_FILE_NOT_FOUND => Ok(()),
        status => done(status),
    }
}

fn done(status: WIN32_ERROR) -> Answer<()> {
    Ok(status.ok()?)
}
