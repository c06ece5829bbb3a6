//! All of the disk read back.

pub mod verified;
