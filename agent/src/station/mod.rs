//! The conversation with the station.

pub mod client;
