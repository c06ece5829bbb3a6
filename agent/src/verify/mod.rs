//! All of the disk read back from the medium and compared: after writing ([`verified`]), or at any time later ([`compare`](mod@compare)).

pub(crate) mod compare;
pub(crate) mod verified;
