//! Whether a record answers its job: same order, image, manifest and serial, and the whole image read back.

use livery_contract::{
    Fault, OrderId, Result,
    inventory::usable_serial,
    record::{Record, SCHEMA, Section},
};

use crate::{
    database::{damaged, jobs::JobRow, meant},
    jobs::expected::ExpectedSection,
};

/// The most ranges that may have been changed after the read-back.
const MOST_CHANGES: usize = 64;

/// Whether a record answers its job.
///
/// # Errors
/// `Refused`, naming the first thing that does not fit.
pub(crate) fn answers(record: &Record, job: &JobRow) -> Result<()> {
    let no = |what: String| Err(Fault::refused(format!("the record does not answer job {}: {what}", job.id)));
    let order = record.order.as_ref().map_or("none", OrderId::as_str);
    let serial = usable_serial(&record.system.serial).unwrap_or_default();
    for (what, found, wanted) in [
        ("schema", record.schema.to_string(), SCHEMA.to_string()),
        ("order", order.to_owned(), job.order_id.clone()),
        ("image", record.image.to_string(), job.image.clone()),
        ("manifest", record.manifest.to_string(), job.manifest.clone()),
        ("serial", serial.to_owned(), job.serial.clone()),
        ("size", record.size.to_string(), meant(job.size).to_string()),
    ] {
        if found != wanted {
            return no(format!("its {what} is {found}, the job's is {wanted}"));
        }
    }
    let expected: Vec<ExpectedSection> = serde_json::from_str(&job.sections).map_err(|error| damaged("list of sections", error))?;
    covers(&record.sections, &expected, record.size).or_else(no)?;
    if record.disk.size < record.size {
        return no(format!("a disk of {} bytes does not hold an image of {}", record.disk.size, record.size));
    }
    if record.changed_after.len() > MOST_CHANGES {
        return no(format!("{} ranges were changed afterwards", record.changed_after.len()));
    }
    // Up to the disk's end, not the image's: the backup partition table moves there.
    for change in &record.changed_after {
        if change.length == 0 || change.offset.checked_add(change.length).is_none_or(|end| end > record.disk.size) {
            return no(format!("the range at {} changed afterwards lies outside the disk", change.offset));
        }
    }
    let times = &record.times;
    if !(times.started <= times.written && times.written <= times.verified && times.verified <= times.finished) {
        return no("its times are out of order".into());
    }
    Ok(())
}

/// Whether the sections read back are those of the image: each byte of them once, in order, to the end of the image.
fn covers(sections: &[Section], expected: &[ExpectedSection], size: u64) -> Result<(), String> {
    let (mut at, mut bytes) = (0u64, 0u64);
    for section in sections {
        if section.offset < at || section.length == 0 {
            return Err(format!("section {:.40} begins at {}, the one before ended at {at}", section.name, section.offset));
        }
        at = section.offset.checked_add(section.length).ok_or_else(|| "a section ends beyond any disk".to_owned())?;
        bytes += section.length;
    }
    if at != size || size == 0 {
        return Err(format!("{bytes} bytes were read back, up to {at} of {size}"));
    }
    // An agent may cut a section once more; neighbours of one name count as one.
    let found = joined(sections.iter().map(|section| (section.name.as_str(), section.offset, section.length)));
    let wanted = joined(expected.iter().map(|section| (section.name.as_str(), section.offset, section.length)));
    if found == wanted { Ok(()) } else { Err("its sections are not those of the image".into()) }
}

/// Name, first byte and end of each.
fn joined<'a>(sections: impl Iterator<Item = (&'a str, u64, u64)>) -> Vec<(&'a str, u64, u64)> {
    let mut all: Vec<(&str, u64, u64)> = Vec::new();
    for (name, offset, length) in sections {
        let end = offset.saturating_add(length);
        match all.last_mut() {
            Some((last, _, last_end)) if *last == name && *last_end == offset => *last_end = end,
            _ => all.push((name, offset, end)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::Digest;

    use super::*;

    fn section(name: &str, offset: u64, length: u64) -> Section {
        Section { name: name.into(), offset, length, sha256: Digest::of(b"") }
    }

    #[test]
    fn sections_lie_end_to_end_over_the_whole_image() {
        let expected: Vec<ExpectedSection> = [("gpt", 0, 4096), ("root", 4096, 8192)]
            .map(|(name, offset, length)| ExpectedSection { name: name.into(), offset, length })
            .into();
        covers(&[section("gpt", 0, 4096), section("root", 4096, 8192)], &expected, 12288).unwrap();
        covers(&[section("gpt", 0, 4096), section("root", 4096, 4096), section("root", 8192, 4096)], &expected, 12288).unwrap();
        for (what, bad) in [
            ("none", vec![]),
            ("short", vec![section("gpt", 0, 4096)]),
            ("gap", vec![section("gpt", 0, 4095), section("root", 4096, 8192)]),
            ("empty", vec![section("gpt", 0, 0), section("gpt", 0, 4096), section("root", 4096, 8192)]),
            ("endless", vec![section("gpt", 0, u64::MAX), section("root", u64::MAX, 8192)]),
            ("other name", vec![section("gpt", 0, 4096), section("esp", 4096, 8192)]),
            ("one for all", vec![section("disk", 0, 12288)]),
        ] {
            assert!(covers(&bad, &expected, 12288).is_err(), "{what}");
        }
        // What partitions do not use is in no section; nothing else may be left out.
        let room: Vec<ExpectedSection> = [("gpt", 0, 4096), ("root", 8192, 4096)]
            .map(|(name, offset, length)| ExpectedSection { name: name.into(), offset, length })
            .into();
        covers(&[section("gpt", 0, 4096), section("root", 8192, 4096)], &room, 12288).unwrap();
        assert!(covers(&[section("gpt", 0, 4096), section("root", 8192, 4096)], &expected, 12288).is_err(), "left out");
        assert!(covers(&[section("gpt", 0, 8192), section("root", 8192, 4096)], &room, 12288).is_err(), "more than that");
    }
}
