//! Collections that never change: categories, exceptions, history and the like.

use windows_core::{ComObject, ComObjectInner};

use crate::module::Lease;

/// What such a collection holds.
pub struct List<T: ComObjectInner> {
    /// Its elements, in order.
    pub elements: Vec<ComObject<T>>,
    _lease: Lease,
}

impl<T: ComObjectInner> List<T> {
    /// A list of those.
    pub fn of(elements: impl IntoIterator<Item = T>) -> Self {
        let elements = elements.into_iter().map(ComObject::new).collect();
        Self {
            elements,
            _lease: Lease::default(),
        }
    }
}

impl<T: ComObjectInner> std::fmt::Debug for List<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List")
            .field("elements", &self.elements.len())
            .finish_non_exhaustive()
    }
}

/// Makes a struct around a [`List`] such a collection: `Item`, `_NewEnum`, `Count`.
macro_rules! collection {
    ($name:ident, $outer:ident: $interface:ident, $trait:ident of $element:ident: $newest:ident as $item:ident) => {
        crate::dispatch::scripted!($outer => $interface);

        impl $name {
            /// A collection of those.
            pub fn of(elements: impl IntoIterator<Item = $element>) -> windows_core::ComObject<Self> {
                windows_core::ComObject::new(Self(crate::objects::collection::List::of(elements)))
            }
        }

        impl $trait for $outer {
            fn item(&self, index: i32) -> crate::fault::Answer<$item> {
                let place = crate::objects::place(index, self.0.elements.len())?;
                let newest: $newest = self.0.elements[place].to_interface();
                Ok(newest.into())
            }

            fn new_enum(&self) -> crate::fault::Answer<windows_core::IUnknown> {
                Ok(crate::enumerator::Enumerator::over(self.0.elements.clone()))
            }

            fn count(&self) -> crate::fault::Answer<i32> {
                Ok(self.0.elements.len() as i32)
            }
        }
    };
}
pub(crate) use collection;
