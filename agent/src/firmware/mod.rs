//! The firmware's variables.

pub mod boot_entry;
