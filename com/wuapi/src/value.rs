//! Values in the forms that Automation has for them.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use jiff::Timestamp;
use windows::Win32::Foundation::{DECIMAL, DECIMAL_0, DECIMAL_1};
use windows::Win32::System::Variant::{
    VARENUM, VARIANT, VARIANT_0, VARIANT_0_0, VARIANT_0_0_0, VT_BOOL, VT_BSTR, VT_DATE,
};
use windows_core::BSTR;

/// The days from 1899-12-30, where DATE begins, to 1970-01-01.
const EPOCH: f64 = 25569.0;

const MILLISECONDS: f64 = 86_400_000.0;

/// A number of bytes.
pub fn decimal(bytes: u64) -> DECIMAL {
    DECIMAL {
        Anonymous1: DECIMAL_0 { signscale: 0 },
        Anonymous2: DECIMAL_1 { Lo64: bytes },
        ..DECIMAL::default()
    }
}

/// A moment, in UTC. Before 1899-12-30 a DATE's day and time of day have different signs, but no update is that old.
pub fn date(moment: Timestamp) -> f64 {
    EPOCH + moment.as_millisecond() as f64 / MILLISECONDS
}

/// A moment as VT_DATE, or VT_EMPTY where it is unknown.
pub fn date_or_empty(moment: Option<Timestamp>) -> VARIANT {
    moment.map_or_else(VARIANT::default, |moment| {
        variant(VT_DATE, VARIANT_0_0_0 { date: date(moment) })
    })
}

/// The text of a VT_BSTR.
pub fn text_of(value: &VARIANT) -> Option<String> {
    if value.vt() != VT_BSTR {
        return None;
    }
    // SAFETY: the tag says that this is the union's member.
    let text = unsafe { &value.Anonymous.Anonymous.Anonymous.bstrVal };
    Some(text.to_string())
}

/// The value of a VT_BOOL.
pub fn boolean_of(value: &VARIANT) -> Option<bool> {
    if value.vt() != VT_BOOL {
        return None;
    }
    // SAFETY: the tag says that this is the union's member.
    Some(unsafe { value.Anonymous.Anonymous.Anonymous.boolVal }.as_bool())
}

fn variant(kind: VARENUM, value: VARIANT_0_0_0) -> VARIANT {
    let tagged = VARIANT_0_0 {
        vt: kind,
        Anonymous: value,
        ..VARIANT_0_0::default()
    };
    VARIANT {
        Anonymous: VARIANT_0 {
            Anonymous: ManuallyDrop::new(tagged),
        },
    }
}

/// A text that is kept as the client gave it, to the last code unit. (A BSTR is for one thread at a time.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(Option<Arc<[u16]>>);

impl Text {
    /// For a client. An empty one is NULL, which COM takes for the same.
    pub fn to_bstr(&self) -> BSTR {
        self.0.as_deref().map_or_else(BSTR::new, BSTR::from_wide)
    }
}

impl From<&BSTR> for Text {
    fn from(text: &BSTR) -> Self {
        Self((!text.is_empty()).then(|| Arc::from(&text[..])))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self((!text.is_empty()).then(|| text.encode_utf16().collect()))
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf16_lossy(self.0.as_deref().unwrap_or_default()))
    }
}
