//! Merged values, each in its type.

use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use livery_contract::envelope::PublicKey;
use url::Url;

use crate::{
    files::{
        merge::{Merged, MergedValue},
        value::Value,
    },
    words::{certificate::Authority, endpoints::EndpointList, host::Host, supplied::Supplied},
};

/// Typed access to merged values. Where the table and the reader below disagree about a setting's form, the profile does
/// not come about, and [`load`](crate::load) says that this is Livery's fault.
pub(crate) struct Values<'a> {
    merged: &'a Merged,
    odd: bool,
}

impl<'a> Values<'a> {
    /// Over these.
    pub(crate) fn new(merged: &'a Merged) -> Self {
        Self { merged, odd: false }
    }

    fn one<T>(&mut self, key: &str, pick: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        match self.merged.values.get(key)? {
            MergedValue::Bad => None,
            MergedValue::One(value) => {
                let picked = pick(value);
                self.odd |= picked.is_none();
                picked
            }
            MergedValue::List(_) => {
                self.odd = true;
                None
            }
        }
    }

    fn list<T>(&mut self, key: &str, pick: impl Fn(&'a Value) -> Option<T>) -> Option<Vec<T>> {
        match self.merged.values.get(key)? {
            MergedValue::Bad => None,
            MergedValue::List(items) => {
                let picked: Option<Vec<T>> = items.iter().map(|item| item.value.as_ref().and_then(&pick)).collect();
                self.odd |= picked.is_none();
                picked
            }
            MergedValue::One(_) => {
                self.odd = true;
                None
            }
        }
    }

    /// A checked text.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        self.one(key, |value| if let Value::Text(text) = value { Some(text.clone()) } else { None })
    }

    /// A list of checked texts.
    pub(crate) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        self.list(key, |value| if let Value::Text(text) = value { Some(text.clone()) } else { None })
    }

    /// A URL.
    pub(crate) fn url(&mut self, key: &str) -> Option<Url> {
        self.one(key, |value| if let Value::Url(url) = value { Some(url.clone()) } else { None })
    }

    /// A list of hosts.
    pub(crate) fn hosts(&mut self, key: &str) -> Option<Vec<Host>> {
        self.list(key, |value| if let Value::Host(host) = value { Some(host.clone()) } else { None })
    }

    /// The packages that IT supplies.
    pub(crate) fn supplied(&mut self) -> Option<Vec<Supplied>> {
        self.list("packages.supplied", |value| if let Value::Supplied(supplied) = value { Some(supplied.clone()) } else { None })
    }

    /// Whether a reader was of another mind than the table.
    pub(crate) fn is_odd(&self) -> bool {
        self.odd
    }

    /// A flag.
    pub(crate) fn boolean(&mut self, key: &str) -> Option<bool> {
        self.one(key, |value| if let Value::Boolean(value) = value { Some(*value) } else { None })
    }

    /// A list of prefixes.
    pub(crate) fn prefixes(&mut self, key: &str) -> Option<Vec<IpNet>> {
        self.list(key, |value| if let Value::Prefix(prefix) = value { Some(*prefix) } else { None })
    }

    /// The endpoint lists.
    pub(crate) fn endpoint_lists(&mut self) -> Option<Vec<Arc<EndpointList>>> {
        self.list("saas.lists", |value| if let Value::EndpointList(list) = value { Some(list.clone()) } else { None })
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, key: &str) -> Option<i32> {
        self.one(key, |value| if let Value::Integer(value) = value { i32::try_from(*value).ok() } else { None })
    }

    /// Bytes.
    pub(crate) fn size(&mut self, key: &str) -> Option<u64> {
        self.one(key, |value| if let Value::Size(value) = value { Some(*value) } else { None })
    }

    /// A moment.
    pub(crate) fn time(&mut self, key: &str) -> Option<Timestamp> {
        self.one(key, |value| if let Value::Time(value) = value { Some(*value) } else { None })
    }

    /// A public key.
    pub(crate) fn key(&mut self, key: &str) -> Option<PublicKey> {
        self.one(key, |value| if let Value::Key(value) = value { Some(*value) } else { None })
    }

    /// The certificates of one file, or of several.
    pub(crate) fn authorities(&mut self, key: &str) -> Option<Vec<Authority>> {
        let pick = |value: &'a Value| if let Value::Authorities(list) = value { Some(list.clone()) } else { None };
        match self.merged.values.get(key)? {
            MergedValue::List(_) => self.list(key, pick).map(|lists| lists.concat()),
            _ => self.one(key, pick),
        }
    }
}
