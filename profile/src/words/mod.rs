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

pub mod certificate;
pub mod client;
pub mod debian;
pub mod endpoints;
pub mod exception;
pub mod host;
pub mod job_key;
pub mod kernel;
pub mod network;
pub mod pattern;
pub mod service;
pub mod size;
pub mod supplied;
pub mod time;
pub mod urls;
pub mod way;
