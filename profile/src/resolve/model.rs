//! A profile as the stages consume it: everything is there, checked, and of its own type.

use std::path::PathBuf;

use jiff::Timestamp;
use livery_contract::{Name, Version, envelope::PublicKey};
use serde::Serialize;
use url::Url;

use super::routing::Routing;
use crate::{
    files::merge::Origins,
    settings::choice::{After, Hardware, Kind},
    words::{certificate::Authority, client::Client, exception::Exception, host::Host, supplied::Supplied},
};

/// A profile, resolved over all that it extends. As JSON it is what the image follows from: where its files lie and
/// which line decided is left out.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// The image's name.
    pub name: Name,
    /// Its version; `None` where it follows from the content.
    pub version: Option<Version>,
    /// A line for people, perhaps empty.
    #[serde(skip)]
    pub description: String,
    /// The file that was asked for.
    #[serde(skip)]
    pub path: PathBuf,
    /// Every profile file that was read: that one first, its last base last.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
    /// Where packages come from.
    pub debian: Debian,
    /// Which packages.
    pub packages: Packages,
    /// The disk image.
    pub image: Image,
    /// What the scan may find in it, and why. No part of the image follows from it.
    #[serde(skip)]
    pub scan: Vec<Exception>,
    /// How it starts.
    pub boot: Boot,
    /// The clock.
    pub time: Time,
    /// What it runs on: sorted, at least one.
    pub hardware: Vec<Hardware>,
    /// What it is for.
    pub role: Role,
    /// Which lines decided.
    #[serde(skip)]
    pub origins: Origins,
}

impl Profile {
    /// Which kind of profile it is.
    pub fn kind(&self) -> Kind {
        match self.role {
            Role::Terminal { .. } => Kind::Terminal,
            Role::Laptop { .. } => Kind::Laptop,
            Role::Agent(_) => Kind::Agent,
        }
    }

    /// What a person's device has: terminals and laptops.
    pub fn desk(&self) -> Option<&Desk> {
        match &self.role {
            Role::Terminal { desk, .. } | Role::Laptop { desk, .. } => Some(desk),
            Role::Agent(_) => None,
        }
    }

    /// The closed browser: terminals.
    pub fn kiosk(&self) -> Option<&Kiosk> {
        match &self.role {
            Role::Terminal { kiosk, .. } => Some(kiosk),
            _ => None,
        }
    }

    /// Which way its traffic goes: laptops.
    pub fn routing(&self) -> Option<&Routing> {
        match &self.role {
            Role::Laptop { routing, .. } => Some(routing),
            _ => None,
        }
    }

    /// The agent's own settings.
    pub fn agent(&self) -> Option<&Agent> {
        match &self.role {
            Role::Agent(agent) => Some(agent),
            _ => None,
        }
    }
}

/// What the image is for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A thin terminal.
    Terminal {
        /// The person's settings.
        desk: Desk,
        /// The closed browser.
        kiosk: Box<Kiosk>,
    },
    /// A laptop.
    Laptop {
        /// The person's settings.
        desk: Desk,
        /// Which way its traffic goes.
        routing: Box<Routing>,
    },
    /// The agent's boot medium.
    Agent(Agent),
}

/// Where packages come from.
#[derive(Clone, Debug, Serialize)]
pub struct Debian {
    /// Release, such as `trixie`.
    pub suite: String,
    /// Architecture, such as `amd64`.
    pub architecture: String,
    /// Own mirrors; `None` for the distribution's.
    pub mirrors: Option<Mirrors>,
    /// Parts of the archive, in order.
    pub components: Vec<String>,
}

/// An organisation's own mirrors: security fixes are never left out.
#[derive(Clone, Debug, Serialize)]
pub struct Mirrors {
    /// The archive.
    pub main: Url,
    /// The security archive.
    pub security: Url,
}

/// Which packages.
#[derive(Clone, Debug, Serialize)]
pub struct Packages {
    /// Those of the running system.
    pub install: Vec<String>,
    /// Those that kernel and initrd are made from.
    pub boot: Vec<String>,
    /// Whether what they recommend comes too.
    pub recommends: bool,
    /// dpkg `path-exclude`.
    pub exclude_paths: Vec<String>,
    /// dpkg `path-include`.
    pub include_paths: Vec<String>,
    /// Those that IT supplies; they are installed too.
    pub supplied: Vec<Supplied>,
}

impl Packages {
    /// What makes an image with these packages restricted, in words; empty where nothing does.
    pub fn restrictions(&self) -> Vec<String> {
        self.supplied.iter().map(Supplied::restriction).collect()
    }
}

