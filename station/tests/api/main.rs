//! The station as its clients see it, over real TLS. One binary, since each one more is linked for seconds.
#![allow(clippy::unwrap_used)]

mod common;
mod confirmations;
mod line;
mod log;
mod screen;
mod serving;
mod stays_up;
