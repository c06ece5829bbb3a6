//! What is one device's own, and how that is known: the personal layer's signature, and the data partition's recovery key.
//!
//! ```text
//! livery personalise:  files of one employee -> erofs -> dm-verity tree -> signed root hash   = the identity partition
//! livery-agent run:    root hash sealed to this device's TPM; data partition made, its recovery key encrypted to IT
//! device, each boot:   signature good, and root hash the sealed one?  -> laid over /etc, otherwise not applied
//! livery recover:      record of the station + IT's private key -> the recovery key
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`keys`] | the two key pairs behind that |
//! | [`verity`] | dm-verity's hash tree |
//! | [`ddi`] | a personal layer as a signed disk image of its own, which systemd checks and mounts |
//! | [`recover`] | `livery recover` |

pub(crate) mod ddi;
pub(crate) mod keys;
pub(crate) mod recover;
pub(crate) mod verity;

/// A file of at most `most` bytes.
fn read(path: &std::path::Path, most: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(std::io::Error::other(format!("it has more than {most} bytes"))) } else { Ok(bytes) }
}
