//! The one list of settings: name, form, default, for whom, and what it means.
//!
//! Parser, resolver and the guide's key reference all read it; a setting that is not here does not exist.

use super::{
    choice::Kind,
    form::{Form, Word},
    setting::{Need, Setting},
};

const EVERY: &[Kind] = &Kind::ALL;
const ALL: &[Kind] = &[Kind::Terminal, Kind::Laptop, Kind::Agent];
const DESK: &[Kind] = &[Kind::Terminal, Kind::Laptop];
const LAPTOP: &[Kind] = &[Kind::Laptop];
const TERMINAL: &[Kind] = &[Kind::Terminal];
const AGENT: &[Kind] = &[Kind::Agent];
const IMPORT: &[Kind] = &[Kind::Import];
const LOCALES: &[Kind] = &[Kind::Terminal, Kind::Laptop, Kind::Import];

/// The settings that concern their own file alone: they are never handed on to one that extends it.
pub(crate) const PER_FILE: &[&str] = &["schema", "extends", "abstract", "locked"];

const fn optional(key: &'static str, form: Form, kinds: &'static [Kind], doc: &'static str) -> Setting {
    Setting { key, form, default: None, need: Need::Optional, kinds, doc }
}

const fn required(key: &'static str, form: Form, kinds: &'static [Kind], doc: &'static str) -> Setting {
    Setting { key, form, default: None, need: Need::Required, kinds, doc }
}

const fn default(key: &'static str, form: Form, value: &'static str, kinds: &'static [Kind], doc: &'static str) -> Setting {
    Setting { key, form, default: Some(value), need: Need::Optional, kinds, doc }
}

use Form::{Boolean, Integer, List, Text, Time};

