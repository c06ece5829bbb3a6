//! The image onto the disk: what the disk has already, what is to be done, and doing it.

pub mod moves;
pub mod plan;
pub mod survey;
pub mod written;
