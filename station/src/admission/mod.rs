//! A device arrives: it states its identity, and gets its job or a reason to wait.

pub(crate) mod devices;
pub(crate) mod enrol;
