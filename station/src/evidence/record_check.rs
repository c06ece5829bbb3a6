//! Whether a record answers its job: same order, image, manifest and serial; the whole image read back, and all of it what was signed;
//! and no key that the image does not ask for.
//!
//! The device says what it read. What it should have read was worked out from the signed chunk maps when the job was issued, so a record
//! that was made up, or of a disk that holds something else, is none.

use livery_contract::{
    Fault, OrderId, Result,
    inventory::usable_serial,
    record::{Record, SCHEMA, Section},
};

use crate::{
    database::{damaged, jobs::JobRow, meant},
    jobs::expected::{Expected, ExpectedKeys},
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
    let Ok(expected) = serde_json::from_str::<Vec<Section>>(&job.sections) else {
        return no("an earlier release of the station issued it, without the digests to compare with: start the agent again".into());
    };
    holds(&record.sections, &expected).or_else(no)?;
    let expects: Option<Expected> =
        job.expects.as_deref().map(serde_json::from_str).transpose().map_err(|error| damaged("expectation", error))?;
    if let Some(expects) = expects {
        made_on_the_device(record, &expects).or_else(no)?;
    }
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

/// Whether what was read back is what was signed: each section once, in order, with its digest.
fn holds(found: &[Section], expected: &[Section]) -> Result<(), String> {
    for (index, wanted) in expected.iter().enumerate() {
        let Section { name, offset, length, sha256 } = wanted;
        match found.get(index) {
            Some(section) if section == wanted => {}
            Some(section) if (&section.name, section.offset, section.length) == (name, *offset, *length) => {
                return Err(format!("its section {name} at {offset} reads as {}, the image's as {sha256}", section.sha256));
            }
            _ => return Err(format!("the image's section {name} of {length} bytes at {offset} was not read back")),
        }
    }
    if found.len() > expected.len() {
        return Err(format!("it has {} sections, the image {}", found.len(), expected.len()));
    }
    Ok(())
}

/// Whether the device made what the image asks for, and nothing else: a key in a record is believed later, by this station and by the
/// concentrator of the tunnel.
fn made_on_the_device(record: &Record, expects: &Expected) -> Result<(), String> {
    let made = match &record.keys {
        None => ExpectedKeys::None,
        Some(keys) if keys.tunnel.is_some() => ExpectedKeys::Tunnel,
        Some(_) => ExpectedKeys::Device,
    };
    if made != expects.keys {
        let words = |keys| match keys {
            ExpectedKeys::None => "no keys",
            ExpectedKeys::Device => "a device key alone",
            ExpectedKeys::Tunnel => "a device key and a tunnel key",
        };
        return Err(format!("it has {}, the image asks for {}", words(made), words(expects.keys)));
    }
    let Some(bound) = &record.bound else { return Ok(()) };
    if bound.identity.is_some() && bound.identity != expects.layer {
        return Err("it sealed another personal layer than the image's".into());
    }
    if bound.recovery.is_some() && !expects.data {
        return Err("it has a recovery key, but the image has no data partition".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::Digest;

    use super::*;

    fn section(name: &str, offset: u64, length: u64) -> Section {
        Section { name: name.into(), offset, length, sha256: Digest::of(name.as_bytes()) }
    }

    #[test]
    fn what_was_read_back_is_what_was_signed() {
        let expected = [section("gpt", 0, 4096), section("root", 4096, 8192)];
        holds(&expected, &expected).unwrap();
        let zeros = Section { sha256: Digest::from_bytes([0; 32]), ..expected[1].clone() };
        for (what, bad) in [
            ("none", vec![]),
            ("short", vec![expected[0].clone()]),
            ("another digest", vec![expected[0].clone(), zeros]),
            ("another name", vec![expected[0].clone(), Section { name: "esp".into(), ..expected[1].clone() }]),
            ("a part", vec![expected[0].clone(), section("root", 4096, 4096)]),
            ("another place", vec![expected[0].clone(), section("root", 8192, 8192)]),
            ("twice", vec![expected[0].clone(), expected[1].clone(), expected[1].clone()]),
            ("the other way round", vec![expected[1].clone(), expected[0].clone()]),
        ] {
            assert!(holds(&bad, &expected).is_err(), "{what}");
        }
    }
}
