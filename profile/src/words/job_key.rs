//! The public key that a station signs jobs with.

use std::path::Path;

use livery_contract::envelope::PublicKey;

use crate::report::{problem::Problem, source::read_text};

/// A job-signing public key from a file, as `livery-station keygen` writes it: 64 hexadecimal digits.
pub(crate) fn read(path: &Path) -> Result<PublicKey, Problem> {
    let text = read_text(path).map_err(|why| {
        Problem::unreadable(path, &why)
            .help("write the key's 64 hexadecimal digits, or the path of job.pub from this profile's folder")
    })?;
    if text.contains("PRIVATE KEY") {
        return Err(
            Problem::new("the file holds a private key").help("name job.pub, the public half; job.key stays at the station")
        );
    }
    text.parse().map_err(|_| {
        Problem::new(format!("{} is not an Ed25519 public key", path.display()))
            .help("it holds 64 hexadecimal digits: job.pub of `livery-station keygen`")
    })
}
