//! Which disk it is.
//!
//! In: the inventory's disks, the job's hints, what the image needs. Out: one disk. Fails with exit 3, naming each disk and why it was
//! refused; nothing is touched.
//!
//! The policy is a pure function, [`choose`], so that every case of it is a line in a table of tests. It never falls back
//! to another disk: that is how the wrong one gets written (FOGProject/fos#100, balena-io/etcher#983).

use std::time::Duration;

use livery_contract::{
    Fault, Result,
    inventory::{Disk, Transport},
    job::DiskHints,
    manifest::Manifest,
};

/// What an image needs of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// At least this many bytes.
    pub size: u64,
    /// This logical sector size: a GPT and a FAT for 512 bytes do not work on 4096 (rackerlabs/understack#2069).
    pub sector: u32,
    /// Whether they may be converted to 4096.
    pub converts_to_4096: bool,
}

/// How long a disk that the job means may take to appear: a spinning disk or a slow controller behind a just-booted kernel.
const APPEARS: Duration = Duration::from_secs(30);
/// How often we look for it.
const LOOK: Duration = Duration::from_secs(1);

impl From<&Manifest> for Needs {
    fn from(manifest: &Manifest) -> Self {
        Self { size: manifest.minimum_disk, sector: manifest.sector_size, converts_to_4096: manifest.converts_to_4096 }
    }
}

/// Why a disk may not be written; empty where it may.
pub(crate) fn refusals(disk: &Disk, needs: Needs, allow_removable: bool) -> Vec<String> {
    let mut why = disk.held_by.clone();
    if disk.read_only {
        why.push("write-protected".into());
    }
    if disk.removable && !allow_removable {
        why.push(if disk.transport == Transport::Usb { "on USB" } else { "removable" }.into());
    }
    if disk.size < needs.size {
        why.push(format!("too small: {} bytes, but the image needs {}", disk.size, needs.size));
    }
    if disk.logical_sector != needs.sector && !(needs.converts_to_4096 && disk.logical_sector == 4096) {
        why.push(format!("has sectors of {} bytes, but the image is made for {}", disk.logical_sector, needs.sector));
    }
    why
}

/// In what a disk is not the one that the job means.
fn mismatches(disk: &Disk, hints: &DiskHints) -> Vec<String> {
    let mut why = Vec::new();
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".into());
    if let Some(serial) = &hints.serial
        && disk.serial.as_deref().map(str::trim) != Some(serial.trim())
    {
        why.push(format!("its serial is {}, not {serial}", shown(&disk.serial)));
    }
    if let Some(wwn) = &hints.wwn
        && disk.wwn.as_deref().map(plain_wwn) != Some(plain_wwn(wwn))
    {
        why.push(format!("its WWN is {}, not {wwn}", shown(&disk.wwn)));
    }
    if let Some(transport) = hints.transport
        && disk.transport != transport
    {
        why.push(format!("it is attached by {:?}, not by {transport:?}", disk.transport));
    }
    if hints.min_size.is_some_and(|least| disk.size < least) || hints.max_size.is_some_and(|most| disk.size > most) {
        why.push(format!("its size is {} bytes, which is not the size that the job requires", disk.size));
    }
    why
}

/// udev writes `0x5000c500…`, the kernel `naa.5000c500…`: the same name.
fn plain_wwn(wwn: &str) -> String {
    let wwn = wwn.trim().to_ascii_lowercase();
    let prefixes = ["0x", "naa.", "eui.", "uuid.", "nvme."];
    prefixes.iter().find_map(|prefix| wwn.strip_prefix(prefix)).unwrap_or(&wwn).to_owned()
}

/// The one disk that fits all hints and may be written.
///
/// # Errors
/// Exit 3 where none or more than one does, with every disk and why.
pub(crate) fn choose<'a>(disks: &'a [Disk], hints: &DiskHints, needs: Needs) -> Result<&'a Disk> {
    let judged: Vec<(&Disk, Vec<String>)> = disks
        .iter()
        .map(|disk| {
            let mut why = mismatches(disk, hints);
            why.extend(refusals(disk, needs, false));
            (disk, why)
        })
        .collect();
    let list = |wanted: &dyn Fn(&[String]) -> bool| {
        let lines: Vec<String> = judged
            .iter()
            .filter(|(_, why)| wanted(why))
            .map(|(disk, why)| match why.as_slice() {
                [] => describe(disk),
                why => format!("{}: {}", describe(disk), why.join("; ")),
            })
            .collect();
        lines.join(" | ")
    };
    let fitting: Vec<&Disk> = judged.iter().filter(|(_, why)| why.is_empty()).map(|(disk, _)| *disk).collect();
    match fitting.as_slice() {
        [one] => Ok(one),
        [] if disks.is_empty() => Err(Fault::refused("this device has no disk")
            .fix("check that the disk is plugged in, and that no RAID mode in the firmware hides it")),
        [] => Err(Fault::refused("no disk of this device may be written")
            .at(list(&|_| true))
            .fix("stop whatever uses the disk, or put in a disk that the image fits; then start again")),
        _ => Err(Fault::refused(format!("{} disks qualify, and the order does not say which to write", fitting.len()))
            .at(list(&<[String]>::is_empty))
            .fix("unplug the disks that are not meant; then start again")),
    }
}

