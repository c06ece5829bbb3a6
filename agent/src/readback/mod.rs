//! Reading a disk from the medium, and comparing it with the image.
//!
//! | module | what it does |
//! |---|---|
//! | [`reads`] | a section, cut into reads |
//! | [`ahead`] | one read after the other, the next one under way |
//! | [`differ`] | whether bytes are what the image says |
//! | [`zeros`] | the digests of zeros |
//! | [`pass`] | one pass over the disk: read, compared, hashed |
//! | [`sections`] | whether it read all of them |

pub(crate) mod ahead;
pub(crate) mod differ;
pub(crate) mod pass;
pub(crate) mod reads;
pub(crate) mod sections;
pub(crate) mod zeros;
