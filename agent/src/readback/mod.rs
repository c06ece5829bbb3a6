//! Reading a disk from the medium, and comparing it with the image.

pub mod ahead;
pub mod pass;
pub mod zeros;
