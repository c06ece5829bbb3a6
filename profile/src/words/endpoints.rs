//! One service's endpoint list, as TOML.

use std::{collections::BTreeSet, fmt::Write as _};

use ipnet::IpNet;
use jiff::civil::Date;
use livery_contract::Digest;
use serde::{Deserialize, Serialize};

use super::{pattern::Pattern, way::Reason};

/// The most endpoints of a list, and the most names or prefixes of one.
const MOST: usize = 5_000;

/// One service's endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointList {
    /// The only version of this form: 1.
    pub schema: u32,
    /// The service's name, as profiles say it: `microsoft365`.
    pub service: String,
    /// A line for people.
    pub title: String,
    /// Where its provider publishes it; empty where nowhere.
    #[serde(default)]
    pub source: String,
    /// The provider's own version, or the date.
    pub version: String,
    /// The day that it was taken.
    pub date: String,
    /// SHA-256 of the rest; see [`EndpointList::digest`]. Left out in a list that is written by hand, until `livery saas update`
    /// takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// The endpoints, by their numbers.
    #[serde(rename = "endpoint", default)]
    pub endpoints: Vec<Endpoint>,
}

/// Names and addresses that go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The provider's number for it.
    pub id: u32,
    /// What of the service it is for: `Exchange`.
    #[serde(default)]
    pub area: String,
    /// What profiles choose by: `optimize`, `allow`, `default`.
    pub category: String,
    /// Whether the service fails without it.
    #[serde(default)]
    pub required: bool,
    /// Host names.
    #[serde(default)]
    pub names: Vec<Pattern>,
    /// Addresses.
    #[serde(default)]
    pub prefixes: Vec<IpNet>,
    /// TCP ports, as the provider writes them.
    #[serde(default)]
    pub tcp: String,
    /// UDP ports, as the provider writes them.
    #[serde(default)]
    pub udp: String,
}

/// What a profile chose of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// As the profile says it: `microsoft365:optimize`.
    pub name: String,
    /// The list's version.
    pub version: String,
    /// Host names, sorted, without doubles.
    pub names: Vec<Pattern>,
    /// Addresses, sorted, without doubles.
    pub prefixes: Vec<IpNet>,
}

impl Service {
    /// What `livery route` says of it.
    pub fn reason(&self) -> Reason {
        Reason::Service { service: self.name.clone(), version: self.version.clone() }
    }
}

