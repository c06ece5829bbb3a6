//! `livery explain`: what a setting is in a profile, and each place that had a say in it.
//!
//! In comes a profile, perhaps an abstract one, perhaps with errors elsewhere; out comes one [`Explained`] for each setting
//! that was asked for. Only a profile that cannot be read at all, and a name that no setting has, are refused.

use std::path::Path;

use jiff::Timestamp;
use livery_contract::{Fault, Result as FaultResult};
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::{
    files::{
        extends::chain,
        layer::Item,
        merge::{Action, MergedValue, Origin},
    },
    report::{
        diagnose::{Diagnostics, Sink},
        text::{nearest, quoted},
    },
    resolve::read::{Purpose, Read, judge, read},
    settings::{
        choice::Kind,
        setting::Setting,
        table::{self, TABLE},
        written,
    },
};

/// One setting of one profile.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// `section.key`, or `key` at the top.
    pub key: &'static str,
    /// What holds now; `null` where nothing does.
    pub value: Json,
    /// The line that decides is faulty, so that nobody can tell what holds.
    pub faulty: bool,
    /// For a list: each item, and who brought it.
    pub items: Option<Vec<Brought>>,
    /// What holds where no file says anything; `null` where nothing does.
    pub default: Json,
    /// Whether the default is what holds, or what the files have changed.
    pub default_holds: bool,
    /// Whether this kind of profile uses it.
    pub used: bool,
    /// The lock that keeps files which extend this one from changing it, as `file:line`.
    pub locked: Option<String>,
    /// Each line that had a say, nearest first.
    pub origins: Vec<Origin>,
    /// What it means.
    pub meaning: &'static str,
    #[serde(skip)]
    pub(super) text: Option<String>,
    #[serde(skip)]
    pub(super) kinds: &'static [Kind],
}

/// An item of a list, and where it came in; no place where it is the default's.
#[derive(Clone, Debug, Serialize)]
pub struct Brought {
    /// The item.
    pub item: String,
    /// `file:line:column`.
    pub by: Option<String>,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The settings, in the order of the guide.
    pub settings: Vec<Explained>,
    /// What the profile is, where it says so.
    pub kind: Option<Kind>,
    /// How many errors the profile has.
    pub errors: usize,
    /// Whether one setting was asked for by its name.
    pub single: bool,
}

/// Explains a setting, a section's settings, or all that the profile's kind uses.
///
/// # Errors
/// [`Exit::Usage`](livery_contract::Exit::Usage) where no setting or section has this name;
/// [`Exit::Refused`](livery_contract::Exit::Refused) where the profile cannot be read at all.
pub fn explain(path: &Path, key: Option<&str>) -> FaultResult<Explanation> {
    explain_at(path, key, Timestamp::now())
}

/// [`explain`] at a given time.
///
/// # Errors
/// As [`explain`].
pub fn explain_at(path: &Path, key: Option<&str>, now: Timestamp) -> FaultResult<Explanation> {
    let asked = match key {
        Some(key) => TABLE.iter().filter(|setting| table::covers(key, setting.key)).collect(),
        None => Vec::new(),
    };
    if let (Some(key), true) = (key, asked.is_empty()) {
        return Err(unknown(key));
    }
    let mut sink = Sink::default();
    let Some(read) = read(chain(path, now, &mut sink), now, &mut sink) else {
        let unread = || Fault::refused("this profile cannot be read").at(path.display());
        return Err(sink.finish().map_or_else(unread, Fault::from));
    };
    judge(&read, Purpose::Check, &mut sink);
    let single = key.is_some_and(|key| table::setting(key).is_some());
    let uses = |setting: &&Setting| read.kind.is_none_or(|kind| setting.kinds.contains(&kind));
    let settings = match key {
        None => TABLE.iter().filter(uses).map(|setting| one(&read, setting)).collect(),
        Some(_) => asked.into_iter().filter(|setting| single || uses(setting)).map(|setting| one(&read, setting)).collect(),
    };
    let errors = sink.finish().as_ref().map_or(0, Diagnostics::count);
    Ok(Explanation { settings, kind: read.kind, errors, single })
}

fn unknown(key: &str) -> Fault {
    let fault = Fault::usage(format!("there is no setting called {}", quoted(key)));
    let known = || TABLE.iter().map(|setting| setting.key).chain(table::sections());
    // `timezone` for `locale.timezone`: its own name is nearer than any whole one.
    let same = TABLE.iter().map(|setting| setting.key).find(|known| known.rsplit('.').next() == Some(key));
    match same.or_else(|| nearest(key, known())) {
        Some(near) => fault.fix(format!("did you mean {near}?")),
        None => fault.fix("`livery explain PROFILE` lists them all"),
    }
}

fn one(read: &Read, setting: &'static Setting) -> Explained {
    let (merged, key) = (&read.merged, setting.key);
    let origins = merged.origins.of(key).to_vec();
    let value = merged.values.get(key);
    let items = match value {
        Some(MergedValue::List(items)) => Some(items.iter().map(|item| brought(item, &origins)).collect()),
        _ => None,
    };
    let text = merged.value_of(setting);
    Explained {
        key,
        value: text.as_deref().map_or(Json::Null, written::json),
        faulty: matches!(value, Some(MergedValue::Bad)),
        items,
        default: setting.default.map_or(Json::Null, written::json),
        default_holds: setting.default.is_some()
            && !origins.iter().any(|origin| origin.holds && matches!(origin.action, Action::Set { .. } | Action::Faulty)),
        used: read.kind.is_none_or(|kind| setting.kinds.contains(&kind)),
        locked: merged.locked.get(key).map(|place| place.short()),
        origins,
        meaning: setting.doc,
        text,
        kinds: setting.kinds,
    }
}

fn brought(item: &Item, origins: &[Origin]) -> Brought {
    let from_file = origins.iter().any(|origin| origin.file == item.place.source.path);
    Brought { item: item.text.clone(), by: from_file.then(|| item.place.long()) }
}

impl Explanation {
    /// One object for one setting; else `{"settings": […]}`.
    pub fn to_json(&self) -> Json {
        match self.settings.first() {
            Some(setting) if self.single => json!({"kind": self.kind, "errors": self.errors, "setting": setting}),
            _ => json!({"kind": self.kind, "errors": self.errors, "settings": self.settings}),
        }
    }
}
