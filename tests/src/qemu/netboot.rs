//! Start over the network, by the device's own firmware: PXE, and HTTP boot by a boot entry that names a URL.
//!
//! QEMU's own network answers DHCP and TFTP. It knows nothing of HTTP boot, where DHCP names the URL; so the URL is in the
//! boot entry, as a firmware's setup page puts it there. Each network card always has the same address and the same slot, for
//! a boot entry names both.

use std::path::{Path, PathBuf};

/// The address of a card, counted from 0: those that QEMU gives them anyway.
pub(super) const fn mac(card: u8) -> [u8; 6] {
    [0x52, 0x54, 0x00, 0x12, 0x34, 0x56 + card]
}

/// A card's device number on the first PCI bus: one that no other device is given.
pub(super) const fn slot(card: u8) -> u8 {
    0x10 + card
}

/// What the network's DHCP server names, and its TFTP server hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pxe {
    /// Where the TFTP server looks for files.
    pub folder: PathBuf,
    /// The file that DHCP names, in this folder.
    pub file: String,
}

impl Pxe {
    /// This file, and whatever lies beside it.
    pub fn new(file: &Path) -> Self {
        Self {
            folder: file.parent().unwrap_or(Path::new("/")).to_owned(),
            file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// A boot entry that has the first card fetch this URL; an empty one has DHCP name it. The variable's attributes, then
/// `EFI_LOAD_OPTION` (UEFI 2.10, section 3.1.3), as a file of efivarfs. Its device path is
/// `PciRoot(0x0)/Pci(SLOT,0x0)/MAC(…)/IPv4(0.0.0.0)/Uri(…)` (section 10.3): no address of its own, so the firmware asks DHCP for one.
///
/// # Panics
/// Where the URL is longer than a node can be (64 KiB).
pub fn http_entry(name: &str, url: &str) -> Vec<u8> {
    entry(name, 0, &node(3, 24, url.as_bytes()))
}

/// A boot entry for PXE by a card, counted from 0.
///
/// # Panics
/// Where the name is longer than an entry can be.
pub fn pxe_entry(name: &str, card: u8) -> Vec<u8> {
    entry(name, card, &[])
}

fn entry(name: &str, card: u8, rest: &[u8]) -> Vec<u8> {
    let mut address = [0; 33];
    address[..6].copy_from_slice(&mac(card));
    // IFtype 1: Ethernet.
    address[32] = 1;
    let path = [
        &node(2, 1, &[0xd0, 0x41, 0x03, 0x0a, 0, 0, 0, 0])[..], // EISA identifier PNP0A03, UID 0
        &node(1, 1, &[0, slot(card)]),
        &node(3, 11, &address),
        &node(3, 12, &[0; 23]),
        rest,
        &node(0x7f, 0xff, &[]),
    ]
    .concat();
    let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    // Non-volatile, also before and after the operating system starts; then: active.
    [&[7, 0, 0, 0, 1, 0, 0, 0][..], &length(path.len()), &name, &path].concat()
}

/// One node of a device path: type, subtype, length with this header, content.
fn node(kind: u8, subtype: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, subtype][..], &length(content.len() + 4), content].concat()
}

#[allow(clippy::expect_used)]
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("a device path of less than 64 KiB").to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_laid_out_as_the_standard_says() {
        let entry = http_entry("A", "http://h/x");
        assert_eq!(entry[..8], [7, 0, 0, 0, 1, 0, 0, 0]);
        // ACPI 12, PCI 6, MAC 37, IPv4 27, URI 4 + 10, end 4.
        assert_eq!(u16::from_le_bytes([entry[8], entry[9]]), 12 + 6 + 37 + 27 + 14 + 4);
        assert_eq!(entry[10..14], [b'A', 0, 0, 0]);
        assert_eq!(entry.len(), 14 + 100);
        assert_eq!(entry[26..32], [1, 1, 6, 0, 0, 0x10]);
        assert_eq!(entry[96..110], *b"\x03\x18\x0e\x00http://h/x");
        assert_eq!(entry[110..], [0x7f, 0xff, 4, 0]);
        let entry = pxe_entry("A", 2);
        assert_eq!((entry.len(), &entry[26..32]), (14 + 86, &[1, 1, 6, 0, 0, 0x12][..]));
        // The node's header, then the address.
        assert_eq!(entry[36..42], mac(2));
    }
}
