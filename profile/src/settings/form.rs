//! What a setting's value looks like: boolean, number, time, or text, and what each text stands for.

use crate::words::{size::human, supplied};

/// What a setting's value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer {
        /// The least that is allowed.
        least: i64,
        /// The most that is allowed.
        most: i64,
    },
    /// A moment: date, or RFC 3339 time with offset.
    Time,
    /// Text of some kind.
    Text(Word),
    /// A list of such texts; in a file that `extends` another, also `{ add = […], remove = […] }`.
    List(Word),
}

/// What a text stands for.
#[derive(Clone, Copy, Debug)]
pub enum Word {
    /// One line for people.
    Line {
        /// The most characters.
        most: usize,
    },
    /// An image's name.
    Name,
    /// An image's version.
    Version,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A URL under https.
    Https,
    /// A URL under https without a path.
    Origin,
    /// A URL under https or http.
    Mirror,
    /// A host that the browser may reach, perhaps `*.domain`.
    Host,
    /// A host name or IP address.
    Server,
    /// A number with a unit.
    Size {
        /// The least bytes.
        least: u64,
        /// The most bytes.
        most: u64,
        /// What it must be a multiple of, in bytes.
        multiple: u64,
    },
    /// `fr_FR.UTF-8`.
    Locale,
    /// `fr`, `fr(oss)`.
    Keyboard,
    /// `Europe/Paris`.
    Timezone,
    /// A Debian package's name.
    Package,
    /// An absolute path with wildcards, as dpkg takes it.
    PathPattern,
    /// One argument of the kernel's command line.
    KernelArgument,
    /// A console of the kernel.
    Console,
    /// A PEM file of authorities' certificates.
    Authorities,
    /// An Ed25519 public key in hexadecimal, or a file that holds it.
    JobKey,
    /// Another profile's path.
    Profile,
    /// A setting's name, or a section's for all of its settings.
    Key,
    /// A file that the scan lets pass, and why: `PATH: REASON`.
    Exception,
    /// A .deb that IT supplies: a table, not a text.
    Supplied,
    /// A setting in a file of Citrix's client.
    ClientSetting,
    /// A partition of an image: its number, GUID or name.
    Partition,
    /// A file's path within a partition.
    FilePath,
    /// A domain: a host name with a dot in it, which stands for itself and all below it.
    Domain,
    /// A network's prefix: `10.0.0.0/8`.
    Prefix,
    /// An IP address.
    Address,
    /// `HOST:PORT`.
    HostPort,
    /// A WireGuard public key.
    WireGuardKey,
    /// A file with a service's endpoint list.
    EndpointList,
    /// A service of an endpoint list, or a category of one: `microsoft365:optimize`.
    Service,
}

impl Form {
    /// What is expected, in words, with an example.
    pub fn wanted(self) -> String {
        match self {
            Self::Boolean => "true or false".into(),
            Self::Integer { least, most } if least == most => format!("the number {least}"),
            Self::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Self::Time => "a date such as 2026-11-01".into(),
            Self::Text(word) => word.wanted(),
            Self::List(word) => format!("a list, each item {}", word.wanted()),
        }
    }
}

impl Word {
    /// What is expected, in words, with an example.
    pub fn wanted(self) -> String {
        let example = self.example();
        match self {
            Self::Line { most } => format!("a line of text (at most {most} characters)"),
            Self::Name => format!("an image name such as {example} (1 to 60 of A-Z a-z 0-9 . _ -)"),
            Self::Version => format!("a version such as {example} (1 to 60 of A-Z a-z 0-9 . _ -)"),
            Self::Choice(known) => match known {
                [only] => format!("{only:?}"),
                _ => format!("one of {}", known.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")),
            },
            Self::Https => format!("an https URL such as {example}"),
            Self::Origin => format!("an https URL without a path such as {example}"),
            Self::Mirror => format!("an https or http URL such as {example}"),
            Self::Host => format!("a host such as {example} or \"*.assurance.example\""),
            Self::Server => format!("a host name or address such as {example}"),
            Self::Size { least, most, .. } => format!("a size from \"{}\" to \"{}\"", human(least), human(most)),
            Self::Locale => format!("a locale such as {example}"),
            Self::Keyboard => format!("an XKB layout such as {example} or \"fr(oss)\""),
            Self::Timezone => format!("a time zone such as {example}"),
            Self::Package => format!("a package name such as {example}"),
            Self::PathPattern => format!("an absolute path such as {example}"),
            Self::KernelArgument => format!("one kernel argument such as {example}"),
            Self::Console => format!("a console such as {example} or \"ttyS0,115200\""),
            Self::Authorities => format!("the path of a PEM file such as {example}"),
            Self::JobKey => format!("a public key (64 hexadecimal digits) or the path of its file such as {example}"),
            Self::Profile => format!("the path of another profile such as {example}"),
            Self::Key => format!("a setting such as {example}, or a section such as \"trust\" for all of its settings"),
            Self::Exception => format!("PATH: REASON such as {example}"),
            Self::Supplied => supplied::wanted(),
            Self::ClientSetting => format!("FILE [SECTION] KEY=VALUE such as {example}"),
            Self::Partition => format!("a partition's number, GUID or name such as {example}"),
            Self::FilePath => format!("a path from the partition's top such as {example}"),
            Self::Domain => format!("a domain such as {example}"),
            Self::Prefix => format!("a network's prefix such as {example}"),
            Self::Address => format!("an IP address such as {example}"),
            Self::HostPort => format!("HOST:PORT such as {example}"),
            Self::WireGuardKey => format!("a WireGuard public key (44 characters of Base64) such as {example}"),
            Self::EndpointList => format!("an endpoint list such as {example}"),
            Self::Service => format!("a service, or one category of it, such as {example}"),
        }
    }

    /// One that is good, as TOML.
    pub fn example(self) -> String {
        let text = match self {
            Self::Line { .. } => "For the branch in Lille",
            Self::Name => "terminal",
            Self::Version => "2026.11",
            Self::Choice(known) => known.first().copied().unwrap_or_default(),
            Self::Https => "https://gateway.assurance.example/",
            Self::Origin => "https://station.factory.example:8443",
            Self::Mirror => "https://mirror.assurance.example/debian",
            Self::Host => "gateway.assurance.example",
            Self::Server => "time.assurance.example",
            Self::Size { least, .. } => return format!("{:?}", human(least)),
            Self::Locale => "fr_FR.UTF-8",
            Self::Keyboard => "fr",
            Self::Timezone => "Europe/Paris",
            Self::Package => "firefox-esr",
            Self::PathPattern => "/usr/share/doc/*",
            Self::KernelArgument => "loglevel=3",
            Self::Console => "tty0",
            Self::Authorities => "ca/assurance-root.pem",
            Self::JobKey => "station/job.pub",
            Self::Profile => "base.toml",
            Self::Key => "debian.mirror",
            Self::Exception => "/etc/ssl/private/ssl-cert-snakeoil.key: snake oil that nobody trusts",
            Self::Supplied => return supplied::example(),
            Self::ClientSetting => "wfclient.ini [Thinwire3.0] InvertCursorEnabled=True",
            Self::Partition => "Basic data partition",
            Self::FilePath => "/ProgramData/livery.json",
            Self::Domain => "corp.assurance.example",
            Self::Prefix => "10.0.0.0/8",
            Self::Address => "10.0.0.53",
            Self::HostPort => "vpn.assurance.example:51820",
            Self::WireGuardKey => "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
            Self::EndpointList => "saas/microsoft365.toml",
            Self::Service => "microsoft365:optimize",
        };
        format!("{text:?}")
    }
}
