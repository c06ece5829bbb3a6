//! In use, or what did not take: what a device found, against what its order, its record and its image want.

use std::{collections::BTreeMap, fmt};

use livery_contract::{
    Digest, Fault, Result,
    confirmation::{Confirmation, What},
    manifest::Manifest,
    record::Record,
};
use serde::{Deserialize, Serialize};

use crate::database::{damaged, jobs::JobRow, orders::Order};

/// What the manifest says that a device in use must have: kept with the job, so that a store that has moved on does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expects {
    /// dm-verity root hash of the root file system.
    image: Option<Digest>,
    /// The same of the personal layer.
    layer: Option<Digest>,
}

impl Expects {
    /// Of a personal image.
    pub fn of(manifest: &Manifest) -> Self {
        Self { image: manifest.root_hash, layer: manifest.identity.map(|identity| identity.root_hash) }
    }
}

/// One thing that did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amiss {
    /// Which.
    pub what: What,
    /// What is wanted.
    pub wanted: String,
    /// What there is; `None` where the device says nothing of it.
    pub found: Option<String>,
}

impl fmt::Display for Amiss {
    /// `keyboard is us, not fr`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, wanted, found } = self;
        match found {
            // Sixty-four digits tell a person no more than the first twelve.
            Some(found) => write!(f, "{what} is {}, not {}", short(found), short(wanted)),
            None => write!(f, "{what} should be {}, and the device does not say", short(wanted)),
        }
    }
}

fn short(text: &str) -> &str {
    if text.parse::<Digest>().is_ok() { &text[..12] } else { text }
}

/// What the station wants of a device, from what it knows by itself.
///
/// # Errors
/// `Source` where the database holds a bad value.
pub fn wanted(job: &JobRow, order: &Order, record: &Record) -> Result<BTreeMap<What, String>> {
    let expects: Option<Expects> =
        job.expects.as_deref().map(serde_json::from_str).transpose().map_err(|error| damaged("expectation", error))?;
    let digest = |pick: fn(&Expects) -> Option<Digest>| expects.as_ref().and_then(pick).map(|digest| digest.to_string());
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

/// What did not take, in the order of [`What`]: nothing, for a device that is in use. Where the station wants something itself, what the
/// device says is wanted does not count.
pub fn amiss(confirmation: &Confirmation, wanted: &BTreeMap<What, String>) -> Vec<Amiss> {
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

/// As the database keeps them.
///
/// # Errors
/// Never: plain data.
pub fn kept(amiss: &[Amiss]) -> Result<String> {
    serde_json::to_string(amiss).map_err(|error| Fault::internal("a verdict does not encode").cause(error))
}

/// What is known of a device in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Usage {
    /// `in-use`, or `amiss` where something did not take.
    pub state: &'static str,
    /// What did not take.
    pub amiss: Vec<Amiss>,
    /// The same in words.
    pub words: Vec<String>,
    /// The confirmation's place in the log.
    pub confirmation: i64,
    /// When the device was last heard of.
    pub heard: jiff::Timestamp,
    /// The newer image that it runs, `NAME@VERSION`, where that is not the one that it was written with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<String>,
}

impl Usage {
    /// From an order's columns; `None` for a device that has said nothing since it was written.
    pub fn of(confirmation: Option<i64>, amiss: Option<&str>, heard_at: Option<i64>, runs: Option<String>) -> Option<Self> {
        let confirmation = confirmation?;
        let heard = jiff::Timestamp::from_millisecond(heard_at?).ok()?;
        // What can't be read any more is never "in use"; `livery-station audit` says more.
        let amiss: Vec<Amiss> = serde_json::from_str(amiss?).ok()?;
        let words: Vec<String> = amiss.iter().map(ToString::to_string).collect();
        let state = if amiss.is_empty() { "in-use" } else { "amiss" };
        Some(Self { state, amiss, words, confirmation, heard, runs })
    }

    /// For a cell of a table.
    pub fn text(&self) -> String {
        let runs = self.runs.as_ref().map(|image| format!("runs {image}"));
        let state = if self.amiss.is_empty() { vec!["in use".to_owned()] } else { self.words.clone() };
        state.into_iter().chain(runs).collect::<Vec<_>>().join("; ")
    }
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
        assert_eq!(words(&[(What::Keyboard, None, "fr")]), ["layer should be e3b0c44298fc, and the device does not say"]);
    }

    #[test]
    fn a_verdict_that_cannot_be_read_is_never_in_use() {
        assert_eq!(Usage::of(Some(2), Some("[]"), Some(0), None).unwrap().text(), "in use");
        assert_eq!(Usage::of(Some(2), Some("[]"), Some(0), Some("laptop@2".into())).unwrap().text(), "in use; runs laptop@2");
        for (confirmation, amiss, heard) in
            [(None, Some("[]"), Some(0)), (Some(1), None, Some(0)), (Some(1), Some("x"), Some(0)), (Some(1), Some("[]"), None)]
        {
            assert_eq!(Usage::of(confirmation, amiss, heard, None), None);
        }
    }
}
