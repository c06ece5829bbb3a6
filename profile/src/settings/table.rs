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
    required("schema", Integer { least: 1, most: 1 }, EVERY, "The version of this format. Each file says its own."),
    required(
        "kind",
        Text(Word::Choice(&["terminal", "laptop", "agent", "import"])),
        EVERY,
        "What is built: a thin terminal, a laptop, or the agent's boot medium; or that a ready-made disk image is imported.",
    ),
    required("name", Text(Word::Name), EVERY, "The image's name in the store: the part before `@`."),
    optional(
        "version",
        Text(Word::Version),
        EVERY,
        "The image's version: the part after `@`. Left out, it follows from what goes into the image; for an import, `--version` says it.",
    ),
    default("description", Text(Word::Line { most: 200 }), "\"\"", EVERY, "A line for people."),
    optional(
        "extends",
        Text(Word::Profile),
        EVERY,
        "The profile that this one builds on; its path starts from this file's folder. One parent, which may have its own.",
    ),
    default(
        "abstract",
        Boolean,
        "false",
        EVERY,
        "A file that others extend and that is not built itself. It need not be complete, and may hold settings of several kinds.",
    ),
    default(
        "locked",
        List(Word::Key),
        "[]",
        EVERY,
        "What files that extend this one may not change: settings, or sections for all of their settings. Locks of several files add up; none can be undone.",
    ),
    default("debian.suite", Text(Word::Choice(&["trixie"])), "\"trixie\"", ALL, "The Debian release."),
    default("debian.architecture", Text(Word::Choice(&["amd64"])), "\"amd64\"", ALL, "The device's architecture."),
    default(
        "debian.components",
        List(Word::Choice(&["main", "contrib", "non-free", "non-free-firmware"])),
        "[\"main\"]",
        ALL,
        "The parts of the archive that packages may come from.",
    ),
    optional(
        "debian.mirror",
        Text(Word::Mirror),
        ALL,
        "Your own mirror of the archive. Plain http will do, as apt checks signatures. Left out: the distribution's own.",
    ),
    optional(
        "debian.security-mirror",
        Text(Word::Mirror),
        ALL,
        "Your own mirror of the security archive; goes with `debian.mirror`, neither is taken alone.",
    ),
    required("packages.install", List(Word::Package), ALL, "Packages of the running system."),
    required(
        "packages.boot",
        List(Word::Package),
        ALL,
        "Packages that the kernel and its first root (initrd) are made from; they do not stay in the running system.",
    ),
    default("packages.recommends", Boolean, "false", ALL, "Whether apt also installs what packages recommend."),
    default(
        "packages.exclude-paths",
        List(Word::PathPattern),
        "[]",
        ALL,
        "Files that are left out when packages are unpacked, as dpkg's `path-exclude`.",
    ),
    default("packages.include-paths", List(Word::PathPattern), "[]", ALL, "Exceptions from that, as dpkg's `path-include`."),
    default(
        "packages.supplied",
        List(Word::Supplied),
        "[]",
        DESK,
        "Packages that you supply yourself, because they may not be passed on: each with its file, digest, name, version and your word that its licence was read. Images with such software go only into stores that are marked for it.",
    ),
    required(
        "image.epoch",
        Time,
        ALL,
        "The time that files in the image bear (`SOURCE_DATE_EPOCH`), and the earliest that a device's clock can say. Move it on with each release.",
    ),
    default(
        "image.minimum-disk",
        Text(Word::Size { least: 1 << 30, most: 16 << 40, multiple: 512 }),
        "\"8 GiB\"",
        ALL,
        "The smallest disk that the image is written to.",
    ),
    default(
        "image.sectors",
        Text(Word::Choice(&["512", "any"])),
        "\"512\"",
        EVERY,
        "The sectors of the disks that the image is written to: `512` refuses others before the first byte; with `any` the agent converts partition table and FAT for 4096. That asks for an EFI system partition of 264 MiB.",
    ),
    default("image.grow", Boolean, "false", EVERY, "Whether the last partition is made to reach to the end of a larger disk."),
    default(
        "image.identity-size",
        Text(Word::Size { least: 256 << 10, most: 64 << 20, multiple: 4096 }),
        "\"1 MiB\"",
        ALL,
        "The room for one employee's personal layer, with its hash tree and signature.",
    ),
    default(
        "image.data",
        Text(Word::Choice(&["none", "/home", "/srv", "/var"])),
        "\"none\"",
        ALL,
        "Where the device's encrypted data partition is mounted; `none` for a device that keeps nothing. The agent makes it, opened by the device's TPM or by a recovery key that only the organisation can read (`livery recover`).",
    ),
    optional(
        "image.slot-size",
        Text(Word::Size { least: 256 << 20, most: 64 << 30, multiple: 1 << 20 }),
        DESK,
        "How large each of the two places for a root file system is, of a device that gets updates: no later image may be larger. Left out: a quarter more than what is there now. Goes with `updates.store`.",
    ),
    default(
        "image.compression-level",
        Integer { least: 1, most: 19 },
        "3",
        ALL,
        "zstd's level for what lies in the store: higher is smaller and slower to build.",
    ),
    default(
        "image.restricted",
        List(Word::Line { most: 200 }),
        "[]",
        IMPORT,
        "What is in the image that may not be passed on to everybody, such as Windows under your licence: then it goes only into stores that are marked for it.",
    ),
    default(
        "scan.allow",
        List(Word::Exception),
        "[]",
        ALL,
        "Files that the scan for secrets and for unsafe permissions lets pass, each with the reason; `*` in the path stands for anything. One that nothing needs any more is named when an image is built.",
    ),
    default(
        "boot.kernel-arguments",
        List(Word::KernelArgument),
        "[]",
        ALL,
        "Further arguments for the kernel. Those that decide which system starts are the builder's.",
    ),
    default(
        "boot.consoles",
        List(Word::Console),
        "[\"tty0\"]",
        ALL,
        "Where kernel and init write; the last one is the main console.",
    ),
    default(
        "time.servers",
        List(Word::Server),
        "[]",
        ALL,
        "Time servers. Empty: those that the network names, or else the distribution's. One-time codes and TLS need a right clock.",
    ),
    required(
        "hardware.supported",
        List(Word::Choice(&["qemu", "wyse-5070", "latitude-5000"])),
        ALL,
        "The devices that the image shall run on; decides which drivers it has.",
    ),
    required("locale.default", Text(Word::Locale), DESK, "The language and country where the roster names none."),
    default(
        "locale.available",
        List(Word::Locale),
        "[]",
        LOCALES,
        "Every locale that a roster may name. Empty: the default alone; for an import there is none, so write those that its system has.",
    ),
    required("locale.keyboard", Text(Word::Keyboard), DESK, "The keyboard where the roster names none."),
    required("locale.timezone", Text(Word::Timezone), DESK, "The time zone where the roster names none."),
    default(
        "trust.authorities",
        List(Word::Authorities),
        "[]",
        DESK,
        "PEM files with your own authorities' certificates; they go into every store that needs them (system, browser, Citrix). Public parts only.",
    ),
    optional(
        "confirm.station",
        Text(Word::Origin),
        DESK,
        "The station as devices in use see it. A device tells it once, signed by its own key, which image and which personal settings took effect; the station shows \"in use\", or what did not take. Left out: nobody is told.",
    ),
    optional(
        "confirm.station-ca",
        Text(Word::Authorities),
        DESK,
        "A PEM file with the station's own authority, which then alone may vouch for it. Left out: the public ones, and those of `trust.authorities`. Goes with `confirm.station`.",
    ),
    optional(
        "updates.store",
        Text(Word::Https),
        DESK,
        "The store as devices in use see it. A device looks there for a newer version of its own image, writes it beside the one in use, and starts it at the next start; if that does not come up, the one before is back. Asks for `version`. Left out: an image is changed only at the line.",
    ),
    optional(
        "updates.store-ca",
        Text(Word::Authorities),
        DESK,
        "A PEM file with the authority of that store's server, which then alone may vouch for it. Left out: the public ones, and those of `trust.authorities`. Goes with `updates.store`.",
    ),
    required("citrix.store-url", Text(Word::Https), DESK, "The Citrix Gateway or StoreFront page where people sign in."),
    default("citrix.gateway-hosts", List(Word::Host), "[]", DESK, "Hosts of the Citrix Gateway."),
    default("citrix.storefront-hosts", List(Word::Host), "[]", DESK, "Hosts of StoreFront."),
    default(
        "citrix.identity-provider-hosts",
        List(Word::Host),
        "[]",
        DESK,
        "Hosts of the identity provider that sign-in is handed to.",
    ),
    default("citrix.mfa-hosts", List(Word::Host), "[]", DESK, "Hosts of the second factor (one-time codes, push)."),
    default(
        "citrix.fido2",
        Boolean,
        "true",
        DESK,
        "Whether a FIDO2 key in the device can be used within sessions. This and what follows is for the client `icaclient`, where `packages.supplied` has it.",
    ),
    default("citrix.app-protection", Boolean, "false", DESK, "Whether the client's App Protection is installed with it."),
    default("citrix.device-trust", Boolean, "false", DESK, "Whether the client's Device Trust is installed with it."),
    default("citrix.endpoint-analysis", Boolean, "false", DESK, "Whether the client's Endpoint Analysis is installed with it."),
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
    optional("kiosk.url", Text(Word::Https), TERMINAL, "The page that the terminal opens. Left out: `citrix.store-url`."),
    default(
        "kiosk.allowed-hosts",
        List(Word::Host),
        "[]",
        TERMINAL,
        "Hosts that the browser may reach besides the four lists of `[citrix]`. Everything else is closed.",
    ),
    optional(
        "kiosk.sign-out",
        Text(Word::Https),
        TERMINAL,
        "The address that signs a person out at the Gateway: when the browser was there, the session ends and nothing of it is left. Left out: `/cgi/logout` at the page's host, as a NetScaler Gateway has it.",
    ),
    default(
        "kiosk.idle",
        Integer { least: 1, most: 480 },
        "15",
        TERMINAL,
        "Minutes without key or mouse after which the session ends and nothing of it is left.",
    ),
    default(
        "kiosk.scale",
        Text(Word::Choice(&["1", "1.25", "1.5", "1.75", "2"])),
        "\"1\"",
        TERMINAL,
        "How much larger everything is drawn: `1` for a 24-inch screen of 1920 by 1080, `1.25` for one of 2560 by 1440, `2` for one of 3840 by 2160.",
    ),
    default(
        "kiosk.printing",
        Boolean,
        "false",
        TERMINAL,
        "Whether pages can be printed on the device's own printers; asks for the package `cups`, and `avahi-daemon` and `ipp-usb` for printers that are found by themselves. What a remote desktop prints is Citrix's business.",
    ),
    default(
        "kiosk.usb-storage",
        Boolean,
        "false",
        TERMINAL,
        "Whether the device takes USB sticks and disks: they are mounted for Citrix's client, below `/run/media/system`, and nothing on them is run. Keyboards, headsets and FIDO2 keys always work.",
    ),
    optional(
        "kiosk.connectivity-check",
        Text(Word::Mirror),
        TERMINAL,
        "A page of yours under http that answers `NetworkManager is online`: asked to find out whether a network (hotel, train) has a sign-in page of its own, which is then shown. Left out: nothing is asked, and such networks cannot be used.",
    ),
    default(
        "saas.lists",
        List(Word::EndpointList),
        "[]",
        LAPTOP,
        "Endpoint lists of services, as `livery saas update` takes them from their providers.",
    ),
    default(
        "saas.services",
        List(Word::Service),
        "[]",
        LAPTOP,
        "Services that laptops reach directly, by the local network and its DNS: `microsoft365:optimize`, `microsoft365:allow`. Each is in one of `saas.lists`.",
    ),
    default(
        "saas.domains",
        List(Word::Host),
        "[]",
        LAPTOP,
        "Hosts of other software as a service that laptops reach directly: `crm.example`, or `*.crm.example` for it and all below it.",
    ),
    optional(
        "tunnel.endpoint",
        Text(Word::HostPort),
        LAPTOP,
        "The WireGuard concentrator that leads into your network, as the Internet knows it. Left out: laptops have no tunnel, and so nothing else of this section.",
    ),
    optional("tunnel.public-key", Text(Word::WireGuardKey), LAPTOP, "The concentrator's public key."),
    default(
        "tunnel.prefixes",
        List(Word::Prefix),
        "[]",
        LAPTOP,
        "The networks behind the tunnel; nothing else goes through it, and they are reached through it alone.",
    ),
    default(
        "tunnel.domains",
        List(Word::Domain),
        "[]",
        LAPTOP,
        "Your internal domains: their names, and all below them, are resolved by `tunnel.dns` alone and reached through the tunnel.",
    ),
    default("tunnel.dns", List(Word::Address), "[]", LAPTOP, "Your name servers behind the tunnel; within `tunnel.prefixes`."),
    default(
        "tunnel.keepalive",
        Integer { least: 0, most: 600 },
        "25",
        LAPTOP,
        "Seconds between packets that keep a home router's way back open; 0 for none.",
    ),
    default(
        "internet.otherwise",
        Text(Word::Choice(&["direct", "proxy", "blocked"])),
        "\"direct\"",
        LAPTOP,
        "What browsers do with all that is neither SaaS nor internal: reach it directly, through `internet.proxy`, or not at all.",
    ),
    optional("internet.proxy", Text(Word::HostPort), LAPTOP, "Your web proxy; goes with `internet.otherwise = \"proxy\"`."),
    default("internet.blocked-hosts", List(Word::Host), "[]", LAPTOP, "Hosts that browsers may not reach."),
    optional(
        "personal.partition",
        Text(Word::Partition),
        IMPORT,
        "The partition of a ready-made image that gets a file for the personal layer; with NTFS, FAT or ext4. Goes with `personal.file`.",
    ),
    optional(
        "personal.file",
        Text(Word::FilePath),
        IMPORT,
        "That file, from the partition's top, `/` or `\\` between folders; its folder must be there, the file must not. What reads it on the device is the image's own business.",
    ),
    default(
        "personal.size",
        Text(Word::Size { least: 4096, most: 1 << 20, multiple: 4096 }),
        "\"64 KiB\"",
        IMPORT,
        "The room for it: JSON, and white space up to this size.",
    ),
    optional(
        "agent.station",
        Text(Word::Origin),
        AGENT,
        "The station that the agent reports to. Left out: `livery medium --station`.",
    ),
    optional(
        "agent.station-ca",
        Text(Word::Authorities),
        AGENT,
        "The station's own authority, a PEM file. Left out: `livery medium --station-ca`.",
    ),
    optional(
        "agent.job-key",
        Text(Word::JobKey),
        AGENT,
        "The key that the station signs jobs with: `job.pub`, or its digits. Left out: `livery medium --job-key`.",
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
