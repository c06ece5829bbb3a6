//! The line as people see it: the page, the same as JSON, and both live.

pub(crate) mod feed;
mod page;
mod picture;
pub(crate) mod routes;
mod snapshot;
pub(crate) mod task;
mod view;
mod words;
