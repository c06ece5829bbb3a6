//! Two network namespaces, a device's and a station's, and a link between them with a rate, a delay and losses.
//!
//! Where the kernel has netem it is a pair of veth interfaces with `tc qdisc … netem` on both; where it has not, a pair of
//! TUN interfaces and a relay that does the same. A loss is one packet of 1500 bytes, as on a wire, and not 64 KiB at once:
//! netem gets no larger ones, the relay takes them apart.
//!
//! | module | what it is |
//! |---|---|
//! | [`namespaces`] | made, used, removed |
//! | [`tun`] | a TUN interface |
//! | [`packet`] | one from there, and its segments |
//! | [`relay`] | packets from one to the other: rate, delay, loss |
//! | [`station`] | `livery-station serve` on the far side |

pub mod namespaces;
pub mod packet;
pub mod relay;
pub mod station;
pub mod tun;

use std::{fmt, time::Duration};

use livery_contract::{Fault, Result};
use serde::{Deserialize, Serialize};

use self::{namespaces::Namespace, relay::Relay, tun::Tun};
use super::measured::tool;

/// The device's side.
pub const NEAR: &str = "10.213.7.2";
/// The station's side.
pub const FAR: &str = "10.213.7.1";
/// Packets on their way or waiting: over half a second of a gigabit, so that only the losses asked for happen.
pub const LIMIT: usize = 50_000;
/// The interface, in both namespaces.
const INTERFACE: &str = "livery0";

/// What a link does to packets, in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Megabits (10^6) a second.
    pub megabits: u32,
    /// Milliseconds from one end to the other; a round trip takes twice that.
    pub delay_milliseconds: u32,
    /// Of 100 packets, how many are lost.
    pub loss_percent: f64,
}

/// How the link is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Means {
    /// The kernel's netem, on veth.
    Netem,
    /// The relay, on TUN: this kernel has no netem.
    Relay,
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Netem => "netem",
            Self::Relay => "a relay between TUN interfaces (this kernel has no netem)",
        })
    }
}

/// A link that is up; all of it goes when dropped.
pub struct Link {
    /// The device's namespace.
    pub near: Namespace,
    /// The station's namespace.
    pub far: Namespace,
    /// How it is made.
    pub means: Means,
    // Stopped before the namespaces go: fields drop in order, so it is taken out by `Drop`.
    relay: Option<Relay>,
}

impl Link {
    /// Makes it.
    ///
    /// # Errors
    /// Where this is not root's, or the kernel has neither.
    pub fn up(terms: Terms) -> Result<Self> {
        let (near, far) = (Namespace::make("livery-bench-near")?, Namespace::make("livery-bench-far")?);
        match netem(&near, &far, terms) {
            Ok(()) => return Ok(Self { near, far, means: Means::Netem, relay: None }),
            Err(fault) => eprintln!("no netem here: {}", fault.report().what.lines().last().unwrap_or_default()),
        }
        // The interfaces that netem did not want go with their namespaces.
        drop((near, far));
        let (near, far) = (Namespace::make("livery-bench-near")?, Namespace::make("livery-bench-far")?);
        let (a, b) = (Tun::make("livery-near")?, Tun::make("livery-far")?);
        for (tun, namespace, own) in [(&a, &near, NEAR), (&b, &far, FAR)] {
            tool("ip", ["link", "set", "dev", tun.name(), "netns", namespace.name()])?;
            namespace.tool(["ip", "link", "set", "dev", tun.name(), "name", INTERFACE])?;
            // A queue as long as the link's: the relay decides what is lost.
            namespace.tool(["ip", "link", "set", "dev", INTERFACE, "mtu", "1500", "txqueuelen", &LIMIT.to_string()])?;
            address(namespace, own)?;
        }
        let relay = Relay::start(a, b, terms)?;
        Ok(Self { near, far, means: Means::Relay, relay: Some(relay) })
    }

    /// Bytes of IP packets that the device's side has received since it is up.
    ///
    /// # Errors
    /// Where the kernel won't tell.
    pub fn received(&self) -> Result<u64> {
        // The interface behind a relay counts a packet of many segments with one header.
        if let Some(relay) = &self.relay {
            return Ok(relay.received());
        }
        let said = self.near.tool(["cat", &format!("/sys/class/net/{INTERFACE}/statistics/rx_bytes")])?;
        said.trim().parse().map_err(|error| Fault::internal("an interface's counter is no number").cause(error))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.relay = None;
    }
}

fn netem(near: &Namespace, far: &Namespace, terms: Terms) -> Result<()> {
    let ends = ["livery-near", "livery-far"];
    tool("ip", ["link", "add", ends[0], "netns", near.name(), "type", "veth", "peer", "name", ends[1], "netns", far.name()])?;
    for (end, namespace, own) in [(ends[0], near, NEAR), (ends[1], far, FAR)] {
        namespace.tool(["ip", "link", "set", "dev", end, "name", INTERFACE, "gso_max_segs", "1"])?;
        let (rate, delay) = (format!("{}mbit", terms.megabits), format!("{}ms", terms.delay_milliseconds));
        let (loss, limit) = (format!("{}%", terms.loss_percent), LIMIT.to_string());
        let qdisc = ["tc", "qdisc", "add", "dev", INTERFACE, "root", "netem", "limit", &limit];
        namespace.tool([&qdisc[..], &["delay", &delay, "loss", &loss, "rate", &rate]].concat())?;
        address(namespace, own)?;
    }
    Ok(())
}

fn address(namespace: &Namespace, own: &str) -> Result<()> {
    namespace.tool(["ip", "address", "add", &format!("{own}/24"), "dev", INTERFACE])?;
    namespace.tool(["ip", "link", "set", "dev", INTERFACE, "up"])?;
    namespace.tool(["ip", "link", "set", "dev", "lo", "up"])?;
    Ok(())
}

impl Terms {
    /// The time that a packet of this many bytes takes on the wire.
    fn time(&self, bytes: usize) -> Duration {
        // Ethernet's header, as netem counts it.
        let bits = (bytes as u64 + 14) * 8;
        Duration::from_nanos(bits * 1000 / u64::from(self.megabits.max(1)))
    }
}
