//! `ClientApplicationID`: who asks, as history tells it (rule R5).

use std::sync::Mutex;

use windows_core::BSTR;

use crate::objects::lock;
use crate::value::Text;

/// The name that a program gave itself, if it did.
#[derive(Debug, Default)]
pub struct ClientId(Mutex<Option<Text>>);

impl ClientId {
    /// The property's value.
    pub fn get(&self) -> BSTR {
        lock(&self.0)
            .as_ref()
            .map_or_else(|| BSTR::from("Unknown"), Text::to_bstr)
    }

    /// Sets it; nothing takes it back.
    pub fn put(&self, value: &BSTR) {
        *lock(&self.0) = (!value.is_empty()).then(|| value.into());
    }

    /// The name, for the agent.
    pub fn name(&self) -> Option<String> {
        lock(&self.0).as_ref().map(Text::to_string)
    }
}

impl Clone for ClientId {
    fn clone(&self) -> Self {
        Self(Mutex::new(lock(&self.0).clone()))
    }
}
