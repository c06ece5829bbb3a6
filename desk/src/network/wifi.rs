//! Wi-Fi: what is in reach, and connecting to it. In: a network's name and password, as a person typed them: checked here, whoever
//! sent them. Out: a connection of NetworkManager's, which keeps it where the image says. Fails where the device has no Wi-Fi, the
//! password is not one, or the network refuses.

use std::{collections::HashMap, time::Duration};

use livery_contract::{Fault, Result};
use serde::Serialize;
use zbus::zvariant::{OwnedObjectPath, Value};

use super::{
    Manager, failed,
    proxies::{AccessPointProxy, ActiveProxy, ConnectionProxy, ConnectionsProxy, DeviceProxy, Given, WirelessProxy},
};

/// The most networks that are shown.
const MOST: usize = 40;
/// How long a network may take to accept a device.
const PATIENCE: Duration = Duration::from_secs(45);

/// What a network asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Security {
    Open,
    /// A password, WPA2.
    Password,
    /// A password, WPA3 alone.
    Sae,
    /// What a settings page can't answer: certificates, WEP.
    Other,
}

impl Security {
    /// From an access point's flags (NM80211ApFlags, NM80211ApSecurityFlags).
    const fn of(flags: u32, wpa: u32, rsn: u32) -> Self {
        const PRIVACY: u32 = 1;
        const PSK: u32 = 0x100;
        const SAE: u32 = 0x400;
        const OWE: u32 = 0x800 | 0x1000;
        if (wpa | rsn) & PSK != 0 {
            Self::Password
        } else if rsn & SAE != 0 {
            Self::Sae
        } else if wpa == 0 && rsn & !OWE == 0 && flags & PRIVACY == 0 {
            Self::Open
        } else {
            Self::Other
        }
    }
}

/// One network in reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Network {
    pub ssid: String,
    /// 0 to 100.
    pub strength: u8,
    pub security: Security,
    /// Whether the device is connected to it.
    pub active: bool,
}

/// A name and password that NetworkManager may be given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    ssid: String,
    password: Option<String>,
}

impl Request {
    /// Checks what a person typed: IEEE 802.11's bounds of a name, WPA's of a passphrase or key.
    ///
    /// # Errors
    /// Exit 2 where it is out of them.
    pub(crate) fn new(ssid: &str, password: &str) -> Result<Self> {
        if ssid.is_empty() || ssid.len() > 32 || ssid.chars().any(char::is_control) {
            return Err(Fault::usage("a network's name has 1 to 32 bytes and no control characters"));
        }
        let printable = password.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let key = password.len() == 64 && password.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !(password.is_empty() || key || printable && (8..=63).contains(&password.len())) {
            return Err(Fault::usage("a Wi-Fi password has 8 to 63 characters"));
        }
        Ok(Self { ssid: ssid.to_owned(), password: (!password.is_empty()).then(|| password.to_owned()) })
    }

    fn settings(&self, security: Security) -> Given<'_> {
        let mut settings: Given<'_> = HashMap::from([
            ("connection", HashMap::from([("id", Value::from(self.ssid.as_str())), ("type", "802-11-wireless".into())])),
            ("802-11-wireless", HashMap::from([("ssid", Value::from(self.ssid.as_bytes()))])),
        ]);
        if let Some(password) = &self.password {
            let management = if security == Security::Sae { "sae" } else { "wpa-psk" };
            settings.insert(
                "802-11-wireless-security",
                HashMap::from([("key-mgmt", management.into()), ("psk", Value::from(password.as_str()))]),
            );
        }
        settings
    }
}

