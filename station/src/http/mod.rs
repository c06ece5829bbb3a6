//! What every route shares: reading a signed message, and answering a fault.

pub(crate) mod refusal;
pub(crate) mod signed;
