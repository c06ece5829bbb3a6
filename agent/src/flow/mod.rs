//! The steps chained: unattended as on the medium ([`run`]), by hand ([`hand`]), and what both have in common: trusted image and claimed
//! disk in, record out ([`flash`]).

pub(crate) mod flash;
pub(crate) mod hand;
pub(crate) mod run;
