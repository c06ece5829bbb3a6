//! The device is taken in: the organisation's keys go into a firmware that has none ([`secure_boot`]), and the station is asked for
//! work ([`ask`]).

pub(crate) mod ask;
pub(crate) mod secure_boot;
