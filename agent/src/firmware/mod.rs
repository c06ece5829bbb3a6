//! The firmware's variables: where they are ([`variables`]), and the boot entries among them ([`boot_entry`]).

pub mod boot_entry;
pub mod variables;
