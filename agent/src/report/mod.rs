//! What the station gets to know.
//!
//! | module | what it does |
//! |---|---|
//! | [`progress`](mod@progress) | how far the device is, now and then |
//! | [`record`](mod@record) | the evidence, from a finished disk and from nothing else |
//! | [`send`] | the record, until the station's receipt is here |
//! | [`failure`](mod@failure) | why it failed |

pub(crate) mod failure;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod send;
