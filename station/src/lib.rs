//! The station stands on the factory line. It knows which device is whose, gives each a signed job, and stores the proof.
//!
//! ```text
//! roster ──> orders ─────┐                               ┌──> line: what people see, live
//!                        ├──> jobs ──> images ───────────┤
//! device ──> admission ──┘           (the store's files) └──> evidence: append-only, signed, audited
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`orders`] | imported from IT's roster; given a serial; opened again; what is known once their devices are in use |
//! | [`states`] | the states of orders and jobs, and which may follow which |
//! | [`admission`] | a device says who it is |
//! | [`jobs`] | what one device shall do, signed; how far it is, or why it gave up |
//! | [`images`] | the store's files, with ranges; its manifests, verified |
//! | [`evidence`] | records and confirmations into the log; whether it still holds |
//! | [`line`] | the live page |
//! | [`database`] | all SQL |
//! | [`keys`] | `keygen`, and reading keys back |
//! | [`station`] | what the routes share |
//! | [`server`], [`http`] | HTTPS: routes, limits, signed messages, faults as answers |
//! | [`text`] | what others sent, fit to be shown |
//! | [`cli`] | the command line |

mod admission;
pub mod cli;
pub mod database;
pub mod evidence;
mod http;
pub mod images;
mod jobs;
pub mod keys;
mod line;
pub mod orders;
pub mod server;
mod states;
pub mod station;
mod text;
