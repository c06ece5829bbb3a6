//! A manifest, as it comes out of a store.

use livery_contract::{Reference, manifest::Manifest};

/// Checks one input; whether it is a manifest.
///
/// # Panics
/// Where a manifest that parses is not written and read back the same, or its sections do not cover its disk.
pub fn check(input: &[u8]) -> bool {
    let Ok(manifest) = Manifest::parse(input) else { return false };
    let again = Manifest::parse(&manifest.to_bytes());
    assert_eq!(again.ok().as_ref(), Some(&manifest), "written and read back it is another");

    let reference = manifest.reference();
    assert_eq!(Reference::from_target(&reference.target()).as_ref(), Some(&reference), "its name as a TUF target is another's");

    let mut at = 0;
    for section in manifest.sections() {
        assert_eq!(section.offset, at, "sections lie end to end");
        assert!(section.length > 0, "an empty section at {at}");
        at += section.length;
    }
    assert_eq!(at, manifest.size, "sections cover the disk");
    true
}