/// [`choose`], looking again for a while where no disk fits: one may appear late. `look` reads the disks that are there.
///
/// # Errors
/// As [`choose`], once the time is over, or at once where waiting mends nothing: a second candidate.
pub(crate) fn choose_when_there(
    mut look: impl FnMut() -> Result<Vec<Disk>>,
    hints: &DiskHints,
    needs: Needs,
    mut pause: impl FnMut(Duration) -> Result<()>,
) -> Result<(Disk, Vec<Disk>)> {
    let mut left = APPEARS;
    loop {
        let disks = look()?;
        // A disk that fits and is held, or too small, will not change; one that is not there may come. A removable one, such
        // as our own medium, is meant only by a job that names it.
        let named = hints.serial.is_some() || hints.wwn.is_some();
        let meant = disks.iter().any(|disk| mismatches(disk, hints).is_empty() && (named || !disk.removable));
        match choose(&disks, hints, needs) {
            Ok(disk) => {
                let disk = disk.clone();
                return Ok((disk, disks));
            }
            Err(fault) if meant || left.is_zero() => return Err(fault),
            Err(_) => {
                pause(LOOK)?;
                left = left.saturating_sub(LOOK);
            }
        }
    }
}

/// Whether another disk holds partitions with the image's GUIDs: then the system could start from this disk and take its
/// root from that one (dsx-ai-factory/infra-controller#4990).
///
/// # Errors
/// Exit 3, naming the other disk.
pub(crate) fn no_twin(chosen: &Disk, disks: &[Disk], manifest: &Manifest) -> Result<()> {
    let ours = |disk: &&Disk| {
        disk.name != chosen.name
            && disk.partition_guids.iter().any(|guid| manifest.partitions.iter().any(|partition| partition.guid == *guid))
    };
    match disks.iter().find(ours) {
        None => Ok(()),
        Some(twin) => Err(Fault::refused(
            "another disk of this device holds partitions of the same image: the device could start from either",
        )
        .at(describe(twin))
        .fix("unplug that disk, or erase it first; then start again")),
    }
}

