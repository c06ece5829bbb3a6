//! Sections of a record, all of them.

use livery_contract::{Fault, Result, manifest::SectionRange, record::Section};

/// Bytes of these.
pub(crate) fn total(sections: &[SectionRange]) -> u64 {
    sections.iter().map(|section| section.length).sum()
}

/// Whether all sections were read in whole: a digest that is missing must never pass for one that fits.
pub(crate) fn covers(sections: &[Section], all: &[SectionRange]) -> Result<()> {
    let same = sections.len() == all.len()
        && sections.iter().zip(all).all(|(section, range)| (section.offset, section.length) == (range.offset, range.length));
    if same { Ok(()) } else { Err(Fault::internal("a section was not read completely")) }
}