impl Manager {
    /// The device's first Wi-Fi adapter.
    async fn wireless(&self) -> Result<Option<OwnedObjectPath>> {
        const WIFI: u32 = 2;
        for path in self.proxy.get_devices().await.map_err(failed)? {
            let device = DeviceProxy::builder(&self.bus).path(&path).map_err(failed)?.build().await.map_err(failed)?;
            if device.device_type().await.map_err(failed)? == WIFI {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Networks in reach, the strongest first, each name once; `None` without a Wi-Fi adapter. Asks for a new scan as well, whose
    /// results a later call has.
    ///
    /// # Errors
    /// Exit 1 where NetworkManager does not answer.
    pub(crate) async fn networks(&self) -> Result<Option<Vec<Network>>> {
        let Some(path) = self.wireless().await? else { return Ok(None) };
        let wireless = WirelessProxy::builder(&self.bus).path(&path).map_err(failed)?.build().await.map_err(failed)?;
        // Refused while one is under way.
        let _ = wireless.request_scan(&HashMap::new()).await;
        let active = wireless.active_access_point().await.map_err(failed)?;
        let mut networks = Vec::new();
        for path in wireless.get_all_access_points().await.map_err(failed)? {
            // An access point may be gone by the time that it is asked.
            if let Ok(network) = self.access_point(&path, path == active).await {
                networks.push(network);
            }
        }
        Ok(Some(tidy(networks)))
    }

    async fn access_point(&self, path: &OwnedObjectPath, active: bool) -> zbus::Result<Network> {
        let point = AccessPointProxy::builder(&self.bus).path(path)?.build().await?;
        let security = Security::of(point.flags().await?, point.wpa_flags().await?, point.rsn_flags().await?);
        let ssid = String::from_utf8_lossy(&point.ssid().await?).into_owned();
        Ok(Network { ssid, strength: point.strength().await?.min(100), security, active })
    }

    /// Connects to a network, in the place of what was known of it; comes back when the network has accepted or refused.
    ///
    /// # Errors
    /// Exit 3 where the network refuses, is not in reach or asks for something else; 1 where NetworkManager does not answer.
    pub(crate) async fn join(&self, request: &Request) -> Result<()> {
        let networks = self.networks().await?.ok_or_else(|| Fault::refused("this device has no Wi-Fi"))?;
        let network = networks.iter().find(|network| network.ssid == request.ssid);
        let security = network.ok_or_else(|| Fault::refused("this network is out of range"))?.security;
        let device = self.wireless().await?.ok_or_else(|| Fault::refused("this device has no Wi-Fi"))?;
        if security == Security::Other || (security != Security::Open) != request.password.is_some() {
            return Err(Fault::refused("this network requires another kind of sign-in"));
        }
        self.forget(&request.ssid).await?;
        let any = OwnedObjectPath::default();
        let added = self.proxy.add_and_activate_connection(&request.settings(security), &device, &any).await;
        let (connection, active) = added.map_err(failed)?;
        let accepted = tokio::time::timeout(PATIENCE, self.accepted(&active)).await.unwrap_or(false);
        if accepted {
            return Ok(());
        }
        // A wrong password would be tried for ever.
        let connection = ConnectionProxy::builder(&self.bus).path(&connection).map_err(failed)?.build().await.map_err(failed)?;
        let _ = connection.delete().await;
        Err(Fault::refused("the network did not accept this device"))
    }

    async fn accepted(&self, active: &OwnedObjectPath) -> bool {
        const ACTIVATED: u32 = 2;
        const DEACTIVATING: u32 = 3;
        loop {
            let state = async { ActiveProxy::builder(&self.bus).path(active)?.build().await?.state().await };
            match state.await {
                Ok(ACTIVATED) => return true,
                // The object goes with the connection.
                Ok(DEACTIVATING..) | Err(_) => return false,
                Ok(_) => tokio::time::sleep(Duration::from_millis(300)).await,
            }
        }
    }

    /// Deletes what is known of a network.
    async fn forget(&self, ssid: &str) -> Result<()> {
        let connections = ConnectionsProxy::new(&self.bus).await.map_err(failed)?;
        for path in connections.list_connections().await.map_err(failed)? {
            let connection = ConnectionProxy::builder(&self.bus).path(&path).map_err(failed)?.build().await.map_err(failed)?;
            let Ok(settings) = connection.get_settings().await else { continue };
            let name = settings.get("802-11-wireless").and_then(|wireless| wireless.get("ssid"));
            if name.and_then(|name| Vec::<u8>::try_from(name.clone()).ok()).is_some_and(|name| name == ssid.as_bytes()) {
                connection.delete().await.map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// The strongest first, each name once, hidden ones not at all.
fn tidy(mut networks: Vec<Network>) -> Vec<Network> {
    networks.sort_by(|one, other| other.active.cmp(&one.active).then(other.strength.cmp(&one.strength)));
    let mut seen = std::collections::HashSet::new();
    networks.retain(|network| Request::new(&network.ssid, "").is_ok() && seen.insert(network.ssid.clone()));
    networks.truncate(MOST);
    networks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_name_and_a_password_goes_on() {
        for (ssid, password) in [("Home", ""), ("Chez Zoé", "8 chars!"), ("x", &"a".repeat(63)), ("x", &"0f".repeat(32))] {
            assert!(Request::new(ssid, password).is_ok(), "{ssid} {password}");
        }
        let long = "a".repeat(33);
        for (ssid, password) in [
            ("", ""),
            (&long, ""),
            ("a\nb", ""),
            ("a", "7 chars"),
            ("a", "pass\nword"),
            ("a", "mot de passé"),
            ("a", &"x".repeat(64)),
        ] {
            assert!(Request::new(ssid, password).is_err(), "{ssid:?} {password:?}");
        }
    }

    #[test]
    fn security_by_flags() {
        for (flags, wpa, rsn, security) in [
            (0, 0, 0, Security::Open),
            (1, 0, 0, Security::Other),
            (1, 0x108, 0, Security::Password),
            (1, 0, 0x588, Security::Password),
            (1, 0, 0x488, Security::Sae),
            (1, 0, 0x288, Security::Other),
            (0, 0, 0x800, Security::Open),
        ] {
            assert_eq!(Security::of(flags, wpa, rsn), security, "{flags} {wpa:#x} {rsn:#x}");
        }
    }

    #[test]
    fn each_name_once_and_the_strongest_first() {
        let network = |ssid: &str, strength, active| Network { ssid: ssid.into(), strength, security: Security::Open, active };
        let tidied = tidy(vec![network("a", 20, false), network("b", 50, false), network("", 99, false), network("a", 10, true)]);
        assert_eq!(tidied, [network("a", 10, true), network("b", 50, false)]);
    }
}
