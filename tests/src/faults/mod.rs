//! A thousand faults, each with a verdict: does the agent ever say "done" of a disk that is not the image?
//!
//! `scripts/bench faults` runs them. A case is a seed and a number, and can be had again alone. It makes a disk with some
//! content from before, runs `livery-agent write` under one fault, and judges by the disk's bytes; then the same command
//! on the healthy store must complete.
//!
//! | module | what it is |
//! |---|---|
//! | [`catalogue`] | the kinds of faults, the mix, and how a run may end under each |
//! | [`image`], [`ground`] | the small images, their store, the disks that they are written to |
//! | [`agent`] | the agent as a process, its words and its silences |
//! | [`packs`], [`servers`], [`wire`] | faults of the store and of the way to it |
//! | [`processes`] | signals |
//! | [`disks`], [`loops`] | faults of the disk on this host |
//! | [`initramfs`], [`guests`], [`power`] | faults of a virtual device's disk and power |
//! | [`case`], [`judge`], [`verdict`] | one case, what the disk is, what that comes to |
//! | [`crew`], [`tally`] | many cases at once, and the table |

pub mod agent;
pub mod case;
pub mod catalogue;
pub mod crew;
pub mod disks;
pub mod ground;
pub mod guests;
pub mod image;
pub mod initramfs;
pub mod judge;
pub mod loops;
pub mod packs;
pub mod power;
pub mod processes;
pub mod recording;
pub mod rng;
pub mod scene;
pub mod servers;
pub mod tally;
pub mod verdict;
pub mod wire;
