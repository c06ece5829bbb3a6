//! A USB stick, as a person plugs one into a running device; and what the device makes of it, asked by a probe.

use std::{fs::File, path::Path, process::Command};

use livery_contract::{Fault, Result};
use serde_json::json;

use crate::qemu::monitor::Monitor;

/// What it is called.
pub const LABEL: &str = "VACANCES";
/// What lies on it.
pub const FILE: &str = "photo.txt";
/// Its bytes.
const SIZE: u64 = 32 << 20;

/// Makes one, of FAT as sticks are, in this file, and plugs it in. The guest must have USB ports.
///
/// # Errors
/// Where it can't be made, or QEMU does not take it.
pub async fn plug_in(guest: &Monitor, file: &Path) -> Result<()> {
    let broken = |error| Fault::internal("a stick can't be made").at(file.display()).cause(error);
    File::create(file).and_then(|file| file.set_len(SIZE)).map_err(broken)?;
    let file = file.canonicalize().map_err(broken)?.display().to_string();
    let make = r#"mformat -i "$1" -v "$2" :: && echo "as it was" | mcopy -i "$1" - "::$3""#;
    let made = Command::new("sh")
        .args(["-c", make, "sh", &file, LABEL, FILE])
        .output()
        .map_err(|error| Fault::internal("a stick can't be made").cause(error))?;
    if !made.status.success() {
        return Err(Fault::internal(format!("a stick can't be made: {}", String::from_utf8_lossy(&made.stderr))));
    }
    let node = json!({ "driver": "raw", "node-name": "stick", "file": { "driver": "file", "filename": file } });
    guest.command("blockdev-add", node).await?;
    let device = json!({ "driver": "usb-storage", "id": "stick", "bus": "usb.0", "removable": true, "drive": "stick" });
    guest.command("device_add", device).await.map(drop)
}

/// A part of a shell script, as root, in which `say KEY VALUE` tells, once a stick is plugged in: `stick` is how many disks the kernel
/// has from USB, and what the kiosk's user finds on them once something is there, or after this many seconds.
pub fn script(patience: u32) -> String {
    format!(
        r#"say stick "none"
for i in $(seq 900); do grep -qsx 08 /sys/bus/usb/devices/*/bInterfaceClass && break; sleep 1; done
for i in $(seq {patience}); do [ -e /run/media/system/{LABEL}/{FILE} ] && break; sleep 1; done
say stick "$({})"
"#,
        look()
    )
}

/// A command that succeeds once what is on the stick is there.
pub fn is_mounted() -> String {
    format!("[ -e /run/media/system/{LABEL}/{FILE} ]")
}

/// A command that prints how many disks the kernel has from USB, and what the kiosk's user finds on them.
pub fn look() -> String {
    format!(
        "echo \"disks=$(ls -d /sys/block/sd* 2> /dev/null | wc -l) \
         content=$(runuser -u kiosk -- cat /run/media/system/{LABEL}/{FILE} 2> /dev/null)\""
    )
}
