//! The kinds of faults: what each does, how a run may end under it, how often it comes in the mix, what it costs.

use super::rng::Rng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Kind {
    PackFlip,
    PackCut,
    PackSwap,
    PackReplay,
    PackGone,
    MapHarm,
    ManifestHarm,
    MetadataHarm,
    MetadataReplay,
    ServerStatus,
    ServerPage,
    ServerRedirect,
    ServerRange,
    ServerEndless,
    ServerFlaky,
    ServerDead,
    ServerReset,
    ServerStall,
    ServerTrickle,
    ServerMetadata,
    Kill,
    KillRot,
    Terminate,
    Pause,
    DiskRot,
    DiskTorn,
    DiskLost,
    AtRest,
    FileLimit,
    LoopFull,
    LoopCut,
    PowerLog,
    GuestPower,
    GuestWrite,
    GuestRead,
    GuestFlush,
}

/// What a case takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A second of a processor.
    Light,
    /// Half a minute of waiting for the agent's retries; many at once.
    Sleepy,
    /// Minutes of waiting for time-outs; many at once.
    Patient,
    /// A loop device and a small file system: root.
    Loop,
    /// A virtual device.
    Guest,
    /// Writes that one virtual device's disk was sent, cut anywhere; the device runs once.
    Recorded,
}

/// One line of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which.
    pub kind: Kind,
    /// In the table and for `--only`.
    pub name: &'static str,
    /// What happens.
    pub what: &'static str,
    /// How a run may end, beside 0 on a disk that is the image: exit codes; 128 and the signal's number where one ended it.
    pub codes: &'static [i32],
    /// How many in about a thousand.
    pub weight: u64,
    /// What it takes.
    pub lane: Lane,
}

const fn entry(kind: Kind, name: &'static str, weight: u64, lane: Lane, codes: &'static [i32], what: &'static str) -> Entry {
    Entry { kind, name, what, codes, weight, lane }
}

