//! `livery new`: a commented starter for a profile, which `livery check` accepts as it is.
//!
//! | module | what it does |
//! |---|---|
//! | [`starter`] | what starters there are |
//! | [`draft`] | the text |
//! | [`write`] | checks it and writes it, never over anything |

pub(crate) mod draft;
pub(crate) mod starter;
pub(crate) mod write;
