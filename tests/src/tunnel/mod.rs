//! What a laptop at home meets: the home's own network with its router's DHCP and DNS, the Internet with SaaS in it, and the
//! organisation's network behind a WireGuard concentrator. All of it in one network namespace, each on an interface of its own, so
//! that the kernel's firewall counts what passes where.
//!
//! | module | |
//! |---|---|
//! | [`ground`] | addresses, interfaces, counters |
//! | [`peer`] | the concentrator: wireguard-go, and what is behind it |
//! | [`word`] | servers that answer with one word |

pub mod ground;
pub mod peer;
pub mod word;
