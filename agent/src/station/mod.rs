//! The conversation with the station: [`client`], and the [`patience`] of whoever asks.

pub(crate) mod client;
pub(crate) mod patience;
