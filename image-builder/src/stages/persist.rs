//! What a laptop keeps from one start to the next. Its root forgets all: so this list is all that lies on the data partition, by
//! bind mounts of `/etc/fstab` that systemd makes, the folders on the partition too.
//!
//! Not in it, since nothing is lost: the kernel's random seed (the firmware and the processor give one at each start), the clock's file (the
//! laptop has a clock, and no start is earlier than the image), the log.

/// The folder on the data partition that is not a user's.
const FOLDER: &str = ".device";

/// A folder that persists from one start to the next.
struct Persisted {
    /// Its name on the data partition.
    name: &'static str,
    /// Where it is mounted.
    at: &'static str,
    /// The unit that must not start before, and whether it may start without.
    before: &'static str,
    without: bool,
}

const PERSISTED: [Persisted; 5] = [
    // The account and the key that homed signs it with: without them nobody signs in, and nothing is written that would be lost.
    Persisted { name: "accounts", at: "/var/lib/systemd/home", before: "systemd-homed.service", without: false },
    // Networks that were joined, their passwords, and which of them are known.
    Persisted { name: "networks", at: "/etc/NetworkManager/system-connections", before: "NetworkManager.service", without: true },
    Persisted { name: "network-state", at: "/var/lib/NetworkManager", before: "NetworkManager.service", without: true },
    // Printers that were added.
    Persisted { name: "printers", at: "/var/lib/livery/printers", before: "cups.service", without: true },
    // Which of the power profiles was chosen.
    Persisted { name: "power", at: "/var/lib/power-profiles-daemon", before: "power-profiles-daemon.service", without: true },
];

/// Where they are mounted.
pub(crate) fn places() -> impl Iterator<Item = &'static str> {
    PERSISTED.iter().map(|folder| folder.at)
}

/// Lines for `/etc/fstab`, where the data partition is mounted at `data`.
pub(crate) fn fstab(data: &str) -> String {
    let line = |from: &str, folder: &Persisted| {
        let wish = if folder.without { "wanted-by" } else { "required-by" };
        let Persisted { at, before, .. } = folder;
        format!("{data}/{from} {at} none bind,nofail,x-systemd.{wish}={before},x-systemd.before={before} 0 0\n")
    };
    let mut lines: String = PERSISTED.iter().map(|folder| line(&format!("{FOLDER}/{}", folder.name), folder)).collect();
    if data != "/home" {
        lines.insert_str(0, &line("home", &Persisted { name: "", at: "/home", before: "systemd-homed.service", without: false }));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_never_without_its_partition() {
        let lines = fstab("/home");
        let account = lines.lines().find(|line| line.contains("/var/lib/systemd/home")).unwrap_or_default();
        assert_eq!(
            account,
            "/home/.device/accounts /var/lib/systemd/home none \
             bind,nofail,x-systemd.required-by=systemd-homed.service,x-systemd.before=systemd-homed.service 0 0"
        );
        assert!(!lines.contains(" /home none"), "{lines}");
        assert!(fstab("/srv").starts_with("/srv/home /home none bind,nofail,x-systemd.required-by=systemd-homed.service"));
        assert_eq!(lines.lines().count(), places().count());
    }
}
