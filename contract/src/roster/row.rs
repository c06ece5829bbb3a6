//! One row: as it is written, and as an employee once it is checked.

use serde::{Deserialize, Serialize};

use crate::name::OrderId;

/// One employee, one order, one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRow")]
pub struct Employee {
    /// The order's number; unique in a roster.
    pub order: OrderId,
    /// The device's system serial number, where the line knows it already.
    pub serial: Option<String>,
    /// Sign-in name, shown as a hint on the sign-in page.
    pub user: String,
    /// The person's name, for the line's page.
    pub name: String,
    /// Host name (RFC 1123 label, lower case); unique in a roster.
    pub hostname: String,
    /// Locale, such as `fr_FR.UTF-8`.
    pub locale: String,
    /// Keyboard: XKB layout, with a variant where needed: `fr`, `be`, `fr(oss)`.
    pub keyboard: String,
    /// Time zone, such as `Europe/Paris`; the profile's where absent.
    pub timezone: Option<String>,
    /// The laptop's own address in the tunnel, of each kind at most one, with a space between: `10.200.0.17/32`; unique in a roster.
    #[serde(rename = "tunnel-address")]
    pub tunnel_address: Option<String>,
    /// crypt(5) hash of the one-time code that the employee signs in with at a new laptop, of a strong scheme.
    #[serde(rename = "first-password")]
    pub first_password: Option<String>,
}

/// The columns that a roster may have, in the order of the sample; the first six after `serial` are required.
pub const COLUMNS: [&str; 10] =
    ["order", "serial", "user", "name", "hostname", "locale", "keyboard", "timezone", "tunnel-address", "first-password"];

/// A row as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRow {
    pub(super) order: String,
    #[serde(default)]
    pub(super) serial: Option<String>,
    pub(super) user: String,
    pub(super) name: String,
    pub(super) hostname: String,
    pub(super) locale: String,
    pub(super) keyboard: String,
    #[serde(default)]
    pub(super) timezone: Option<String>,
    #[serde(default, rename = "tunnel-address")]
    pub(super) tunnel_address: Option<String>,
    #[serde(default, rename = "first-password")]
    pub(super) first_password: Option<String>,
}

impl RawRow {
    /// Spaces around a field are a slip of the hand; a roster says the same person in TOML as in CSV.
    pub(super) fn trimmed(self) -> Self {
        let trim = |field: String| field.trim().to_owned();
        Self {
            order: trim(self.order),
            serial: self.serial.map(trim),
            user: trim(self.user),
            name: trim(self.name),
            hostname: trim(self.hostname),
            locale: trim(self.locale),
            keyboard: trim(self.keyboard),
            timezone: self.timezone.map(trim),
            tunnel_address: self.tunnel_address.map(trim),
            first_password: self.first_password.map(trim),
        }
    }
}
