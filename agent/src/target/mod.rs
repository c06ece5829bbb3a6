//! The right disk, or none.

pub mod choose;
