//! What every route shares: connections within limits, reading a signed message, answering a fault; and how the station is.

pub(crate) mod connections;
pub(crate) mod health;
pub(crate) mod refusal;
pub(crate) mod signed;
