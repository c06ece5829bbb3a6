//! Orders: imported from IT's roster, changed by an operator, and what is known of their devices in use.

pub mod operator;
pub mod roster;
pub mod usage;
