//! The evidence: records and confirmations in the append-only log, and what can be proved from it.

pub mod audit;
pub(crate) mod chain;
pub(crate) mod confirmations;
pub(crate) mod peers;
pub(crate) mod record_check;
pub(crate) mod records;
pub(crate) mod rows;
pub(crate) mod verdict;
