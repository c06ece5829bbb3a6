//! What `scripts/bench` is made of: it measures the programs from outside, beside others that do the same work.
//!
//! Nothing here asserts by the clock: a slow machine gives poor figures, never a failure. What a contestant left on the disk
//! is checked, and a wrong disk is a failure.
//!
//! | module | what it is |
//! |---|---|
//! | [`place`] | where images and results are kept, and whether they fit |
//! | [`interrupt`] | Ctrl-C: what runs is ended, what was set up is taken down |
//! | [`measured`] | a command with its seconds, processor seconds and peak memory |
//! | [`material`], [`images`], [`extents`] | disk images like real systems, in every form that a contestant reads |
//! | [`shelf`] | a store of the benchmark's own, with its keys |
//! | [`target`] | the disk that is written, in the same state before each run |
//! | [`virtual_disk`] | an NVMe disk in QEMU as that disk: the same program, run in a guest |
//! | [`contestants`], [`limit`] | who writes it, and the limit by fio |
//! | [`counting_server`] | a store behind HTTP that counts what it sends |
//! | [`link`] | two network namespaces and a line between them with delay and loss |
//! | [`build`] | the same packages made into an image, by Livery and by others |
//! | [`boot`] | a terminal's start, beside a plain Debian with the same kiosk |
//! | [`update`] | two masters, an ordinary change apart |
//! | [`table`], [`outcome`] | medians, ratios, and how they are printed |

pub mod boot;
pub mod build;
pub mod contestants;
pub mod counting_server;
pub mod extents;
pub mod images;
pub mod interrupt;
pub mod limit;
pub mod link;
pub mod material;
pub mod measured;
pub mod outcome;
pub mod place;
pub mod shelf;
pub mod table;
pub mod target;
pub mod update;
pub mod virtual_disk;
