//! A device arrives: it says who it is, and gets its job or a reason to wait.

pub(crate) mod devices;
pub(crate) mod enrol;
