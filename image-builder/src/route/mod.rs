//! Which way a laptop's traffic goes: software as a service out by the local network, internal names and networks through the
//! tunnel, everything else as the profile says.
//!
//! ```text
//! profile: [saas] [tunnel] [internet] [citrix]
//!    |             what contradicts was refused by `livery_profile`, at its line
//!    v table       names and addresses, each with its way and the reason
//!    +-- decide    the way of one URL                      `livery route`
//!    +-- pac       the same for browsers                   image
//!    +-- browser   Firefox's and Chromium's policies       image
//!    +-- tunnel    NetworkManager's WireGuard connection, split DNS   image
//!    `-- firewall  nftables: what is internal leaves by the tunnel or not at all   image
//! ```

mod browser;
pub(crate) mod command;
mod decide;
mod firewall;
mod pac;
mod table;
#[cfg(test)]
mod tests;
mod tunnel;

pub(crate) use browser::{chromium, firefox};
pub(crate) use decide::Decision;
pub(crate) use firewall::ruleset;
pub(crate) use table::Table;
pub(crate) use tunnel::{INTERFACE, connection, fail_closed};
