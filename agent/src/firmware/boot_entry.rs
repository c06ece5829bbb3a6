//! The firmware's boot entry, through efivarfs (UEFI 2.10, sections 3.1.3 and 10.3).
//!
//! In: label, loader and partition. Out: its name, `Boot0003`, first in `BootOrder`, read back. An entry of ours from
//! before (same label) is replaced, not added to. Fails with exit 6: some firmware takes no entry, or forgets it
//! (metal3-io/ironic-image#352); such a device is told apart here, not at the employee's desk.
//!
//! A variable's file is four bytes of attributes and its value; it is written with one `write`. A load option is
//!
//! ```text
//! u32 attributes (1: active) | u16 length of the paths | label, UTF-16 with NUL | paths | optional data
//! path HD:   04 01 | u16 42 | u32 partition number | u64 first LBA | u64 LBAs | GUID [16] | 02 (GPT) | 02 (by GUID)
//! path file: 04 04 | u16 length | UTF-16 with NUL
//! path end:  7f ff | u16 4
//! ```
//!
//! Not by the crate `efivar`: it panics on malformed entries that other systems left, and where efivarfs is not mounted.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use livery_contract::{
    Fault, Result,
    manifest::{BootEntry, Partition},
};

use super::variables::GLOBAL;

/// NON_VOLATILE | BOOTSERVICE_ACCESS | RUNTIME_ACCESS.
const ATTRIBUTES: u32 = 7;
const LOAD_OPTION_ACTIVE: u32 = 1;
/// What mends firmware that takes no variables.
const FIX: &str =
    "reset the firmware's settings and update the firmware; or finish without a boot entry: `boot_entry = false`, --no-boot-entry";
/// The most bytes that we read of a variable.
const MAX_VARIABLE: u64 = 64 << 10;

/// A boot entry as the firmware keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    label: String,
    option: Vec<u8>,
}

impl Entry {
    /// The entry that a manifest asks for; the partition's place is counted in sectors.
    pub(crate) fn new(boot: &BootEntry, partition: &Partition, sector: u32) -> Self {
        let mut disk = Vec::new();
        disk.extend(partition.number.to_le_bytes());
        disk.extend((partition.offset / u64::from(sector)).to_le_bytes());
        disk.extend((partition.length / u64::from(sector)).to_le_bytes());
        disk.extend(partition.guid.to_bytes_le());
        disk.extend([2, 2]);
        let mut paths = node(4, 1, &disk);
        paths.extend(node(4, 4, &utf16(&boot.loader)));
        paths.extend(node(0x7f, 0xff, &[]));

        let mut option = LOAD_OPTION_ACTIVE.to_le_bytes().to_vec();
        option.extend(u16::try_from(paths.len()).unwrap_or(u16::MAX).to_le_bytes());
        option.extend(utf16(&boot.label));
        option.extend(paths);
        Self { label: boot.label.clone(), option }
    }
}

/// A device path node; a manifest of at most 256 KiB whose path is longer than 64 KiB does not boot anyway.
fn node(kind: u8, subtype: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 4).unwrap_or(u16::MAX);
    [&[kind, subtype], length.to_le_bytes().as_slice(), data].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// The label of a load option; `None` where it is malformed.
fn label(option: &[u8]) -> Option<String> {
    let units: Vec<u16> = option.get(6..)?.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let end = units.iter().position(|unit| *unit == 0)?;
    String::from_utf16(&units[..end]).ok()
}

/// Has the firmware start the entry once, at the next start, and reads that back: `BootNext` (UEFI 2.10, section 3.3), which the firmware
/// takes away before it starts what it names. The entry is in no order: it never starts by itself.
///
/// # Errors
/// Exit 6 where the firmware does not take it, or does not keep it.
pub(crate) fn start_next(efivars: &Path, entry: &Entry) -> Result<()> {
    let variables = Variables(efivars);
    let entries = variables.entries()?;
    let number = variables.number_for(entry, &entries)?;
    if entries.get(&number) != Some(&entry.option) {
        variables.write(&name(number), &entry.option)?;
    }
    variables.write("BootNext", &number.to_le_bytes())?;
    if is_next(efivars, entry)? {
        return Ok(());
    }
    Err(Fault::device("the firmware did not store the entry to start next").at(variables.path("BootNext").display()).fix(FIX))
}

/// Takes back what [`start_next`] asked for, where the firmware has not done it yet.
///
/// # Errors
/// Exit 6 where the firmware's variables can't be read or changed.
pub(crate) fn start_none(efivars: &Path, entry: &Entry) -> Result<()> {
    if is_next(efivars, entry)? { Variables(efivars).remove("BootNext") } else { Ok(()) }
}

