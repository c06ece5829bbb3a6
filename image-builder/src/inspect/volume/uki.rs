//! The parts of a UKI (UAPI Group Specification): the sections of a PE program (PE/COFF 8.3).

use std::ops::Range;

/// The most sections of a program (PE/COFF 8.3, section 3.3).
const SECTIONS: u16 = 96;

/// Where the parts of a UKI lie in its file; only those that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Each section's name, and its content without padding.
    pub(crate) sections: Vec<(String, Range<usize>)>,
}

impl Parts {
    /// Reads the table of sections; `None` where these bytes are no PE program.
    pub(crate) fn of(program: &[u8]) -> Option<Self> {
        let u16_at = |at: usize| Some(u16::from_le_bytes(program.get(at..at.checked_add(2)?)?.try_into().ok()?));
        let u32_at = |at: usize| Some(u32::from_le_bytes(program.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize);
        if program.get(..2)? != b"MZ" {
            return None;
        }
        let header = u32_at(0x3c)?;
        if program.get(header..header.checked_add(4)?)? != b"PE\0\0" {
            return None;
        }
        let count = u16_at(header + 6)?;
        let table = header + 24 + usize::from(u16_at(header + 20)?);
        if count > SECTIONS {
            return None;
        }
        let mut sections = Vec::new();
        for number in 0..usize::from(count) {
            let at = table + number * 40;
            let name = program.get(at..at + 8)?.split(|byte| *byte == 0).next()?;
            let (virtual_size, raw_size, from) = (u32_at(at + 8)?, u32_at(at + 16)?, u32_at(at + 20)?);
            // What lies in the file is padded; what it is long in memory is not.
            let content = from..from.checked_add(virtual_size.min(raw_size))?;
            program.get(content.clone())?;
            sections.push((String::from_utf8_lossy(name).into_owned(), content));
        }
        Some(Self { sections })
    }

    /// A section's content.
    pub(crate) fn get<'a>(&self, program: &'a [u8], name: &str) -> Option<&'a [u8]> {
        let (_, range) = self.sections.iter().find(|(section, _)| section == name)?;
        program.get(range.clone())
    }

    /// The kernel's command line.
    pub(crate) fn command_line(&self, program: &[u8]) -> Option<String> {
        self.text(program, ".cmdline")
    }

    /// A section that is a text.
    pub(crate) fn text(&self, program: &[u8], name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(self.get(program, name)?).into_owned();
        Some(text.trim_end_matches(['\0', '\n']).to_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A program of these sections.
    pub(crate) fn program(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut program = vec![0; 0x80 + 24];
        program[..2].copy_from_slice(b"MZ");
        program[0x3c] = 0x80;
        program[0x80..0x84].copy_from_slice(b"PE\0\0");
        program[0x86] = u8::try_from(sections.len()).unwrap();
        let mut at = program.len() + sections.len() * 40;
        let mut content = Vec::new();
        for (name, bytes) in sections {
            let mut section = [0; 40];
            section[..name.len()].copy_from_slice(name.as_bytes());
            let length = u32::try_from(bytes.len()).unwrap();
            section[8..12].copy_from_slice(&length.to_le_bytes());
            section[16..20].copy_from_slice(&(length + 3).to_le_bytes());
            section[20..24].copy_from_slice(&u32::try_from(at).unwrap().to_le_bytes());
            program.extend(section);
            content.extend_from_slice(bytes);
            content.extend([0; 3]);
            at += bytes.len() + 3;
        }
        program.extend(content);
        program
    }

    #[test]
    fn sections_are_found_and_other_bytes_are_none() {
        let program = program(&[(".cmdline", b"quiet root=/dev/mapper/root\n\0"), (".uname", b"6.12")]);
        let parts = Parts::of(&program).unwrap();
        assert_eq!(parts.command_line(&program).unwrap(), "quiet root=/dev/mapper/root");
        assert_eq!(parts.get(&program, ".uname").unwrap(), b"6.12");
        assert_eq!(parts.get(&program, ".linux"), None);
        for end in 0..program.len() {
            let _ = Parts::of(&program[..end]); // no panic, wherever it is cut off
        }
        assert_eq!(Parts::of(b"#!/bin/sh\n"), None);
    }
}
