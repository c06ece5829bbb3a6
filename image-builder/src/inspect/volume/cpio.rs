//! An initrd: archives of cpio's `newc` form one behind another, perhaps compressed with zstd (Linux:
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use std::{collections::BTreeMap, io::Read as _};

use livery_contract::{Fault, Result};

use super::tree::{Entry, Kind, MAX_FILES, Tree, Volume};

/// The most bytes of an initrd, unpacked.
const MAX_BYTES: u64 = 2 << 30;
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const HEADER: usize = 110;

/// Reads all files; `None` where these bytes are no such archive.
///
/// # Errors
/// Exit 3 where it is damaged or too large.
pub(crate) fn read(initrd: &[u8]) -> Result<Option<Volume>> {
    let bad = |what: &str| Fault::refused(format!("an initrd can't be read: {what}"));
    let bytes = if initrd.starts_with(&ZSTD) {
        let mut plain = Vec::new();
        let unpacked = zstd::Decoder::new(initrd).and_then(|decoder| decoder.take(MAX_BYTES + 1).read_to_end(&mut plain));
        unpacked.map_err(|error| bad("it does not decompress").cause(error))?;
        plain
    } else {
        initrd.to_vec()
    };
    if !bytes.starts_with(b"070701") {
        return Ok(None);
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(bad("it is too large"));
    }
    let (mut tree, mut at) = (Tree::new(), 0);
    while let Some(header) = bytes.get(at..at + HEADER) {
        if header.starts_with(&[0; 4]) {
            at += 4; // padding between archives
            continue;
        }
        let field = |number: usize| {
            let text = std::str::from_utf8(&header[6 + number * 8..14 + number * 8]).ok()?;
            u32::from_str_radix(text, 16).ok()
        };
        let numbers: Option<Vec<u32>> = (0..13).map(field).collect();
        let numbers = numbers.filter(|_| header.starts_with(b"070701")).ok_or_else(|| bad("a damaged header"))?;
        let (size, name_length) = (numbers[6] as usize, numbers[11] as usize);
        let cut = || bad("it is truncated");
        let name = bytes.get(at + HEADER..at + HEADER + name_length).ok_or_else(cut)?;
        let name = String::from_utf8_lossy(name.strip_suffix(b"\0").unwrap_or(name)).into_owned();
        let from = (at + HEADER + name_length).next_multiple_of(4);
        let content = bytes.get(from..from + size).ok_or_else(cut)?;
        at = (from + size).next_multiple_of(4);
        if name == "TRAILER!!!" {
            continue;
        }
        let kind = Kind::of_mode(numbers[1]);
        let target = (kind == Kind::Link).then(|| String::from_utf8_lossy(content).into_owned());
        let is_file = kind == Kind::File && size > 0;
        let entry = Entry {
            kind,
            mode: numbers[1] & 0o7777,
            uid: numbers[2],
            gid: numbers[3],
            size: if is_file { size as u64 } else { 0 },
            time: i64::from(numbers[5]),
            target,
            attributes: BTreeMap::new(),
            runs: if is_file { vec![(from as u64, size as u64)] } else { Vec::new() },
        };
        let path = name.trim_start_matches("./").trim_matches('/');
        let path = if path == "." { "/".to_owned() } else { format!("/{path}") };
        tree.insert(path, entry);
        if tree.len() > MAX_FILES {
            return Err(bad("it has too many files"));
        }
    }
    if bytes[at.min(bytes.len())..].iter().any(|byte| *byte != 0) {
        return Err(bad("it is truncated"));
    }
    Ok(Some(Volume { tree, bytes: Box::new(bytes) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, mode, content) in files.iter().chain([&("TRAILER!!!", 0, [].as_slice())]) {
            let (size, name_length) = (u32::try_from(content.len()).unwrap(), u32::try_from(name.len()).unwrap() + 1);
            let numbers = [1, *mode, 0, 0, 1, 7, size, 0, 0, 0, 0, name_length, 0];
            bytes.extend(b"070701");
            bytes.extend(numbers.iter().flat_map(|number| format!("{number:08X}").into_bytes()));
            bytes.extend(name.as_bytes());
            bytes.push(0);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(*content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn archives_are_read_plain_and_compressed_one_behind_another() {
        let mut bytes = archive(&[(".", 0o040_755, b""), ("usr/x", 0o100_755, b"abc")]);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend(archive(&[("./init", 0o120_777, b"usr/x")]));
        for bytes in [bytes.clone(), zstd::encode_all(bytes.as_slice(), 3).unwrap()] {
            let volume = read(&bytes).unwrap().unwrap();
            assert_eq!(volume.tree.keys().collect::<Vec<_>>(), ["/", "/init", "/usr/x"]);
            assert_eq!(volume.content(&volume.tree["/usr/x"], 10).unwrap(), b"abc");
            assert_eq!(volume.tree["/init"].target.as_deref(), Some("usr/x"));
        }
        assert!(read(b"no archive").unwrap().is_none());
        for end in 6..bytes.len() {
            let _ = read(&bytes[..end]); // no panic, wherever it is cut off
        }
        assert!(read(&bytes[..130]).is_err());
    }
}
