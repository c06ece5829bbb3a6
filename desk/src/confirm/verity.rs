//! The root hash that the kernel itself checks a device by: of dm-verity's table, not of what a command line or a file says.

use std::time::Duration;

use livery_contract::Digest;
use tokio::process::Command;

use super::mounts::Mapped;

/// Where programs of the system are.
const TOOL: &str = "/usr/sbin/dmsetup";
/// What device mapper's names of such devices begin with (libcryptsetup).
const KIND: &str = "CRYPT-VERITY-";

/// The root hash of a device that is under dm-verity; `None` where it is not, or the kernel does not say.
pub(crate) async fn root_hash(mapped: &Mapped) -> Option<Digest> {
    if !mapped.uuid.starts_with(KIND) {
        return None;
    }
    let run = Command::new(TOOL).args(["table", &mapped.name]).env_clear().kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(60), run).await.ok()?.ok()?;
    if !output.status.success() {
        return None;
    }
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// One line (kernel: admin-guide/device-mapper/verity.rst): `START LENGTH verity VERSION DATA HASH BLOCK BLOCK BLOCKS START ALGORITHM
/// DIGEST SALT …`.
fn parse(table: &str) -> Option<Digest> {
    let mut lines = table.lines();
    let fields: Vec<&str> = lines.next()?.split(' ').collect();
    match (fields.as_slice(), lines.next()) {
        ([_, _, "verity", _, _, _, _, _, _, _, "sha256", digest, ..], None) => digest.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_stands_in_its_place_or_is_none() {
        let digest = Digest::of(b"root");
        let line = format!("0 1871872 verity 1 259:4 259:5 4096 4096 233984 1 sha256 {digest} 5f00");
        assert_eq!(parse(&format!("{line}\n")), Some(digest));
        let bad = [
            String::new(),
            line.replace("sha256", "sha512"),
            line.replace("verity", "linear"),
            format!("{line}\n{line}\n"),
            line[..60].into(),
        ];
        for bad in bad {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }
}