impl EndpointList {
    /// From a file's text, every rule checked, the digest among them.
    ///
    /// # Errors
    /// In words: what is wrong, and how to mend it.
    pub fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        let list = Self::parse_unsealed(text)?;
        match list.sha256 {
            Some(said) if said != list.digest() => Err((
                format!("its content has the digest {}, but it states {said}: somebody edited it by hand", list.digest()),
                "download it again, or import your own changes with `livery saas update LIST --from FILE`",
            )),
            Some(_) => Ok(list),
            None => Err(("it has no `sha256`".into(), "import a list written by hand with `livery saas update LIST --from FILE`")),
        }
    }

    /// The same where the digest may be missing or old: for a list that is being taken.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_unsealed(text: &str) -> Result<Self, (String, &'static str)> {
        let list: Self = toml::from_str(text)
            .map_err(|error| (error.to_string().trim_end().replace('\n', "; "), "see docs/routes.md for the form"))?;
        list.check().map_err(|why| (why, "see docs/routes.md for the form"))?;
        Ok(list)
    }

    /// The checks that its form does not make.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        if self.schema != 1 {
            return Err(format!("schema = {}: this release knows only 1", self.schema));
        }
        if !is_word(&self.service) {
            return Err(format!("{:?} is not a service name: 1 to 40 of a-z 0-9 -", self.service));
        }
        if self.date.parse::<Date>().is_err() {
            return Err(format!("{:?} is not a date such as 2025-12-31", self.date));
        }
        let line = |text: &str| text.len() <= 200 && !text.chars().any(char::is_control);
        if self.version.is_empty() || ![&self.version, &self.title, &self.source].into_iter().all(|text| line(text)) {
            return Err("title, source and version must be one line of at most 200 characters".into());
        }
        if self.endpoints.is_empty() || self.endpoints.len() > MOST {
            return Err(format!("{} endpoints: 1 to {MOST} are expected", self.endpoints.len()));
        }
        let mut seen = BTreeSet::new();
        for endpoint in &self.endpoints {
            let id = endpoint.id;
            if !seen.insert(id) {
                return Err(format!("endpoint {id} appears twice"));
            }
            if !is_word(&endpoint.category) {
                return Err(format!("endpoint {id}: {:?} is not a category: 1 to 40 of a-z 0-9 -", endpoint.category));
            }
            if ![&endpoint.area, &endpoint.tcp, &endpoint.udp].into_iter().all(|text| line(text)) {
                return Err(format!("endpoint {id}: area and ports must be one line of at most 200 characters"));
            }
            if endpoint.names.len() > MOST || endpoint.prefixes.len() > MOST {
                return Err(format!("endpoint {id} has more than {MOST} names or prefixes"));
            }
            if endpoint.names.is_empty() && endpoint.prefixes.is_empty() {
                return Err(format!("endpoint {id} has neither names nor prefixes"));
            }
            if let Some(prefix) = endpoint.prefixes.iter().find(|prefix| prefix.addr() != prefix.network()) {
                return Err(format!("endpoint {id}: {prefix} has bits beyond its length; write {}", prefix.trunc()));
            }
        }
        Ok(())
    }

    /// SHA-256 of the list as compact JSON (fields in the order of the types, names and prefixes sorted), without the digest.
    pub fn digest(&self) -> Digest {
        let bare = Self { sha256: None, ..self.clone() }.sorted();
        Digest::of(&serde_json::to_vec(&bare).unwrap_or_else(|error| unreachable!("plain data: {error}")))
    }

    /// In the one order that a list is written in, doubles taken out.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.endpoints.sort_by_key(|endpoint| endpoint.id);
        for endpoint in &mut self.endpoints {
            endpoint.names.sort();
            endpoint.names.dedup();
            endpoint.prefixes.sort();
            endpoint.prefixes.dedup();
        }
        self
    }

    /// The file's text, with its digest.
    pub fn to_toml(&self) -> String {
        let list = self.clone().sorted();
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut text = String::from(
            "# An endpoint list, taken by `livery saas update`. Not for changing by hand: the digest covers all of it.\n",
        );
        let _ = writeln!(text, "schema = {}", list.schema);
        let date = &list.date;
        for (key, value) in [
            ("service", &list.service),
            ("title", &list.title),
            ("source", &list.source),
            ("version", &list.version),
            ("date", date),
        ] {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        }
        let _ = writeln!(text, "sha256 = \"{}\"", list.digest());
        for endpoint in &list.endpoints {
            let _ = write!(text, "\n[[endpoint]]\nid = {}\n", endpoint.id);
            for (key, value) in [("area", &endpoint.area), ("category", &endpoint.category)] {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
            let _ = writeln!(text, "required = {}", endpoint.required);
            let names: Vec<String> = endpoint.names.iter().map(ToString::to_string).collect();
            let prefixes: Vec<String> = endpoint.prefixes.iter().map(ToString::to_string).collect();
            for (key, items) in [("names", names), ("prefixes", prefixes)] {
                if !items.is_empty() {
                    let lines: String = items.iter().map(|item| format!("    {},\n", quoted(item))).collect();
                    let _ = writeln!(text, "{key} = [\n{lines}]");
                }
            }
            for (key, value) in [("tcp", &endpoint.tcp), ("udp", &endpoint.udp)] {
                if !value.is_empty() {
                    let _ = writeln!(text, "{key} = {}", quoted(value));
                }
            }
        }
        text
    }

    /// The categories that it has, sorted.
    pub fn categories(&self) -> BTreeSet<&str> {
        self.endpoints.iter().map(|endpoint| endpoint.category.as_str()).collect()
    }

    /// What `microsoft365:optimize` chooses, or `microsoft365` for all of it; `None` where no endpoint has this category.
    pub fn choose(&self, name: &str) -> Option<Service> {
        let category = name.split_once(':').map(|(_, category)| category);
        let chosen: Vec<&Endpoint> =
            self.endpoints.iter().filter(|endpoint| category.is_none_or(|category| endpoint.category == category)).collect();
        if chosen.is_empty() {
            return None;
        }
        let names: BTreeSet<Pattern> = chosen.iter().flat_map(|endpoint| endpoint.names.clone()).collect();
        let prefixes: BTreeSet<IpNet> = chosen.iter().flat_map(|endpoint| endpoint.prefixes.clone()).collect();
        Some(Service {
            name: name.to_owned(),
            version: self.version.clone(),
            names: names.into_iter().collect(),
            prefixes: prefixes.into_iter().collect(),
        })
    }
}

/// Whether a text can be a service's name, or a category's.
pub(crate) fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIST: &str = r#"
schema = 1
service = "crm"
title = "Our customers"
version = "1"
date = "2026-11-01"
[[endpoint]]
id = 2
category = "allow"
names = ["*.crm.example", "a.example"]
[[endpoint]]
id = 1
category = "optimize"
names = ["a.example"]
prefixes = ["192.0.2.0/24"]
"#;

    #[test]
    fn a_list_written_is_the_list_read_and_a_change_is_seen() {
        let list = EndpointList::parse_unsealed(LIST).unwrap();
        assert!(EndpointList::parse(LIST).unwrap_err().0.contains("no `sha256`"));
        let text = list.to_toml();
        let read = EndpointList::parse(&text).unwrap();
        assert_eq!(read.clone().sorted(), read);
        assert_eq!((read.digest(), read.to_toml()), (list.digest(), text.clone()));
        for (from, to) in [
            ("*.crm.example", "*.crn.example"),
            ("/24", "/25"),
            ("optimize", "allow"),
            ("2026-11-01", "2026-11-02"),
            ("id = 2", "id = 3"),
        ] {
            let changed = text.replace(from, to);
            assert!(EndpointList::parse(&changed).unwrap_err().0.contains("edited it by hand"), "{from}");
        }
        let optimize = read.choose("crm:optimize").unwrap();
        assert_eq!((optimize.names.len(), optimize.prefixes.len()), (1, 1));
        assert_eq!(read.choose("crm").unwrap().names.len(), 2);
        assert!(read.choose("crm:default").is_none());
    }

    #[test]
    fn bad_lists() {
        for (from, to) in [
            ("schema = 1", "schema = 2"),
            ("\"crm\"", "\"C R M\""),
            ("2026-11-01", "yesterday"),
            ("id = 2", "id = 1"),
            ("\"allow\"", "\"Allow!\""),
            ("*.crm.example", "*"),
            ("192.0.2.0/24", "192.0.2.1/24"),
            ("192.0.2.0/24", "192.0.2.0"),
            ("names = [\"*.crm.example\", \"a.example\"]", ""),
            ("version = \"1\"", "version = \"\""),
            ("title", "tilte"),
        ] {
            assert!(EndpointList::parse_unsealed(&LIST.replacen(from, to, 1)).is_err(), "{from} -> {to}");
        }
    }
}
