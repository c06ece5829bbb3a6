//! In use, or what differs: what a device found, against what its order, its record and its image ask for.

use std::collections::BTreeMap;

use livery_contract::{
    Digest, Result,
    confirmation::{Confirmation, What},
    record::Record,
};

use crate::{
    database::{damaged, jobs::JobRow, orders::Order},
    jobs::expected::Expected,
    orders::usage::Amiss,
};

/// What the station wants of a device, from what it knows by itself.
///
/// # Errors
/// `Source` where the database holds a bad value.
pub(crate) fn wanted(job: &JobRow, order: &Order, record: &Record) -> Result<BTreeMap<What, String>> {
    let expects: Option<Expected> =
        job.expects.as_deref().map(serde_json::from_str).transpose().map_err(|error| damaged("expectation", error))?;
    let digest = |pick: fn(&Expected) -> Option<Digest>| expects.as_ref().and_then(pick).map(|digest| digest.to_string());
    let data = record.bound.as_ref().and_then(|bound| bound.recovery.as_ref());
    let all = [
        (What::Image, digest(|expects| expects.image)),
        (What::Layer, digest(|expects| expects.layer)),
        (What::Order, Some(order.id.clone())),
        (What::Hostname, Some(order.hostname.clone())),
        (What::Locale, Some(order.locale.clone())),
        (What::Keyboard, Some(order.keyboard.clone())),
        (What::Timezone, order.timezone.clone()),
        (What::Data, data.map(|_| "open".to_owned())),
    ];
    Ok(all.into_iter().filter_map(|(what, wanted)| Some((what, wanted?))).collect())
}

/// What did not take effect, in the order of [`What`]: nothing, for a device that is in use. Where the station wants something itself, what the
/// device says is wanted does not count.
pub(crate) fn amiss(confirmation: &Confirmation, wanted: &BTreeMap<What, String>) -> Vec<Amiss> {
    let mut found: BTreeMap<What, Option<&str>> = wanted.keys().map(|what| (*what, None)).collect();
    let mut all = wanted.clone();
    for finding in &confirmation.findings {
        found.insert(finding.what, Some(&finding.found));
        if let Some(wanted) = &finding.wanted {
            all.entry(finding.what).or_insert_with(|| wanted.clone());
        }
    }
    let differs = |(what, wanted): (What, String)| {
        let found = found.get(&what).copied().flatten();
        (found != Some(wanted.as_str())).then(|| Amiss { what, wanted, found: found.map(str::to_owned) })
    };
    all.into_iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::confirmation::{Finding, SCHEMA};

    use super::*;

    fn told(findings: &[(What, Option<&str>, &str)]) -> Confirmation {
        let finding = |(what, wanted, found): &(What, Option<&str>, &str)| Finding {
            what: *what,
            wanted: wanted.map(str::to_owned),
            found: (*found).to_owned(),
        };
        Confirmation {
            schema: SCHEMA,
            serial: "WT-1".into(),
            booted: jiff::Timestamp::UNIX_EPOCH,
            at: jiff::Timestamp::UNIX_EPOCH,
            secure_boot: None,
            findings: findings.iter().map(finding).collect(),
            desk: "0".into(),
        }
    }

    #[test]
    fn what_differs_is_named_and_what_is_not_said_as_well() {
        let wanted = BTreeMap::from([(What::Keyboard, "fr".to_owned()), (What::Layer, Digest::of(b"").to_string())]);
        let words = |findings: &[(What, Option<&str>, &str)]| -> Vec<String> {
            amiss(&told(findings), &wanted).iter().map(ToString::to_string).collect()
        };
        let layer = Digest::of(b"").to_string();
        assert!(words(&[(What::Keyboard, None, "fr"), (What::Layer, None, &layer), (What::Timezone, None, "UTC")]).is_empty());
        assert_eq!(
            words(&[(What::Keyboard, Some("us"), "us"), (What::Layer, None, "none"), (What::Screen, Some("active"), "failed")]),
            ["layer is none, not e3b0c44298fc", "keyboard is us, not fr", "screen is failed, not active"],
            "the device's own wish does not count where the station has one"
        );
        assert_eq!(words(&[(What::Keyboard, None, "fr")]), ["layer should be e3b0c44298fc, but the device did not report it"]);
    }
}
