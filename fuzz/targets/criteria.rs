//! Search criteria: what is understood is understood again when it is written out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wua_types::Criteria;

fuzz_target!(|text: &str| match Criteria::parse(text) {
    Ok(criteria) => {
        let written = criteria.to_string();
        let again = Criteria::parse(&written).expect("what was written is understood");
        assert_eq!(again.to_string(), written);
    }
    Err(error) => {
        let _ = (error.to_string(), error.caret());
    }
});
