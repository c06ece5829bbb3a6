//! Jobs: issued to one device, followed by its messages.

pub(crate) mod expected;
pub(crate) mod issue;
pub(crate) mod message;
pub(crate) mod progress;
