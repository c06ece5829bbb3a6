//! A disk in named sections, by which a record says what was read back.

use super::Manifest;

/// The most bytes of a section of a record, for an image of up to 512 of these.
pub const SECTION: u64 = 64 << 20;
/// A larger image has larger sections: so that its record stays well under a message's limit.
const MAX_SECTIONS: u64 = 512;

/// A named range of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionRange {
    /// The partition's role, `gpt`, `gap`, `gpt-backup` or `disk`.
    pub name: String,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

impl Manifest {
    /// The most bytes of a section.
    pub(crate) fn section_step(&self) -> u64 {
        SECTION.max((self.size / MAX_SECTIONS).next_power_of_two())
    }

    /// The disk cut into named sections, end to end over `0..size` but for what partitions do not use: the partitions, and what
    /// lies between them, long ones in several pieces of the same name, and a personal file by itself. A record gives the SHA-256 of each, so that anyone can check one with
    /// `dd | sha256sum`; SHA-256 goes over its bytes in order, and with pieces several processors can share the work.
    pub fn sections(&self) -> Vec<SectionRange> {
        let step = self.section_step();
        let mut sections = Vec::new();
        let mut at = 0;
        // Its content is another one in each personal image; what is around it is the master's.
        let file = self.personal_file.as_ref().map(|file| [file.offset, file.offset + file.length]).unwrap_or_default();
        let mut push = |name: &str, offset: u64, end: u64| {
            let mut at = offset;
            while at < end {
                let bound = file.into_iter().filter(|bound| (at + 1..end).contains(bound)).min().unwrap_or(end);
                let length = (bound - at).min(step);
                sections.push(SectionRange { name: name.to_owned(), offset: at, length });
                at += length;
            }
        };
        for partition in &self.partitions {
            push(if at == 0 { "gpt" } else { "gap" }, at, partition.offset);
            push(partition.role.as_str(), partition.offset, partition.offset + partition.filled());
            at = partition.offset + partition.length;
        }
        push(if self.partitions.is_empty() { "disk" } else { "gpt-backup" }, at, self.size);
        sections
    }
}
