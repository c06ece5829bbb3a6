//! The text of a starter: every setting that its kind uses, with a line of doc.
//!
//! What the tested samples in `profiles/` set is set to their values; what a parent sets already, and what nobody sets, is
//! commented out, with the value that holds. A line that begins with `#` and no space is such a setting.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::starter::Starter;
use crate::{
    files::{
        layer::Layer,
        merge::{Merged, merge},
    },
    report::{diagnose::Sink, source::Source},
    settings::{
        form::Form,
        schema,
        setting::Setting,
        table::{self, PER_FILE},
        written,
    },
};

const BASE: &str = include_str!("../../../profiles/base.toml");
const TERMINAL: &str = include_str!("../../../profiles/terminal.toml");
const LAPTOP: &str = include_str!("../../../profiles/laptop.toml");
const AGENT: &str = include_str!("../../../profiles/agent.toml");

/// The most characters of a line.
const WIDTH: usize = 100;

/// A starter's text, and which of its lines hold examples that are to be replaced.
pub(crate) struct Draft {
    /// The text.
    pub text: String,
    /// Line, from 1, and setting.
    pub examples: Vec<(usize, &'static str)>,
}

/// What a starter is written from.
pub(crate) struct Plan<'a> {
    /// What is to be built.
    pub starter: Starter,
    /// The image's name.
    pub name: &'a str,
    /// `extends` as the file says it, and what is inherited by it.
    pub parent: Option<(&'a str, &'a Merged)>,
    /// Now; its date becomes the image's.
    pub now: Timestamp,
}

impl Plan<'_> {
    /// Writes it.
    pub(crate) fn draft(&self) -> Draft {
        let samples = samples(self.starter, self.now);
        let mut draft = Draft { text: String::new(), examples: Vec::new() };
        draft.line(&format!("#:schema ./{}", schema::FILE));
        let what = match self.starter.kind() {
            Some(kind) => format!("A profile of kind {kind}."),
            None => {
                "The settings that an organisation's devices share. Other profiles extend this file; it is not built itself.".into()
            }
        };
        draft.comment(&what);
        draft.comment("`livery check` finds errors; `livery explain` shows each effective value and why.");
        draft.comment("A line with # and no space after it is a setting that is not set here: remove the # to set it.");
        for section in [""].into_iter().chain(table::sections()) {
            let settings: Vec<&Setting> = table::names(section)
                .into_iter()
                .filter_map(|name| table::setting(&if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }))
                .filter(|setting| self.starter.kind().is_none_or(|kind| setting.kinds.contains(&kind)))
                .collect();
            if settings.is_empty() {
                continue;
            }
            draft.line("");
            if !section.is_empty() {
                draft.line(&format!("[{section}]"));
            }
            for setting in settings {
                self.setting(setting, &samples, &mut draft);
            }
        }
        draft
    }

    fn setting(&self, setting: &'static Setting, samples: &BTreeMap<&str, String>, draft: &mut Draft) {
        let name = setting.key.rsplit('.').next().unwrap_or(setting.key);
        draft.comment(setting.doc);
        if let Some(value) = self.own_value(setting.key) {
            return draft.set(name, &value, "");
        }
        let inherited = self.parent.filter(|_| !PER_FILE.contains(&setting.key)).map(|(_, merged)| merged);
        if let Some(place) = inherited.and_then(|merged| merged.locked.get(setting.key)) {
            draft.comment(&format!("Locked by {}: this file cannot change it.", place.file_name()));
        } else if let Some(place) = inherited.and_then(|merged| merged.places.get(setting.key)) {
            draft.comment(&format!("Inherited from {}.", place.file_name()));
        } else if let Some(value) = samples.get(setting.key).filter(|_| !PER_FILE.contains(&setting.key)) {
            if value.contains(".example") {
                draft.comment("An example: replace it with your own.");
                draft.examples.push((draft.lines() + 1, setting.key));
            }
            return draft.set(name, value, "");
        }
        match inherited.and_then(|merged| merged.value_of(setting)).or_else(|| setting.default.map(str::to_owned)) {
            Some(value) => draft.set(name, &value, "#"),
            None => {
                draft.comment("Not set; an example:");
                let example = match setting.form {
                    Form::Text(word) => word.example(),
                    Form::List(word) => format!("[{}]", word.example()),
                    Form::Time => format!("{}", self.now.strftime("%F")),
                    Form::Integer { least, .. } => least.to_string(),
                    Form::Boolean => "true".into(),
                };
                draft.set(name, &example, "#");
            }
        }
    }

    /// What this very file says, whatever others do.
    fn own_value(&self, key: &str) -> Option<String> {
        let locked = self.parent.is_some_and(|(_, merged)| merged.locked.contains_key(key));
        match key {
            "schema" => Some("1".into()),
            "extends" => self.parent.map(|(path, _)| toml::Value::from(path).to_string()),
            "abstract" if self.starter == Starter::Base => Some("true".into()),
            // Even where it is locked: that it is another's kind is then said as an error.
            "kind" => {
                self.starter.kind().filter(|kind| !self.inherits("kind", kind.as_str())).map(|kind| format!("{:?}", kind.as_str()))
            }
            "name" if self.starter != Starter::Base && !locked => Some(format!("{:?}", self.name)),
            "image.epoch" if !locked && !self.has(key) => Some(self.now.strftime("%F").to_string()),
            _ => None,
        }
    }

    fn has(&self, key: &str) -> bool {
        self.parent.is_some_and(|(_, merged)| merged.places.contains_key(key))
    }

    fn inherits(&self, key: &str, text: &str) -> bool {
        let said = self.parent.and_then(|(_, merged)| merged.places.get(key));
        said.is_some_and(|place| written::json(place.text()) == text)
    }
}

