//! How a device in use gets a newer image: `livery-agent`, when it looks, where, and what it puts where. Only where the profile names a
//! store (`updates.store`). What it trusts is in the initrd ([`anchors`](super::anchors)), as it depends on whose keys sign.

use livery_contract::{Fault, Result};
use livery_profile::{Profile, Role, Updates};
use serde_json::json;
use uuid::Uuid;

use super::{
    disk::{derive, device_unit},
    furnish::Furnish,
    programs::Program,
    settings::{self, UPDATES},
};

/// Units that it starts.
pub(crate) const UNITS: [&str; 2] = ["livery-bless.service", "livery-update.timer"];

/// The store's own authority, where the profile names one.
const AUTHORITIES: &str = "/usr/lib/livery/updates-ca.pem";

/// In each session (Desktop Application Autostart Specification 0.5).
const NOTICE: &str = "[Desktop Entry]\nType=Application\nName=Livery\nExec=livery-desk notice\nNoDisplay=true\n";

/// A terminal need not be switched off by anybody: it starts again where a session ends and something is ready. The browser is killed
/// at once as before; the time is for this.
const SESSION_END: &str = "[Service]\nExecStopPost=+/usr/lib/livery/take-update\nTimeoutStopSec=10s\n";

/// The partition's UUID, in the units.
const ESP: &str = "@ESP@";

/// The EFI system partition, mounted while somebody wants it (`StopWhenUnneeded=`): what is not mounted is not left half-written. No start
/// waits for it.
const MOUNT: &str = "[Unit]\nDescription=EFI system partition\nDefaultDependencies=no\nConflicts=umount.target\nBefore=umount.target\n\
    Wants=livery-esp-fsck.service\nAfter=livery-esp-fsck.service multi-user.target\nStopWhenUnneeded=yes\n\n\
    [Mount]\nWhat=/dev/disk/by-partuuid/@ESP@\nWhere=/efi\nType=vfat\nOptions=umask=0077,nodev,nosuid,noexec\n";

/// Gets back the clusters that a power cut has left to no file. Not `systemd-fsck@.service`, which calls for `emergency.target` where an
/// error is left: a device whose partition can't be mended still starts, and gets as far as it gets.
const FSCK: &str = "[Unit]\nDescription=File system check of the EFI system partition\nAfter=multi-user.target\n\n\
    [Service]\nType=oneshot\nExecStart=-/usr/sbin/fsck.vfat -a /dev/disk/by-partuuid/@ESP@\n";

/// As long as `livery-bless.service` may take. With systemd's own 90 s it would not be started at all where so much is going on that the
/// disk is known late, and a newer image that is up would not be kept.
const PATIENCE: &str = "[Unit]\nJobRunningTimeoutSec=10min\n";

/// Writes its files.
///
/// # Errors
/// Exit 1 where something can't be written.
pub(crate) fn furnish(
    furnish: &Furnish,
    profile: &Profile,
    updates: &Updates,
    seed: Uuid,
    [agent, desk]: [&Program; 2],
) -> Result<()> {
    let Some(version) = &profile.version else {
        return Err(Fault::internal("a profile with updates and without a version passed its check"));
    };
    furnish.lay(&UPDATES)?;
    furnish.file_with_mode("usr/bin/livery-agent", agent.bytes(), 0o755)?;
    match profile.role {
        Role::Terminal { .. } => {
            furnish.file("usr/lib/systemd/system/livery-browser.service.d/60-livery-update.conf", SESSION_END)?
        }
        Role::Laptop { .. } | Role::Agent(_) => {
            furnish.file_with_mode("usr/bin/livery-desk", desk.bytes(), 0o755)?;
            furnish.file("etc/xdg/autostart/livery-notice.desktop", NOTICE)?;
        }
    }
    furnish.folder("efi")?;
    let esp = derive(seed, "esp");
    furnish.file("usr/lib/systemd/system/efi.mount", MOUNT.replace(ESP, &esp.to_string()))?;
    furnish.file("usr/lib/systemd/system/livery-esp-fsck.service", FSCK.replace(ESP, &esp.to_string()))?;
    furnish.file(&format!("usr/lib/systemd/system/{}.d/50-livery-patience.conf", device_unit(esp)), PATIENCE)?;
    let pair = |root: &str, verity: &str| json!({"root": derive(seed, root), "verity": derive(seed, verity)});
    furnish.json(
        "usr/lib/livery/updates.json",
        &json!({
            "image": format!("{}@{version}", profile.name),
            "store": updates.store,
            "authorities": settings::vouchers(furnish, &updates.authorities, AUTHORITIES)?,
            "esp": esp,
            "slots": [pair("root", "root-verity"), pair("root-b", "root-verity-b")],
            // What must be up before a newer image is kept.
            "units": settings::screen(&profile.role).iter().chain(&["NetworkManager.service"]).collect::<Vec<_>>(),
        }),
    )
}