/// Name, size and serial of a disk, for people.
pub(crate) fn describe(disk: &Disk) -> String {
    let serial = disk.serial.as_deref().map(|serial| format!(", serial {serial}")).unwrap_or_default();
    let model = disk.model.as_deref().map(|model| format!(" {model}")).unwrap_or_default();
    format!("{} ({}{model}{serial})", disk.path, crate::console::bytes(disk.size))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::inventory;

    const NEEDS: Needs = Needs { size: 1000, sector: 512, converts_to_4096: false };

    fn disk(name: &str) -> Disk {
        Disk {
            path: format!("/dev/{name}"),
            serial: Some(format!("S-{name}")),
            wwn: Some("naa.5000C500A".into()),
            transport: Transport::Sata,
            ..inventory::disk_of_file(Path::new(name), 4096, 512)
        }
    }

    type Case = (&'static str, fn(&mut Vec<Disk>, &mut DiskHints), Result<&'static str, &'static str>);

    #[test]
    fn the_policy() {
        let cases: [Case; 18] = [
            ("one free disk", |_, _| {}, Ok("a")),
            ("none", |disks, _| disks.clear(), Err("no disk")),
            ("two", |disks, _| disks.push(disk("b")), Err("2 disks")),
            (
                "two, a serial",
                |disks, hints| {
                    disks.push(disk("b"));
                    hints.serial = Some("S-b".into());
                },
                Ok("b"),
            ),
            (
                "two of one serial",
                |disks, hints| {
                    disks.push(disk("a"));
                    hints.serial = Some("S-a".into());
                },
                Err("2 disks"),
            ),
            ("serial absent", |_, hints| hints.serial = Some("S-x".into()), Err("its serial is S-a, not S-x")),
            (
                "the right one held: never another",
                |disks, hints| {
                    disks.push(disk("b"));
                    hints.serial = Some("S-a".into());
                    disks[0].held_by.push("mounted on /".into());
                },
                Err("mounted on /"),
            ),
            ("mounted", |disks, _| disks[0].held_by.push("mounted on /".into()), Err("mounted on /")),
            ("boot medium", |disks, _| disks[0].held_by.push("the medium".into()), Err("the medium")),
            ("removable", |disks, _| disks[0].removable = true, Err("removable")),
            (
                "USB",
                |disks, _| {
                    disks[0].removable = true;
                    disks[0].transport = Transport::Usb;
                },
                Err("on USB"),
            ),
            ("read-only", |disks, _| disks[0].read_only = true, Err("write-protected")),
            ("too small", |disks, _| disks[0].size = 999, Err("too small: 999 bytes, but the image needs 1000")),
            ("4Kn", |disks, _| disks[0].logical_sector = 4096, Err("sectors of 4096")),
            ("WWN in another spelling", |_, hints| hints.wwn = Some("0x5000c500a".into()), Ok("a")),
            ("other WWN", |_, hints| hints.wwn = Some("0x1".into()), Err("its WWN")),
            ("other transport", |_, hints| hints.transport = Some(Transport::Nvme), Err("attached by Sata, not by Nvme")),
            ("other size", |_, hints| hints.max_size = Some(4000), Err("not the size")),
        ];
        for (name, change, expected) in cases {
            let (mut disks, mut hints) = (vec![disk("a")], DiskHints::default());
            change(&mut disks, &mut hints);
            match (choose(&disks, &hints, NEEDS), expected) {
                (Ok(disk), Ok(wanted)) => assert_eq!(disk.name, wanted, "{name}"),
                (Err(fault), Err(wanted)) => {
                    assert_eq!(fault.exit().code(), 3, "{name}");
                    assert!(fault.render().contains(wanted), "{name}: {}", fault.render());
                }
                (got, wanted) => panic!("{name}: {got:?}, expected {wanted:?}"),
            }
        }
    }

    #[test]
    fn a_disk_that_appears_late_is_waited_for_and_a_held_one_is_not() {
        let hints = DiskHints { serial: Some("S-b".into()), ..DiskHints::default() };
        let (mut looks, mut slept) = (0, Duration::ZERO);
        let mut pause = |time| {
            slept += time;
            Ok(())
        };
        let late = || {
            looks += 1;
            Ok(if looks < 5 { vec![disk("a")] } else { vec![disk("a"), disk("b")] })
        };
        assert_eq!(choose_when_there(late, &hints, NEEDS, &mut pause).unwrap().0.name, "b");
        let never = || Ok(vec![disk("a")]);
        let fault = choose_when_there(never, &hints, NEEDS, &mut pause).unwrap_err();
        assert!(fault.render().contains("not S-b"), "{}", fault.render());
        assert_eq!(slept, 4 * LOOK + APPEARS);
        let held = || Ok(vec![Disk { held_by: vec!["swap".into()], ..disk("b") }]);
        choose_when_there(held, &hints, NEEDS, |_| unreachable!("waiting mends nothing")).unwrap_err();
        let two = || Ok(vec![disk("b"), disk("b")]);
        choose_when_there(two, &hints, NEEDS, |_| unreachable!("waiting mends nothing")).unwrap_err();
        let stick = || Ok(vec![Disk { removable: true, ..disk("b") }]);
        choose_when_there(stick, &hints, NEEDS, |_| unreachable!("waiting mends nothing")).unwrap_err();
        // Without a name it is only the medium that we came from, and the disk may still come.
        slept = Duration::ZERO;
        let pause = |time| {
            slept += time;
            Ok(())
        };
        choose_when_there(stick, &DiskHints::default(), NEEDS, pause).unwrap_err();
        assert_eq!(slept, APPEARS);
    }

    #[test]
    fn a_stale_disk_with_the_same_partitions_is_not_tolerated() {
        let guid = uuid::Uuid::from_u128(7);
        let manifest = crate::image::sample::manifest(
            1 << 22,
            &serde_json::json!([{"number": 1, "role": "root", "offset": 1 << 20, "length": 1 << 20,
                "type_guid": guid, "guid": guid, "label": "root"}]),
        );
        let with = |name: &str, guids: &[uuid::Uuid]| Disk { partition_guids: guids.to_vec(), ..disk(name) };
        let other = uuid::Uuid::from_u128(8);
        // The chosen disk itself may hold an older write of the same image.
        let chosen = with("a", &[guid]);
        no_twin(&chosen, &[chosen.clone(), with("b", &[other])], &manifest).unwrap();
        let fault = no_twin(&chosen, &[chosen.clone(), with("b", &[other, guid])], &manifest).unwrap_err();
        assert_eq!(fault.exit().code(), 3);
        assert!(fault.render().contains("/dev/b"), "{}", fault.render());
    }
}
