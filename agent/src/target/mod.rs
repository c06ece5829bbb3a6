//! The right disk, or none: the policy ([`choose`](mod@choose)), and the disk opened, held and proven to be the one ([`claim`]).

pub mod choose;
pub mod claim;
