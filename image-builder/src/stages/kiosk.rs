//! A terminal's screen and browser: Firefox ESR under sway, on the Citrix store's page, closed to all else, with a status bar.
//!
//! What is the same for all lies in `files/terminal`: units, sway's configuration, AutoConfig, the desk's extension. Here is what
//! hangs on the profile. How they work together: `livery-desk`'s library.

use livery_contract::Result;
use livery_profile::{Desk, Kiosk};
use serde_json::json;

use super::{furnish::Furnish, policies, programs::Program, settings::TERMINAL};

/// Units that a terminal starts.
pub(crate) const UNITS: [&str; 10] = [
    "livery-kiosk.service",
    "livery-browser.service",
    "livery-sound@pipewire.service",
    "livery-sound@pipewire-pulse.service",
    "livery-sound@wireplumber.service",
    "NetworkManager.service",
    "NetworkManager-dispatcher.service",
    "seatd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
];

/// A stick is mounted at `/run/media/system/LABEL` (systemd-mount(1)) for the kiosk's user alone, and taken away when it is pulled out:
/// Citrix's client maps it into the remote desktop. Nothing on it is ever run here.
const STICKS: &str = "\
# Of a terminal whose profile says kiosk.usb-storage.
ACTION==\"add\", SUBSYSTEM==\"block\", ENV{ID_BUS}==\"usb\", ENV{ID_FS_TYPE}==\"vfat|exfat|ntfs\", \
RUN{program}+=\"/usr/bin/systemd-mount --no-block --automount=no --collect --owner=kiosk --options=nosuid,nodev,noexec,umask=0077 $devnode\"
";

/// Writes the kiosk's files; `data` is where the data partition is mounted.
///
/// # Errors
/// Exit 1 where something can't be written.
pub(crate) fn furnish(furnish: &Furnish, desk: &Desk, kiosk: &Kiosk, data: Option<&str>, program: &Program) -> Result<()> {
    furnish.lay(&TERMINAL)?;
    furnish.file_with_mode("usr/bin/livery-desk", program.bytes(), 0o755)?;
    furnish.json("etc/livery/desk.json", &settings(desk, kiosk))?;
    furnish.file("etc/livery/sway.d/50-profile.conf", sway(desk, kiosk))?;
    furnish.json("etc/firefox/policies/policies.json", &policies::session(desk, kiosk))?;
    // Always there: the portal's unit names it.
    furnish.json("etc/livery/portal-policies.json", &policies::portal(desk))?;
    if let Some(check) = &kiosk.connectivity_check {
        // Of an http URL without quotes or spaces: `Url` has encoded them.
        furnish.file("etc/livery/portal.env", format!("LIVERY_PORTAL={check}\n"))?;
        let connectivity = format!("[connectivity]\nuri={check}\nresponse=NetworkManager is online\ninterval=60\n");
        furnish.file("usr/lib/NetworkManager/conf.d/60-livery-connectivity.conf", connectivity)?;
    }
    if let Some(data) = data {
        keep_networks(furnish, data)?;
    }
    if kiosk.usb_storage {
        furnish.file("usr/lib/udev/rules.d/72-livery-usb-storage.rules", STICKS)
    } else {
        // As modprobe.d(5) has it: nothing loads them, by whatever name.
        let none = "install usb_storage /bin/false\ninstall uas /bin/false\n";
        furnish.file("usr/lib/modprobe.d/livery-usb-storage.conf", none)
    }
}

/// Networks that the employee connected to outlive the device's switching off: on the data partition, which only this device opens.
fn keep_networks(furnish: &Furnish, data: &str) -> Result<()> {
    let place = format!("{data}/livery/networks");
    furnish.file("usr/lib/NetworkManager/conf.d/60-livery-keep.conf", format!("[keyfile]\npath={place}\n"))?;
    furnish.file("usr/lib/tmpfiles.d/livery-networks.conf", format!("d {place} 0700 root root -\n"))?;
    let after = format!("[Unit]\nRequiresMountsFor={data}\nAfter=systemd-tmpfiles-setup.service\n");
    furnish.file("usr/lib/systemd/system/NetworkManager.service.d/livery.conf", after)
}

/// What `livery-desk` reads.
fn settings(desk: &Desk, kiosk: &Kiosk) -> serde_json::Value {
    json!({"home": kiosk.url, "sign-out": kiosk.sign_out, "client": desk.citrix.client.is_some()})
}

/// What of sway's configuration hangs on the profile.
fn sway(desk: &Desk, kiosk: &Kiosk) -> String {
    let xwayland = if desk.citrix.client.is_some() { "enable" } else { "disable" };
    let idle = kiosk.idle * 60;
    // A minute after the session's end the screens go dark.
    let dark = idle + 60;
    format!(
        "xwayland {xwayland}\n\
         output * scale {}\n\
         exec swayidle -w timeout {idle} '/usr/bin/livery-desk leave' \
         timeout {dark} 'swaymsg \"output * power off\"' resume 'swaymsg \"output * power on\"'\n",
        kiosk.scale
    )
}
