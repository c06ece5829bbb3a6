//! What a setting's text means, and where it was read.

use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use livery_contract::envelope::PublicKey;
use url::Url;

use crate::{
    report::source::Source,
    words::{certificate::Authority, endpoints::EndpointList, host::Host, supplied::Supplied},
};

/// A decoded value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number in its range.
    Integer(i64),
    /// A moment.
    Time(Timestamp),
    /// Text that its [`Word`](crate::settings::form::Word) has checked.
    Text(String),
    /// A URL.
    Url(Url),
    /// A host.
    Host(Host),
    /// Bytes.
    Size(u64),
    /// The certificates of one file.
    Authorities(Vec<Authority>),
    /// A public key.
    Key(PublicKey),
    /// A .deb that IT supplies.
    Supplied(Supplied),
    /// A network's prefix.
    Prefix(IpNet),
    /// A service's endpoint list.
    EndpointList(Arc<EndpointList>),
}

/// Where a value is read, which decides what a path in it means and what has expired.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The file that says it.
    pub source: &'a Source,
    /// The time.
    pub now: Timestamp,
}
