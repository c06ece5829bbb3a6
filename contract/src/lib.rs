//! What crosses between Livery's programs, and nothing else.
//!
//! Pure types and checks: no async, no files, no network. Everything here is read from somewhere that may be hostile
//! (a disk, a store, a line's network, a person's spreadsheet), so every `parse` and `decode` bounds what it reads and
//! answers bad input with an error, never a panic.
//!
//! | module | what it is | who writes it | who reads it |
//! |---|---|---|---|
//! | [`manifest`] | one image: partitions, layers, boot entry | `livery` | agent, station |
//! | [`chunkmap`] | which chunk lies where, and in which pack | `livery` | agent |
//! | [`cut`] | where content is cut into chunks | - | `livery`, agent |
//! | [`compose`] | layers of chunk maps laid over one another | - | agent, `livery` |
//! | [`roster`] | one employee a row | IT | `livery`, station |
//! | [`envelope`] | signed bytes (DSSE, Ed25519) | station, agent | agent, station |
//! | [`inventory`], [`job`], [`record`], [`wire`] | the conversation of a device with its station | agent, station | station, agent |
//! | [`tunnel`] | a WireGuard public key | agent | station |
//! | [`tpm`] | what a TPM says of itself | a device's TPM | station |
//! | [`confirmation`] | what took effect on a device in use | desk | station |
//! | [`fault`] | an error with its exit code, place and mend | all | people, scripts |

#![warn(unreachable_pub)]

pub mod chunkmap;
pub mod compose;
pub mod confirmation;
pub mod cut;
pub mod digest;
pub mod envelope;
pub mod fault;
pub mod inventory;
pub mod job;
pub mod manifest;
pub mod name;
pub mod record;
pub mod roster;
pub mod tpm;
pub mod tunnel;
pub mod wire;

pub use digest::Digest;
pub use fault::{Exit, Fault, Result};
pub use name::{Name, OrderId, Reference, Version};
pub use tunnel::TunnelKey;
