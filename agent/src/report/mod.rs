//! The evidence ([`record`]), and what the station gets to know of it and of the way to it ([`send`]).

pub mod record;
pub mod send;
