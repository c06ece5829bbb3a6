//! The ways that leave a laptop, and what stands behind a choice.

use std::fmt;

use serde::Serialize;

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Out by the local network, name resolved by it: SaaS, Citrix's Gateway, the home network.
    Direct,
    /// Through the tunnel into the organisation's network, name resolved there.
    Tunnel,
    /// By the organisation's web proxy.
    Proxy,
    /// Nowhere.
    Blocked,
}

impl Way {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Tunnel => "tunnel",
            Self::Proxy => "proxy",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a host goes its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is the device itself.
    Itself,
    /// It is in the network around the device: a printer, a router.
    Home,
    /// A service of an endpoint list: `microsoft365:optimize`, and where its list is from.
    Service {
        /// As the profile names it.
        service: String,
        /// The list's version.
        version: String,
    },
    /// A setting of the profile names it.
    Setting(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("it is the device itself"),
            Self::Home => f.write_str("it is in the local network"),
            Self::Service { service, version } => write!(f, "{service} (list {version})"),
            Self::Setting(key) => f.write_str(key),
        }
    }
}