/// Whether the firmware is to start this very entry once, and has not done so yet.
///
/// # Errors
/// Exit 6 where its variables can't be read.
pub(crate) fn is_next(efivars: &Path, entry: &Entry) -> Result<bool> {
    let variables = Variables(efivars);
    let next = variables.read("BootNext")?.and_then(|value| Some(u16::from_le_bytes(value.get(..2)?.try_into().ok()?)));
    let Some(number) = next else { return Ok(false) };
    Ok(variables.read(&name(number))?.as_ref() == Some(&entry.option))
}

/// Puts the entry in, first in the order, and reads it back. Gives its name.
///
/// # Errors
/// Exit 6 where the firmware does not take it, or does not keep it.
pub(crate) fn put(efivars: &Path, entry: &Entry) -> Result<String> {
    let variables = Variables(efivars);
    let entries = variables.entries()?;
    let ours: Vec<u16> =
        entries.iter().filter(|(_, option)| label(option).as_ref() == Some(&entry.label)).map(|(number, _)| *number).collect();
    let number = variables.number_for(entry, &entries)?;
    for old in ours.iter().skip(1) {
        variables.remove(&name(*old))?;
    }
    // NVRAM wears out, and some firmware compacts it badly: what is right already is not written again.
    if entries.get(&number) != Some(&entry.option) {
        variables.write(&name(number), &entry.option)?;
    }
    let old = variables.order()?;
    let mut order = vec![number];
    order.extend(old.iter().filter(|other| **other != number && !ours.contains(other)));
    if order != old {
        variables.write("BootOrder", &order.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    if variables.read(&name(number))?.as_ref() != Some(&entry.option) || variables.order()?.first() != Some(&number) {
        return Err(Fault::device("the firmware accepted the boot entry but did not store it")
            .at(efivars.join(name(number)).display())
            .fix(FIX));
    }
    Ok(name(number))
}

fn name(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The global variables below an efivarfs.
struct Variables<'a>(&'a Path);

impl Variables<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}-{GLOBAL}"))
    }

    fn fault(&self, name: &str, what: &str, error: std::io::Error) -> Fault {
        Fault::device(format!("{what} the firmware's {name} failed")).at(self.path(name).display()).cause(error).fix(FIX)
    }

    /// The value, without its attributes; `None` where there is no such variable.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let file = match fs::File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(name, "reading", error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_VARIABLE).read_to_end(&mut bytes).map_err(|error| self.fault(name, "reading", error))?;
        Ok(bytes.get(4..).map(<[u8]>::to_vec))
    }

    fn write(&self, name: &str, value: &[u8]) -> Result<()> {
        let bytes = [&ATTRIBUTES.to_le_bytes(), value].concat();
        // One write is one SetVariable, which replaces the value; O_TRUNC would mean nothing to it. A plain file (in
        // tests) would keep the old end of a longer value, so there it is cut.
        let written = fs::OpenOptions::new().write(true).create(true).truncate(false).open(self.path(name)).and_then(|mut file| {
            let count = file.write(&bytes)?;
            if file.metadata()?.len() > bytes.len() as u64 {
                file.set_len(bytes.len() as u64)?;
            }
            Ok(count)
        });
        match written {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(self.fault(name, "writing", std::io::ErrorKind::WriteZero.into())),
            Err(error) => Err(self.fault(name, "writing", error)),
        }
    }

    fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.path(name)).map_err(|error| self.fault(name, "removing", error))
    }

    fn order(&self) -> Result<Vec<u16>> {
        let bytes = self.read("BootOrder")?.unwrap_or_default();
        Ok(bytes.as_chunks::<2>().0.iter().map(|number| u16::from_le_bytes(*number)).collect())
    }

    /// The number of the first of these entries with this label, else a free one.
    fn number_for(&self, entry: &Entry, entries: &BTreeMap<u16, Vec<u8>>) -> Result<u16> {
        let ours = entries.iter().find(|(_, option)| label(option).as_ref() == Some(&entry.label)).map(|(number, _)| *number);
        ours.or_else(|| (0..=u16::MAX).find(|number| !entries.contains_key(number)))
            .ok_or_else(|| Fault::device("the firmware has no free boot entry").at(self.0.display()))
    }

    /// All boot entries, by number.
    fn entries(&self) -> Result<BTreeMap<u16, Vec<u8>>> {
        let list = fs::read_dir(self.0)
            .map_err(|error| Fault::device("the firmware's variables cannot be listed").at(self.0.display()).cause(error))?;
        let mut entries = BTreeMap::new();
        for file in list.flatten() {
            let file = file.file_name();
            let Some((digits, vendor)) = file.to_str().and_then(|file| file.strip_prefix("Boot")?.split_once('-')) else {
                continue;
            };
            let hex = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
            if let (true, Ok(number)) = (hex && vendor == GLOBAL, u16::from_str_radix(digits, 16))
                && let Some(option) = self.read(&name(number))?
            {
                entries.insert(number, option);
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::manifest::Role;
    use uuid::Uuid;

    use super::*;

    fn entry(label: &str) -> Entry {
        let guid = "90364bbd-1000-47fc-8c05-8707e01b4593".parse().unwrap();
        let partition = Partition {
            number: 1,
            role: Role::Esp,
            offset: 1 << 20,
            length: 64 << 20,
            type_guid: Uuid::nil(),
            guid,
            used: None,
            label: "esp".into(),
        };
        Entry::new(&BootEntry { label: label.into(), partition: 1, loader: r"\EFI\BOOT\BOOTX64.EFI".into() }, &partition, 512)
    }

    #[test]
    fn another_reader_of_the_standard_reads_the_same() {
        let entry = entry("Livery Größe");
        let read = efivar::boot::BootEntry::parse(entry.option.clone()).unwrap();
        assert_eq!(read.description, "Livery Größe");
        assert_eq!(read.attributes, efivar::boot::BootEntryAttributes::LOAD_OPTION_ACTIVE);
        assert_eq!(read.to_bytes(), entry.option);
        let paths = read.file_path_list.unwrap();
        assert_eq!(paths.file_path.path, r"\EFI\BOOT\BOOTX64.EFI");
        assert_eq!(paths.hard_drive.to_string(), "HD(1,GPT,90364bbd-1000-47fc-8c05-8707e01b4593)");
        assert_eq!((paths.hard_drive.partition_start, paths.hard_drive.partition_size), (2048, 131_072));
    }

    #[test]
    fn put_first_once_and_replaced_later() {
        let folder = tempfile::tempdir().unwrap();
        let variables = Variables(folder.path());
        variables.write("Boot0000", &entry("Windows").option).unwrap();
        variables.write("Boot0001", &[1, 2, 3]).unwrap();
        variables.write("BootOrder", &[0, 0, 9, 0, 1, 0]).unwrap();
        fs::write(variables.path("BootNext"), [7, 0, 0, 0, 1, 0]).unwrap();

        assert_eq!(put(folder.path(), &entry("Livery")).unwrap(), "Boot0002");
        assert_eq!(variables.order().unwrap(), [2, 0, 9, 1]);
        assert_eq!(variables.read("Boot0002").unwrap().unwrap(), entry("Livery").option);
        assert_eq!(fs::read(variables.path("Boot0002")).unwrap()[..4], 7_u32.to_le_bytes());

        // Two of ours from before, in other places and with other content: one is left, first.
        variables.write("Boot0007", &[entry("Livery").option, vec![0; 40]].concat()).unwrap();
        variables.write("BootOrder", &[0, 0, 7, 0, 2, 0]).unwrap();
        assert_eq!(put(folder.path(), &entry("Livery")).unwrap(), "Boot0002");
        assert_eq!(variables.order().unwrap(), [2, 0]);
        assert_eq!(variables.read("Boot0007").unwrap(), None);
    }

    #[test]
    fn what_starts_once_is_in_no_order() {
        let folder = tempfile::tempdir().unwrap();
        let variables = Variables(folder.path());
        let next = entry("Livery: newer image");
        assert!(!is_next(folder.path(), &next).unwrap());
        put(folder.path(), &entry("Livery")).unwrap();
        start_next(folder.path(), &next).unwrap();
        assert_eq!((variables.order().unwrap(), variables.read("BootNext").unwrap()), (vec![0], Some(vec![1, 0])));
        assert!(is_next(folder.path(), &next).unwrap() && !is_next(folder.path(), &entry("Livery")).unwrap());
        // The firmware has started it; a second time the same entry is used.
        variables.remove("BootNext").unwrap();
        assert!(!is_next(folder.path(), &next).unwrap());
        start_next(folder.path(), &next).unwrap();
        assert_eq!(variables.entries().unwrap().len(), 2);
        start_none(folder.path(), &entry("Livery")).unwrap();
        assert!(is_next(folder.path(), &next).unwrap(), "another's is left");
        start_none(folder.path(), &next).unwrap();
        assert_eq!(variables.read("BootNext").unwrap(), None);
        fs::write(variables.path("BootNext"), [7, 0, 0, 0, 1]).unwrap();
        assert!(!is_next(folder.path(), &next).unwrap(), "half a number");
    }

    #[test]
    fn firmware_that_keeps_nothing_is_a_device_fault() {
        assert_eq!(put(Path::new("/nonexistent"), &entry("Livery")).unwrap_err().exit().code(), 6);
    }

    proptest::proptest! {
        #[test]
        fn entries_of_others_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
            let _ = label(&bytes);
        }
    }
}
