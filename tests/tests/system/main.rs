//! Whole-system tests: they drive the built programs from outside, as people do. One binary, since each one more is linked for
//! seconds; one module for each room, and in it one file for each thing that people rely on.
//!
//! | module | what it holds |
//! |---|---|
//! | [`image_builder`] | profiles, masters, personal layers, imported images, stores |
//! | [`agent`] | writing, the right disk, faults, start over the network, Secure Boot, updates |
//! | [`station`] | the line's page and its API |
//! | [`desk`] | terminals and laptops at their employees |
//! | [`whole_way`] | from a profile to a device in use |
//! | [`harness`] | the judges, judged first: virtual devices, the stand-in Gateway |
//!
//! Tests of a virtual device begin with `qemu_`; `.config/nextest.toml` knows them by that, and what runs in which tier.
#![allow(clippy::unwrap_used)]

mod agent;
mod desk;
mod harness;
mod image_builder;
mod station;
mod whole_way;
