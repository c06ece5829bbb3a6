//! The right disk, or none: the policy ([`choose`](mod@choose)), and the disk opened, held and proven to be the one ([`claim`]).

pub(crate) mod choose;
pub(crate) mod claim;
