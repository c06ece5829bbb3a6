//! The program on the device: it learns which order it is, writes that employee's image to its own disk, reads all of it
//! back, proves it, and says so.
//!
//! The folders are the steps. This is their order, and what each hands to the next:
//!
//! | step | folder | out |
//! |---|---|---|
//! | what this device is | `inventory` | `Inventory` |
//! | the organisation's keys into its firmware, and asking the station for work | `enrol` | an envelope |
//! | the work, checked | `job` | `Job` |
//! | the image that it names, trusted | `image` | `Trusted` |
//! | the right disk, or none | `target` | `Target` |
//! | what the disk has of the image already; all but the partition table | `write` | `Found`, `Written` |
//! | read back from the medium | `verify` | `Verified` |
//! | backup GPT, boot entry, what ties the content to this machine | `finish` | `Finished` |
//! | the evidence, and the station has it | `report` | `Record`, `Receipt` |
//!
//! `flow` chains them: unattended as on the medium, or by hand. On a device in use, `update` puts a newer image into the spare slot,
//! with the same steps, and commits it when it is up.
//!
//! Below the steps lies what several of them use: `device` (the disk's bytes), `readback` (reading and comparing), `fit` (the table
//! made to fit the disk), `firmware` (its variables), `station` (the conversation), `work` (progress, Ctrl-C, threads),
//! `console` (what the operator sees), `config`, `power`. On top of all is [`cli`].
//!
//! ```text
//! cli ─> flow, update ─> report ─> finish ─> verify ─> write ─> fit, readback, image, target ─> device, inventory ─> work
//! ```
//!
//! Imports run that way only.

#![warn(unreachable_pub)]

pub mod cli;
mod config;
mod console;
mod device;
mod enrol;
mod finish;
mod firmware;
mod fit;
mod flow;
mod image;
mod inventory;
mod job;
mod power;
mod readback;
mod report;
mod station;
mod target;
mod update;
mod verify;
mod work;
mod write;

/// Version of the agent, as in records.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
