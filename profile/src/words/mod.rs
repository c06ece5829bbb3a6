//! What a setting's text can stand for: types, and the checks that look at one value alone.
//!
//! | module | what it is |
//! |---|---|
//! | [`certificate`] | authorities' certificates |
//! | [`client`] | settings of Citrix's client |
//! | [`debian`] | names of packages, patterns of paths |
//! | [`endpoints`] | a service's endpoint list |
//! | [`exception`] | what the scan lets pass |
//! | [`host`], [`pattern`] | hosts, and patterns of them |
//! | [`job_key`] | the key that a station signs jobs with |
//! | [`kernel`] | arguments and consoles |
//! | [`network`] | domains, prefixes, a tunnel's end and keys |
//! | [`service`] | services of endpoint lists |
//! | [`size`], [`time`] | bytes, moments |
//! | [`supplied`] | software that IT supplies |
//! | [`urls`] | URLs and time servers |
//! | [`way`] | which way traffic goes, and why |

pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod debian;
pub(crate) mod endpoints;
pub(crate) mod exception;
pub(crate) mod host;
pub(crate) mod job_key;
pub(crate) mod kernel;
pub(crate) mod network;
pub(crate) mod pattern;
pub(crate) mod service;
pub(crate) mod size;
pub(crate) mod supplied;
pub(crate) mod time;
pub(crate) mod urls;
pub(crate) mod way;