/// Every setting, in the order of the guide.
pub const TABLE: &[Setting] = &[
    required("schema", Integer { least: 1, most: 1 }, EVERY, "The version of this format. Each file must state it."),
    required(
        "kind",
        Text(Word::Choice(&["terminal", "laptop", "agent", "import"])),
        EVERY,
        "What to build: a thin terminal, a laptop, or the agent's boot medium; or `import`, to take a ready-made disk image.",
    ),
    required("name", Text(Word::Name), EVERY, "The image's name in the store: the part before `@`."),
    optional(
        "version",
        Text(Word::Version),
        EVERY,
        "The image's version: the part after `@`. If unset, Livery derives it from everything that goes into the image; for an import, `--version` gives it.",
    ),
    default("description", Text(Word::Line { most: 200 }), "\"\"", EVERY, "A description for people, in one line."),
    optional(
        "extends",
        Text(Word::Profile),
        EVERY,
        "The profile that this one extends; its path starts from this file's folder. One parent, which may have its own.",
    ),
    default(
        "abstract",
        Boolean,
        "false",
        EVERY,
        "Whether this file exists only to be extended. It is not built itself, need not be complete, and may hold settings of several kinds.",
    ),
    default(
        "locked",
        List(Word::Key),
        "[]",
        EVERY,
        "Settings, or whole sections, that files which extend this one may not change. Locks of several files add up; no file can undo one.",
    ),
    default("debian.suite", Text(Word::Choice(&["trixie"])), "\"trixie\"", ALL, "The Debian release."),
    default("debian.architecture", Text(Word::Choice(&["amd64"])), "\"amd64\"", ALL, "The device's architecture."),
    default(
        "debian.components",
        List(Word::Choice(&["main", "contrib", "non-free", "non-free-firmware"])),
        "[\"main\"]",
        ALL,
        "The parts of the Debian archive that packages may come from.",
    ),
    optional(
        "debian.mirror",
        Text(Word::Mirror),
        ALL,
        "Your own mirror of the archive. Plain http is enough, since apt checks signatures. If unset: the distribution's own.",
    ),
    optional(
        "debian.security-mirror",
        Text(Word::Mirror),
        ALL,
        "Your own mirror of the security archive. Set it together with `debian.mirror`.",
    ),
    required("packages.install", List(Word::Package), ALL, "The packages of the running system."),
    required(
        "packages.boot",
        List(Word::Package),
        ALL,
        "The packages from which Livery makes the kernel and the initrd. They do not stay in the running system.",
    ),
    default("packages.recommends", Boolean, "false", ALL, "Whether apt also installs recommended packages."),
    default(
        "packages.exclude-paths",
        List(Word::PathPattern),
        "[]",
        ALL,
        "Files to skip when packages are unpacked, like dpkg's `path-exclude`.",
    ),
    default(
        "packages.include-paths",
        List(Word::PathPattern),
        "[]",
        ALL,
        "Exceptions from `packages.exclude-paths`, like dpkg's `path-include`.",
    ),
    default(
        "packages.supplied",
        List(Word::Supplied),
        "[]",
        DESK,
        "Packages that you supply yourself, because they may not be redistributed: each with its file, digest, name, version, and your statement that you have accepted its licence. Images with such software go only into marked stores.",
    ),
    required(
        "image.epoch",
        Time,
        ALL,
        "The time stamp of files in the image (`SOURCE_DATE_EPOCH`), and the earliest time that a device's clock can show. Move it forward with each release.",
    ),
    default(
        "image.minimum-disk",
        Text(Word::Size { least: 1 << 30, most: 16 << 40, multiple: 512 }),
        "\"8 GiB\"",
        ALL,
        "The size of the smallest disk to which the image may be written.",
    ),
    default(
        "image.sectors",
        Text(Word::Choice(&["512", "any"])),
        "\"512\"",
        EVERY,
        "The sector size of the disks to which the image may be written. With `512`, the agent refuses other disks before it writes anything. With `any`, it converts partition table and FAT for sectors of 4096 bytes, which needs an EFI system partition of 264 MiB.",
    ),
    default("image.grow", Boolean, "false", EVERY, "Whether the last partition grows to the end of a larger disk."),
    default(
        "image.identity-size",
        Text(Word::Size { least: 256 << 10, most: 64 << 20, multiple: 4096 }),
        "\"1 MiB\"",
        ALL,
        "The space for one employee's personal layer, with its hash tree and signature.",
    ),
    default(
        "image.data",
        Text(Word::Choice(&["none", "/home", "/srv", "/var"])),
        "\"none\"",
        ALL,
        "Where the device's encrypted data partition is mounted; `none` for a device that keeps no data. The agent makes the partition. The device's TPM opens it, or a recovery key that only the organisation can read (`livery recover`).",
    ),
    optional(
        "image.slot-size",
        Text(Word::Size { least: 256 << 20, most: 64 << 30, multiple: 1 << 20 }),
        DESK,
        "The size of each of the two slots for a root file system, on a device that gets updates. No later root may be larger. If unset: a quarter more than the current root needs. Goes with `updates.store`.",
    ),
    default(
        "image.compression-level",
        Integer { least: 1, most: 19 },
        "3",
        ALL,
        "zstd's compression level for the store: a higher level gives smaller files and slower builds.",
    ),
    default(
        "image.restricted",
        List(Word::Line { most: 200 }),
        "[]",
        IMPORT,
        "Software in the image that may not be redistributed, such as Windows under your licence. Such an image goes only into marked stores.",
    ),
    default(
        "scan.allow",
        List(Word::Exception),
        "[]",
        ALL,
        "Files that the scan for secrets and unsafe permissions lets pass, each with the reason. `*` in the path matches anything. A build names the exceptions that are no longer needed.",
    ),
    default(
        "boot.kernel-arguments",
        List(Word::KernelArgument),
        "[]",
        ALL,
        "More arguments for the kernel. Livery itself sets those that decide which system starts.",
    ),
    default(
        "boot.consoles",
        List(Word::Console),
        "[\"tty0\"]",
        ALL,
        "The consoles to which kernel and init write; the last one is the main console.",
    ),
    default(
        "time.servers",
        List(Word::Server),
        "[]",
        ALL,
        "Time servers. If empty: those that the network announces, or else the distribution's. One-time codes and TLS need a correct clock.",
    ),
    required(
        "hardware.supported",
        List(Word::Choice(&["qemu", "wyse-5070", "latitude-5000"])),
        ALL,
        "The devices on which the image must run. This decides which drivers it has.",
    ),
    required("locale.default", Text(Word::Locale), DESK, "The language and country for rows of the roster that name none."),
    default(
        "locale.available",
        List(Word::Locale),
        "[]",
        LOCALES,
        "All locales that a roster may name. If empty: only the default. An import has no default, so list the locales of its system.",
    ),
    required("locale.keyboard", Text(Word::Keyboard), DESK, "The keyboard for rows of the roster that name none."),
    required("locale.timezone", Text(Word::Timezone), DESK, "The time zone for rows of the roster that name none."),
    default(
        "trust.authorities",
        List(Word::Authorities),
        "[]",
        DESK,
        "PEM files with your own authorities' certificates. They go into every certificate store that needs them (system, browser, Citrix). Public parts only.",
    ),
    optional(
        "confirm.station",
        Text(Word::Origin),
        DESK,
        "The station's address for devices in use. A device reports to it once, signed with its own key, which image and which personal settings took effect. The station then shows \"in use\", or the settings that did not take effect. If unset, devices do not report.",
    ),
    optional(
        "confirm.station-ca",
        Text(Word::Authorities),
        DESK,
        "A PEM file with the only authority to trust for the station. If unset: the public authorities, and those of `trust.authorities`. Goes with `confirm.station`.",
    ),
    optional(
        "updates.store",
        Text(Word::Https),
        DESK,
        "The store's address for devices in use. A device checks it for a newer version of its own image, writes that to its other slot, and boots it at the next start. If it does not come up, the device falls back to the previous image. Requires `version`. If unset, devices get a newer image only at the line.",
    ),
    optional(
        "updates.store-ca",
        Text(Word::Authorities),
        DESK,
        "A PEM file with the only authority to trust for that store's server. If unset: the public authorities, and those of `trust.authorities`. Goes with `updates.store`.",
    ),
    required("citrix.store-url", Text(Word::Https), DESK, "The Citrix Gateway or StoreFront page where people sign in."),
    default("citrix.gateway-hosts", List(Word::Host), "[]", DESK, "Hosts of the Citrix Gateway."),
    default("citrix.storefront-hosts", List(Word::Host), "[]", DESK, "Hosts of StoreFront."),
    default(
        "citrix.identity-provider-hosts",
        List(Word::Host),
        "[]",
        DESK,
        "Hosts of the identity provider to which the Gateway redirects the sign-in.",
    ),
    default("citrix.mfa-hosts", List(Word::Host), "[]", DESK, "Hosts of the second factor (one-time codes, push)."),
    default(
        "citrix.fido2",
        Boolean,
        "true",
        DESK,
        "Whether sessions can use a FIDO2 key in the device. This setting and the following ones are for the client `icaclient`, if `packages.supplied` has it.",
    ),
    default("citrix.app-protection", Boolean, "false", DESK, "Whether to install the client's App Protection."),
    default("citrix.device-trust", Boolean, "false", DESK, "Whether to install the client's Device Trust."),
    default("citrix.endpoint-analysis", Boolean, "false", DESK, "Whether to install the client's Endpoint Analysis."),
    default(
        "citrix.client-settings",
        List(Word::ClientSetting),
        "[]",
        DESK,
        "Settings in the client's own files, as Citrix documents them: `module.ini` for defaults, `wfclient.ini` for what users may change, `All_Regions.ini` for what they may not.",
    ),
    default(
        "kiosk.browser",
        Text(Word::Choice(&["firefox-esr"])),
        "\"firefox-esr\"",
        TERMINAL,
        "The browser; its package must be installed.",
    ),
    optional("kiosk.url", Text(Word::Https), TERMINAL, "The page that the terminal opens. If unset: `citrix.store-url`."),
    default(
        "kiosk.allowed-hosts",
        List(Word::Host),
        "[]",
        TERMINAL,
        "Hosts that the browser may reach in addition to the four lists of `[citrix]`. It cannot reach anything else.",
    ),
    optional(
        "kiosk.sign-out",
        Text(Word::Https),
        TERMINAL,
        "The address that signs a person out at the Gateway. When the browser has opened it, the session ends and leaves no data. If unset: `/cgi/logout` at the page's host, as on a NetScaler Gateway.",
    ),
    default(
        "kiosk.idle",
        Integer { least: 1, most: 480 },
        "15",
        TERMINAL,
        "Minutes without key or mouse after which the session ends. It leaves no data.",
    ),
    default(
        "kiosk.scale",
        Text(Word::Choice(&["1", "1.25", "1.5", "1.75", "2"])),
        "\"1\"",
        TERMINAL,
        "The scale of everything on the screen: `1` for a 24-inch screen of 1920 by 1080, `1.25` for one of 2560 by 1440, `2` for one of 3840 by 2160.",
    ),
    default(
        "kiosk.printing",
        Boolean,
        "false",
        TERMINAL,
        "Whether pages can be printed on the device's own printers. Requires the package `cups`, and for automatic discovery of printers `avahi-daemon` and `ipp-usb`. Citrix handles printing from a remote desktop.",
    ),
    default(
        "kiosk.usb-storage",
        Boolean,
        "false",
        TERMINAL,
        "Whether the device accepts USB sticks and disks. It mounts them for Citrix's client, below `/run/media/system`, and runs nothing on them. Keyboards, headsets and FIDO2 keys always work.",
    ),
    optional(
        "kiosk.connectivity-check",
        Text(Word::Mirror),
        TERMINAL,
        "A page of yours under http that answers `NetworkManager is online`. With it, the terminal finds out whether a network (hotel, train) has its own sign-in page, and shows that page. If unset, the terminal does not check, and cannot use such networks.",
    ),
    default(
        "saas.lists",
        List(Word::EndpointList),
        "[]",
        LAPTOP,
        "Endpoint lists of services. `livery saas update` imports them from the providers.",
    ),
    default(
        "saas.services",
        List(Word::Service),
        "[]",
        LAPTOP,
        "Services that laptops reach directly, through the local network and its DNS, such as `microsoft365:optimize` and `microsoft365:allow`. One of `saas.lists` must contain each.",
    ),
    default(
        "saas.domains",
        List(Word::Host),
        "[]",
        LAPTOP,
        "Hosts of other SaaS that laptops reach directly: `crm.example`, or `*.crm.example` for it and everything below it.",
    ),
    optional(
        "tunnel.endpoint",
        Text(Word::HostPort),
        LAPTOP,
        "The public address of the WireGuard concentrator that leads into your network. If unset, laptops have no tunnel, and no other setting of this section may be set.",
    ),
    optional("tunnel.public-key", Text(Word::WireGuardKey), LAPTOP, "The concentrator's public key."),
    default(
        "tunnel.prefixes",
        List(Word::Prefix),
        "[]",
        LAPTOP,
        "The networks behind the tunnel. Only traffic to them goes through the tunnel, and it goes no other way.",
    ),
    default(
        "tunnel.domains",
        List(Word::Domain),
        "[]",
        LAPTOP,
        "Your internal domains. Only `tunnel.dns` resolves these names and all names below them, and laptops reach them through the tunnel.",
    ),
    default(
        "tunnel.dns",
        List(Word::Address),
        "[]",
        LAPTOP,
        "Your name servers behind the tunnel. They must lie within `tunnel.prefixes`.",
    ),
    default(
        "tunnel.keepalive",
        Integer { least: 0, most: 600 },
        "25",
        LAPTOP,
        "Seconds between packets that keep the connection open in a home router; 0 sends none.",
    ),
    default(
        "internet.otherwise",
        Text(Word::Choice(&["direct", "proxy", "blocked"])),
        "\"direct\"",
        LAPTOP,
        "How browsers reach hosts that are neither SaaS nor internal: directly, through `internet.proxy`, or not at all.",
    ),
    optional("internet.proxy", Text(Word::HostPort), LAPTOP, "Your web proxy; goes with `internet.otherwise = \"proxy\"`."),
    default("internet.blocked-hosts", List(Word::Host), "[]", LAPTOP, "Hosts that browsers may not reach."),
    optional(
        "personal.partition",
        Text(Word::Partition),
        IMPORT,
        "The partition of a ready-made image that gets a file for the personal layer. It needs NTFS, FAT or ext4. Goes with `personal.file`.",
    ),
    optional(
        "personal.file",
        Text(Word::FilePath),
        IMPORT,
        "The path of that file in the partition, with `/` or `\\` between folders. Its folder must exist, the file must not. The image itself must read it on the device.",
    ),
    default(
        "personal.size",
        Text(Word::Size { least: 4096, most: 1 << 20, multiple: 4096 }),
        "\"64 KiB\"",
        IMPORT,
        "The size of that file: JSON, and white space up to this size.",
    ),
    optional(
        "agent.station",
        Text(Word::Origin),
        AGENT,
        "The station to which the agent reports. If unset: `livery medium --station`.",
    ),
    optional(
        "agent.station-ca",
        Text(Word::Authorities),
        AGENT,
        "A PEM file with the station's own authority. If unset: `livery medium --station-ca`.",
    ),
    optional(
        "agent.job-key",
        Text(Word::JobKey),
        AGENT,
        "The public key with which the station signs jobs: `job.pub`, or its digits. If unset: `livery medium --job-key`.",
    ),
    default(
        "agent.after",
        Text(Word::Choice(&["power-off", "reboot", "stay"])),
        "\"power-off\"",
        AGENT,
        "What the agent does when a device is done.",
    ),
];

