//! The image onto the disk: what the disk has of it already, what is to be done, and doing it.
//!
//! | module | what it does |
//! |---|---|
//! | [`survey`](mod@survey) | what the disk has already: a [`Found`](found::Found) |
//! | [`ends`] | what is cleared first and written last |
//! | [`plan`] | what to fetch and where to put it, by [`moves`] and [`runs`](mod@runs) |
//! | [`carry`](mod@carry) | a copy from where it lies to where it belongs |
//! | [`fetch`] | runs of frames, several requests in flight |
//! | [`stream`], [`batch`] | zeros and chunks onto the disk, by several threads |
//! | [`written`] | all of it, in the right order: a [`Written`](written::Written) |

pub(crate) mod batch;
pub(crate) mod carry;
pub(crate) mod ends;
pub(crate) mod fetch;
pub(crate) mod found;
pub(crate) mod moves;
pub(crate) mod plan;
pub(crate) mod runs;
pub(crate) mod stream;
pub(crate) mod survey;
pub(crate) mod written;
