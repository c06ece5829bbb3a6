//! The firmware's variables: where they are ([`variables`]), and the boot entries among them ([`boot_entry`]).

pub(crate) mod boot_entry;
pub(crate) mod variables;
