//! `Category` and its collection.

use windows::Win32::System::Com::ISupportErrorInfo;
use windows_core::{BSTR, ComObject, implement};
use wua_types::CategoryType;

use crate::api::{
    ICategory, ICategory_Impl, ICategoryCollection, ICategoryCollection_Impl, IImageInformation,
    IUpdateCollection,
};
use crate::dispatch::scripted;
use crate::fault::Answer;
use crate::module::Lease;
use crate::objects::collection::{List, collection};
use crate::objects::update::Found;
use crate::objects::{UpdateCollection, bstr};

/// A category. Ours are a flat list: each is a root without children.
#[implement(ICategory, ISupportErrorInfo)]
#[derive(Debug)]
pub struct Category {
    facts: wua_types::Category,
    /// The search it comes from, whose updates it lists.
    found: Found,
    _lease: Lease,
}

scripted!(Category_Impl => ICategory);

/// Categories, in their order of display.
#[implement(ICategoryCollection, ISupportErrorInfo)]
#[derive(Debug)]
pub struct CategoryCollection(List<Category>);

collection! {
    CategoryCollection, CategoryCollection_Impl: ICategoryCollection, ICategoryCollection_Impl of Category: ICategory as ICategory
}

impl CategoryCollection {
    /// Those categories, as a search found them. History has no search: its categories list no updates.
    pub fn found(categories: &[wua_types::Category], found: &Found) -> ComObject<Self> {
        let mut categories = categories.to_vec();
        categories.sort_by_key(|category| category.order);
        Self::of(categories.into_iter().map(|facts| Category {
            facts,
            found: found.clone(),
            _lease: Lease::default(),
        }))
    }
}

impl ICategory_Impl for Category_Impl {
    fn name(&self) -> Answer<BSTR> {
        Ok(bstr(&self.facts.name))
    }

    fn category_id(&self) -> Answer<BSTR> {
        Ok(bstr(&self.facts.id.to_string()))
    }

    fn children(&self) -> Answer<ICategoryCollection> {
        Ok(CategoryCollection::of([]).into_interface())
    }

    fn description(&self) -> Answer<BSTR> {
        Ok(bstr(&self.facts.description))
    }

    fn image(&self) -> Answer<Option<IImageInformation>> {
        Ok(None)
    }

    fn order(&self) -> Answer<i32> {
        Ok(self.facts.order)
    }

    fn parent(&self) -> Answer<Option<ICategory>> {
        Ok(None)
    }

    fn type_(&self) -> Answer<BSTR> {
        Ok(bstr(match self.facts.kind {
            CategoryType::Company => "Company",
            CategoryType::ProductFamily => "ProductFamily",
            CategoryType::Product => "Product",
            CategoryType::UpdateClassification => "UpdateClassification",
        }))
    }

    fn updates(&self) -> Answer<IUpdateCollection> {
        // Documented: these two kinds list none.
        let lists = !matches!(
            self.facts.kind,
            CategoryType::Company | CategoryType::ProductFamily
        );
        let mut members = self.found.updates();
        members.retain(|update| lists && update.is_in(self.facts.id));
        Ok(UpdateCollection::read_only(members.into_iter().map(ComObject::new)).into_interface())
    }
}
