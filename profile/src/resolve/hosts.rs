//! Which settings list hosts.

/// The lists of hosts that together are open to a terminal's browser.
pub(crate) const HOST_LISTS: [&str; 5] = [
    "citrix.gateway-hosts",
    "citrix.storefront-hosts",
    "citrix.identity-provider-hosts",
    "citrix.mfa-hosts",
    "kiosk.allowed-hosts",
];