/// The disk image.
#[derive(Clone, Debug, Serialize)]
pub struct Image {
    /// `SOURCE_DATE_EPOCH`: whole seconds, from 1980 on, not in the future.
    pub epoch: Timestamp,
    /// The smallest disk, in bytes.
    pub minimum_disk: u64,
    /// Whether it is laid out so that the agent can convert it to sectors of 4096 bytes.
    pub any_sectors: bool,
    /// Whether the last partition grows to the disk's end.
    pub grow: bool,
    /// Room for a personal layer, in bytes; a multiple of 4096.
    pub identity_size: u64,
    /// Where the encrypted data partition is mounted; `None` without one.
    pub data: Option<String>,
    /// Bytes of each of the two slots for roots, where the profile says so: a multiple of 1 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot_size: Option<u64>,
    /// zstd level, 1 to 19.
    pub compression_level: i32,
}

/// How the image starts.
#[derive(Clone, Debug, Serialize)]
pub struct Boot {
    /// Further kernel arguments: no spaces, no quotes, none of the builder's own.
    pub kernel_arguments: Vec<String>,
    /// Consoles without `console=`; the last one is `/dev/console`.
    pub consoles: Vec<String>,
}

/// The clock.
#[derive(Clone, Debug, Serialize)]
pub struct Time {
    /// Host names or addresses; empty for the network's or the distribution's.
    pub servers: Vec<String>,
}

/// What a person's device has.
#[derive(Clone, Debug, Serialize)]
pub struct Desk {
    /// Language, keyboard, time zone.
    pub locale: Locale,
    /// Own authorities, for the system, the browser and Citrix.
    pub authorities: Vec<Authority>,
    /// Citrix.
    pub citrix: Citrix,
    /// Who is told what took effect, once; `None` where nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Where a device in use gets newer images; `None` where it gets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<Updates>,
}

/// Where a device in use gets newer images.
#[derive(Clone, Debug, Serialize)]
pub struct Updates {
    /// The store.
    pub store: Url,
    /// Its server's own authorities; empty where the device's store has who vouches for it.
    pub authorities: Vec<Authority>,
}

/// Who is told what took effect on a device.
#[derive(Clone, Debug, Serialize)]
pub struct Confirm {
    /// The station as devices in use see it: host and port only.
    pub station: Url,
    /// Its own authorities; empty where the device's store has who vouches for it.
    pub authorities: Vec<Authority>,
}

/// Language, keyboard, time zone, where the roster says nothing else.
#[derive(Clone, Debug, Serialize)]
pub struct Locale {
    /// Locale; one of `available`.
    pub default: String,
    /// Every locale that the image has.
    pub available: Vec<String>,
    /// XKB layout, perhaps with a variant: `fr`, `fr(oss)`.
    pub keyboard: String,
    /// Time zone.
    pub timezone: String,
}

/// Citrix.
#[derive(Clone, Debug, Serialize)]
pub struct Citrix {
    /// The sign-in page.
    pub store_url: Url,
    /// Hosts of the Gateway.
    pub gateway_hosts: Vec<Host>,
    /// Hosts of StoreFront.
    pub storefront_hosts: Vec<Host>,
    /// Hosts of the identity provider.
    pub identity_provider_hosts: Vec<Host>,
    /// Hosts of the second factor.
    pub mfa_hosts: Vec<Host>,
    /// The client, where IT supplies it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
}

impl Citrix {
    /// The hosts that sign-in and sessions need, by the setting that names them.
    pub fn host_lists(&self) -> [(&'static str, &[Host]); 4] {
        [
            ("citrix.gateway-hosts", &self.gateway_hosts),
            ("citrix.storefront-hosts", &self.storefront_hosts),
            ("citrix.identity-provider-hosts", &self.identity_provider_hosts),
            ("citrix.mfa-hosts", &self.mfa_hosts),
        ]
    }
}

/// The closed browser.
#[derive(Clone, Debug, Serialize)]
pub struct Kiosk {
    /// Its package.
    pub browser: String,
    /// The page that it opens; its host is allowed.
    pub url: Url,
    /// Every host that it may reach: Citrix's four lists and the kiosk's own, without doubles.
    pub allowed_hosts: Vec<Host>,
    /// Where a person is signed out.
    pub sign_out: Url,
    /// Minutes without a person after which a session ends.
    pub idle: i32,
    /// How much larger everything is drawn, as sway takes it.
    pub scale: String,
    /// Whether pages can be printed.
    pub printing: bool,
    /// Whether USB sticks are taken.
    pub usb_storage: bool,
    /// What says whether a network has a sign-in page of its own; `None` where that is not asked.
    pub connectivity_check: Option<Url>,
}

/// The agent's own settings; what is `None` or empty must come from `livery medium`'s flags.
#[derive(Clone, Debug, Serialize)]
pub struct Agent {
    /// The station's URL: host and port only.
    pub station: Option<Url>,
    /// The station's TLS authorities.
    pub station_ca: Vec<Authority>,
    /// The station's job-signing key.
    pub job_key: Option<PublicKey>,
    /// What to do when done.
    pub after: After,
}