impl Draft {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn lines(&self) -> usize {
        self.text.matches('\n').count()
    }

    /// A comment, broken where the line would be too long.
    fn comment(&mut self, text: &str) {
        let mut line = String::from("#");
        for word in text.split_whitespace() {
            if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    /// A setting; a long list with a line for each item. `mark` comes before each line.
    fn set(&mut self, name: &str, value: &str, mark: &str) {
        let line = format!("{mark}{name} = {value}");
        match written::json(value) {
            serde_json::Value::Array(items) if line.chars().count() > WIDTH => {
                self.line(&format!("{mark}{name} = ["));
                for item in items.iter().filter_map(|item| toml::Value::try_from(item).ok()) {
                    self.line(&format!("{mark}    {item},"));
                }
                self.line(&format!("{mark}]"));
            }
            _ => self.line(&line),
        }
    }
}

/// What the samples of this kind set, as TOML.
fn samples(starter: Starter, now: Timestamp) -> BTreeMap<&'static str, String> {
    let leaf = match starter {
        Starter::Terminal => Some(TERMINAL),
        Starter::Laptop => Some(LAPTOP),
        Starter::Agent => Some(AGENT),
        Starter::Base => None,
    };
    // The certificate that the sample trusts is not at hand here, and no one else should trust it: that setting reads as
    // faulty, and so is not among these. Nor are endpoint lists, and the services that are in them.
    let mut unheard = Sink::default();
    let mut layer = |text: &str| {
        let source = Source { path: "(sample)".into(), text: text.into() };
        Layer::read(Arc::new(source), now, &mut unheard)
    };
    let layers: Vec<Layer> = leaf.into_iter().chain([BASE]).map(&mut layer).collect();
    let built_in = Layer::built_in(now, &mut unheard);
    let merged = merge(&layers, &built_in, &mut unheard);
    let set = table::TABLE
        .iter()
        .filter(|setting| merged.places.contains_key(setting.key) && !["description", "saas.services"].contains(&setting.key));
    set.filter_map(|setting| Some((setting.key, merged.value_of(setting)?))).collect()
}
