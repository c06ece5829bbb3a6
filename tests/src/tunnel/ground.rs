//! The addresses of home, Internet and organisation, and counters at their borders.

use std::{collections::BTreeMap, io::Write as _, path::Path};

use livery_contract::{Fault, Result};
use serde_json::Value;

use crate::{dnsmasq::Dnsmasq, netns::CABLE, programs::tool};

/// The home's network.
const HOME: &str = "192.168.77.0/24";
/// The home's router.
pub const ROUTER: &str = "192.168.77.1";
/// Where SaaS is, in the Internet.
pub const SAAS: &str = "198.51.100.10";
/// Where the concentrator is, in the Internet.
pub const CONCENTRATOR: &str = "198.51.100.20";
/// The organisation's intranet.
pub const INTRANET: &str = "10.0.0.80";
/// The organisation's name server.
pub const RESOLVER: &str = "10.0.0.53";
/// The tunnel's end on the organisation's side.
pub const TUNNEL: &str = "corp0";

/// What is counted, at the borders: home, and the inside of the tunnel.
const COUNTERS: &str = "
table inet counted {
    counter saas_at_home {}
    counter internal_at_home {}
    counter tunnel_at_home {}
    counter internal_in_tunnel {}
    counter other_in_tunnel {}
    chain input {
        type filter hook input priority -10; policy accept;
        iifname \"tap0\" ip daddr 198.51.100.10 counter name saas_at_home
        iifname \"tap0\" ip daddr 10.0.0.0/8 counter name internal_at_home
        iifname \"tap0\" ip daddr 198.51.100.20 udp dport 51820 counter name tunnel_at_home
        iifname \"corp0\" ip daddr 10.0.0.0/8 counter name internal_in_tunnel
        iifname \"corp0\" ip daddr != 10.0.0.0/8 counter name other_in_tunnel
    }
    chain forward {
        type filter hook forward priority -10; policy accept;
        iifname \"tap0\" ip daddr 10.0.0.0/8 counter name internal_at_home
        iifname \"corp0\" counter name other_in_tunnel
    }
}
";

/// See the module.
pub struct Ground {
    home: Dnsmasq,
}

impl Ground {
    /// Lays it out in the namespace that this process is in, where [`CABLE`] has the [`ROUTER`]'s address.
    ///
    /// # Errors
    /// Where a tool fails.
    pub async fn lay(folder: &Path) -> Result<Self> {
        for address in [SAAS, CONCENTRATOR, "198.51.100.30"] {
            tool("ip", &["address", "add", &format!("{address}/32"), "dev", "lo"]).await?;
        }
        // All of them are one host here: what is sent home without a source is the concentrator's. wireguard-go keeps the source of what it
        // answers in some versions only (not in Debian 13's), and a firewall at home lets no answer of somebody else's in.
        tool("ip", &["route", "replace", HOME, "dev", CABLE, "src", CONCENTRATOR]).await?;
        let mut rules = tempfile::NamedTempFile::new().map_err(|error| Fault::internal("no temporary file").cause(error))?;
        rules.write_all(COUNTERS.as_bytes()).map_err(|error| Fault::internal("no temporary file").cause(error))?;
        tool("nft", &["-f", &rules.path().display().to_string()]).await?;
        let home = folder.join("home");
        std::fs::create_dir_all(&home).map_err(|error| Fault::refused("no folder").cause(error).at(home.display()))?;
        // The concentrator's name, and Microsoft's; everything else in the Internet is one host.
        let configuration = format!(
            "interface={CABLE}\nbind-interfaces\nno-hosts\nno-resolv\nlog-queries=extra\n\
             dhcp-range=192.168.77.50,192.168.77.99,1h\n\
             address=/vpn.assurance.example/{CONCENTRATOR}\naddress=/sharepoint.com/{SAAS}\naddress=/#/198.51.100.30\n"
        );
        Ok(Self { home: Dnsmasq::start(&configuration, &home).await? })
    }

    /// The names that the home's DNS was asked for.
    ///
    /// # Errors
    /// Where its log can't be read.
    pub fn names_at_home(&self) -> Result<Vec<String>> {
        self.home.said().map(|said| asked(&said))
    }
}

/// The names in dnsmasq's log.
pub fn asked(log: &str) -> Vec<String> {
    let name = |line: &str| line.split(" query[").nth(1).and_then(|rest| rest.split(' ').nth(1)).map(str::to_owned);
    log.lines().filter_map(name).collect()
}

/// Packets by counter.
///
/// # Errors
/// Where nft fails.
pub async fn packets() -> Result<BTreeMap<String, u64>> {
    let said: Value = serde_json::from_str(&tool("nft", &["--json", "list", "counters"]).await?)
        .map_err(|error| Fault::internal("nft's answer").cause(error))?;
    let counters = said["nftables"].as_array().into_iter().flatten().map(|one| &one["counter"]).filter(|one| one.is_object());
    Ok(counters.filter_map(|one| Some((one["name"].as_str()?.to_owned(), one["packets"].as_u64()?))).collect())
}
