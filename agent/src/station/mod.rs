//! The conversation with the station: [`client`], and the [`patience`] of whoever asks.

pub mod client;
pub mod patience;