/// The setting of this name.
pub(crate) fn setting(key: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.key == key)
}

/// Whether a lock on `word`, a setting or a section, covers the setting `key`.
pub(crate) fn covers(word: &str, key: &str) -> bool {
    key.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What a file may lock: every section and every setting but those that are each file's own.
pub(crate) fn lockable() -> impl Iterator<Item = &'static str> {
    sections().into_iter().chain(TABLE.iter().map(|setting| setting.key).filter(|key| !PER_FILE.contains(key)))
}

/// The names of the sections, in order.
pub(crate) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = TABLE.iter().filter_map(|setting| Some(setting.key.split_once('.')?.0)).collect();
    sections.dedup();
    sections
}

/// The names in one section, in order; those at the top for `""`.
pub(crate) fn names(section: &str) -> Vec<&'static str> {
    TABLE
        .iter()
        .filter_map(|setting| match setting.key.split_once('.') {
            Some((of, name)) => (of == section).then_some(name),
            None => section.is_empty().then_some(setting.key),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sections_lie_together() {
        let mut keys: Vec<_> = TABLE.iter().map(|setting| setting.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), TABLE.len());
        let mut sections = sections();
        let count = sections.len();
        sections.sort_unstable();
        sections.dedup();
        assert_eq!(sections.len(), count);
        assert!(TABLE.iter().all(|setting| setting.doc.ends_with('.') && !setting.kinds.is_empty()));
    }
}
