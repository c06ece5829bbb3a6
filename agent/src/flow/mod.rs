//! The steps chained: unattended as on the medium ([`run`]), by hand ([`hand`]), and what both have in common: trusted image and claimed
//! disk in, record out ([`flash`]).

pub mod flash;
pub mod hand;
pub mod run;
