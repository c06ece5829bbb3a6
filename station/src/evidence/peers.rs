//! The laptops as peers of the WireGuard concentrator (wg(8), "CONFIGURATION FILE FORMAT"): the public key that each made when it was
//! written, from its signed record, and the address that the roster gives it.

use std::fmt::Write as _;

use livery_contract::{Result, TunnelKey};
use serde::Serialize;

use super::rows;
use crate::database::{Connection, log, orders};

/// One laptop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Peer {
    /// Its order.
    pub(crate) order: String,
    /// Its host name.
    pub(crate) hostname: String,
    /// Its public key.
    #[serde(rename = "public-key")]
    pub(crate) public_key: TunnelKey,
    /// Its addresses; `None` where the roster gives it none.
    pub(crate) address: Option<String>,
}

/// Those whose latest record has a key for the tunnel, by order. A retired order has none.
///
/// # Errors
/// `Source`, where the database fails or holds a damaged record.
pub(crate) async fn peers(connection: &mut Connection) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for order in orders::all(connection).await?.into_iter().filter(orders::Order::is_done) {
        let Some(entry) = log::of_order(connection, &order.id, log::Kind::Record).await?.into_iter().next() else { continue };
        let Some(public_key) = rows::record(&entry)?.keys.and_then(|keys| keys.tunnel) else { continue };
        let (order, hostname, address) = (order.id, order.hostname, order.tunnel_address);
        peers.push(Peer { order, hostname, public_key, address });
    }
    Ok(peers)
}

/// As the concentrator reads it.
pub(crate) fn configuration(peers: &[Peer]) -> String {
    let mut text = String::new();
    for Peer { order, hostname, public_key, address } in peers {
        let Some(address) = address else { continue };
        let _ =
            writeln!(text, "# {order} {hostname}\n[Peer]\nPublicKey = {public_key}\nAllowedIPs = {}\n", address.replace(' ', ", "));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

    #[test]
    fn a_peer_without_an_address_is_none() {
        let peer = |order: &str, address: Option<&str>| Peer {
            order: order.into(),
            hostname: "lt-1".into(),
            public_key: KEY.parse().unwrap(),
            address: address.map(str::to_owned),
        };
        let text = configuration(&[peer("ORD-1", Some("10.200.0.1/32 fd00::1/128")), peer("ORD-2", None)]);
        assert_eq!(text, format!("# ORD-1 lt-1\n[Peer]\nPublicKey = {KEY}\nAllowedIPs = 10.200.0.1/32, fd00::1/128\n\n"));
    }
}