/// All of them. Where two codes stand, both are right: which one comes depends on where the fault falls.
pub const ALL: &[Entry] = &[
    entry(Kind::PackFlip, "pack-flip", 60, Lane::Light, &[4], "bits of a pack turned over"),
    entry(Kind::PackCut, "pack-cut", 30, Lane::Light, &[5], "a pack that ends too early"),
    entry(Kind::PackSwap, "pack-swap", 40, Lane::Light, &[4, 5], "two packs, or two frames of one, exchanged"),
    entry(Kind::PackReplay, "pack-replay", 20, Lane::Light, &[4, 5], "an older image's pack under a newer one's name"),
    entry(Kind::PackGone, "pack-gone", 10, Lane::Light, &[5], "a pack that is not there"),
    entry(Kind::MapHarm, "map-harm", 30, Lane::Light, &[4, 5], "a chunk map flipped, cut, exchanged or gone"),
    entry(Kind::ManifestHarm, "manifest-harm", 20, Lane::Light, &[4, 5], "a manifest flipped, cut, exchanged or gone"),
    entry(Kind::MetadataHarm, "metadata-harm", 40, Lane::Light, &[4, 5], "signed metadata flipped, cut or gone"),
    // An old store in whole is a valid one, in which the newer image is not: refused, nothing touched.
    entry(
        Kind::MetadataReplay,
        "metadata-replay",
        20,
        Lane::Light,
        &[3, 4, 5],
        "older signed metadata put back, in part or in whole",
    ),
    entry(Kind::ServerStatus, "server-status", 30, Lane::Sleepy, &[5], "packs answered 500, 503, 403, 404, 416 or 429"),
    entry(Kind::ServerPage, "server-page", 20, Lane::Sleepy, &[5], "packs answered 200 with an HTML page"),
    entry(Kind::ServerRedirect, "server-redirect", 20, Lane::Sleepy, &[5], "packs redirected to another host"),
    entry(Kind::ServerRange, "server-range", 30, Lane::Sleepy, &[4, 5], "whole files, other ranges, other bytes, a byte too few"),
    entry(Kind::ServerEndless, "server-endless", 15, Lane::Sleepy, &[4, 5], "answers that never end"),
    entry(Kind::ServerDead, "server-dead", 20, Lane::Sleepy, &[5], "the server goes away in the middle of the write"),
    entry(Kind::ServerReset, "server-reset", 40, Lane::Sleepy, &[5], "connections reset (RST) after some bytes"),
    entry(Kind::ServerFlaky, "server-flaky", 60, Lane::Light, &[4, 5], "some answers bad, of any kind, then good ones"),
    entry(Kind::ServerStall, "server-stall", 8, Lane::Patient, &[5], "no answer, or half of one, and then nothing"),
    entry(Kind::ServerTrickle, "server-trickle", 6, Lane::Patient, &[5], "a byte each second"),
    entry(
        Kind::ServerMetadata,
        "server-metadata",
        40,
        Lane::Sleepy,
        &[4, 5],
        "all of these where metadata, manifest or map is asked for",
    ),
    entry(Kind::Kill, "kill-9", 130, Lane::Light, &[137], "kill -9 at a random moment, once or twice"),
    entry(
        Kind::KillRot,
        "kill-9-rot",
        60,
        Lane::Light,
        &[137],
        "kill -9, and blocks of the half-written disk change before the re-run",
    ),
    // 3 before the first byte is written, 6 afterwards; a default action before the handler is there: the signal itself.
    entry(Kind::Terminate, "terminate", 40, Lane::Light, &[3, 6, 130, 143], "SIGINT or SIGTERM at a random moment"),
    entry(Kind::Pause, "pause", 10, Lane::Light, &[5], "stopped for some seconds (SIGSTOP), then it goes on"),
    entry(
        Kind::DiskRot,
        "disk-rot",
        50,
        Lane::Light,
        &[6],
        "bits of the disk turn over behind the agent's back, before it reads back",
    ),
    entry(
        Kind::DiskTorn,
        "disk-torn",
        40,
        Lane::Light,
        &[6],
        "blocks half written: zeros or noise from a sector on, before it reads back",
    ),
    entry(Kind::DiskLost, "disk-lost", 40, Lane::Light, &[6], "blocks hold what they held before: lost writes"),
    entry(Kind::AtRest, "disk-at-rest", 30, Lane::Light, &[], "a good disk rots at rest; the next write mends it"),
    entry(Kind::FileLimit, "write-refused", 30, Lane::Light, &[6], "every write beyond an offset fails (EFBIG by RLIMIT_FSIZE)"),
    entry(
        Kind::LoopFull,
        "loop-full",
        20,
        Lane::Loop,
        &[6],
        "a loop device whose file system is full: I/O errors by the kernel's block layer",
    ),
    entry(Kind::LoopCut, "loop-cut", 15, Lane::Loop, &[6], "a loop device whose file is cut: reads beyond the cut fail"),
    entry(
        Kind::PowerLog,
        "power-cut-log",
        100,
        Lane::Recorded,
        &[137],
        "power cut anywhere in a guest's recorded writes; what was not flushed is kept, lost or torn",
    ),
    entry(Kind::GuestPower, "guest-power-cut", 12, Lane::Guest, &[137], "QEMU killed at a random moment"),
    entry(Kind::GuestWrite, "guest-write-error", 10, Lane::Guest, &[6], "blkdebug: writes fail at a sector, once or always"),
    entry(Kind::GuestRead, "guest-read-error", 8, Lane::Guest, &[6], "blkdebug: reads fail at a sector, once or always"),
    entry(Kind::GuestFlush, "guest-flush-error", 6, Lane::Guest, &[6], "blkdebug: flushes fail, once or always"),
];

/// What a case is, from the run's seed and its number; of the kinds that `wanted` lets in.
pub fn kind_of(seed: u64, number: u64, wanted: &[Entry]) -> Option<Entry> {
    let total: u64 = wanted.iter().map(|entry| entry.weight).sum();
    // A stream of its own, so that the case's own numbers do not depend on which kinds are let in.
    let mut at = Rng::of(seed ^ 0x6b69_6e64, number).below(total);
    wanted
        .iter()
        .find(|entry| {
            let here = at < entry.weight;
            at = at.saturating_sub(entry.weight);
            here
        })
        .copied()
}

/// The entry of a kind.
pub fn entry_of(name: &str) -> Option<Entry> {
    ALL.iter().find(|entry| entry.name == name).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_thousand_cases_hold_every_kind_and_names_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        let mut seen: Vec<Kind> = (1..=1000).map(|number| kind_of(1, number, ALL).unwrap().kind).collect();
        assert_eq!(seen[16], kind_of(1, 17, ALL).unwrap().kind);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), ALL.len());
        assert!(kind_of(1, 1, &[]).is_none());
    }
}
