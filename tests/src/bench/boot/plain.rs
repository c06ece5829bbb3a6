//! The plain Debian: what one has without Livery. The profile's packages by mmdebstrap with all that Debian deems important, the
//! kernel with Debian's own initramfs, systemd-boot without a menu, a root of ext4 that is written to. The kiosk is Livery's, file for
//! file, out of the terminal's own root: only the system below it differs.

use std::{fs, path::Path, process::Command, time::Duration};

use livery_contract::{Fault, Result};

use super::{super::measured::run, DISK};
use crate::{container::root::partition, site::Site};

/// The most that a step may take.
const LONG: Duration = Duration::from_secs(1800);
/// Bytes of the ESP.
const ESP: u64 = 512 << 20;
/// Where the first partition begins.
const FIRST: u64 = 1 << 20;
/// What makes the kiosk, below the root; a file or a folder.
const KIOSK: [&str; 15] = [
    "etc/firefox",
    "etc/firefox-esr",
    "etc/livery",
    "etc/systemd/resolved.conf.d",
    "usr/bin/livery-desk",
    "usr/lib/NetworkManager/conf.d",
    "usr/lib/NetworkManager/dispatcher.d",
    "usr/lib/firefox-esr/defaults/pref/livery-autoconfig.js",
    "usr/lib/firefox-esr/livery.cfg",
    "usr/lib/livery",
    "usr/lib/locale",
    "usr/lib/mozilla",
    "usr/lib/sysusers.d/livery-kiosk.conf",
    "usr/share/dbus-1/system.d/org.livery.desk.conf",
    "usr/share/mozilla",
];

/// Makes the disk at `to`; `terminal` is a disk with the terminal's image, `folder` is for what lies in between.
///
/// # Errors
/// Where a program fails.
pub fn make(site: &Site, terminal: &Path, folder: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| broken(folder, error))?;
    let root = folder.join("root");
    let [rooted, disk, erofs] = [&root, &to.to_owned(), &folder.join("terminal")].map(|path| path.display().to_string());
    run(Command::new("rm").args(["-rf", &rooted]), LONG)?;
    let packages = packages(site)?.join(",");
    eprintln!("a plain Debian, by mmdebstrap");
    let mut debian = Command::new("mmdebstrap");
    debian.args(["--mode=root", "--variant=important", "--components=main,non-free-firmware", &format!("--include={packages}")]);
    run(debian.args(["trixie", &rooted]), LONG)?;
    eprintln!("the kiosk, out of the terminal's root");
    let (offset, length) = partition(terminal)?;
    let mounting = format!("ro,loop,offset={offset},sizelimit={length}");
    let lay = r#"set -e
        root=$1 from=$2 options=$3 terminal=$4; shift 4
        mkdir -p "$from" && mount -t erofs -o "$options" "$terminal" "$from" && trap 'cd /; umount "$from"' EXIT
        cd "$from"
        system=usr/lib/systemd/system
        for path in "$@" $system/livery-browser* $system/livery-kiosk* $system/livery-portal* $system/livery-sound* \
            usr/local/share/ca-certificates; do
            [ -e "$path" ] && cp --archive --parents "$path" "$root/"
        done
        # Absent where the profile names no time servers.
        ! [ -e usr/lib/systemd/timesyncd.conf.d ] || cp --archive usr/lib/systemd/timesyncd.conf.d "$root/etc/systemd/"
        units=$(find etc/systemd/system -path '*.wants/*' -printf '%f\n' | sort -u)
        echo LANG=fr_FR.UTF-8 > "$root/etc/locale.conf"
        rm -f "$root/etc/hosts" "$root/etc/hostname" "$root/etc/resolv.conf"
        ln -s ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
        echo 'LABEL=root / ext4 defaults 0 1' > "$root/etc/fstab"
        systemd-sysusers --root="$root"
        chroot "$root" update-ca-certificates >/dev/null
        chroot "$root" passwd -l root >/dev/null
        for unit in $units; do chroot "$root" systemctl enable "$unit" 2>/dev/null || echo "not enabled: $unit" >&2; done
        chroot "$root" systemctl set-default multi-user.target"#;
    let mut kiosk = Command::new("sh");
    kiosk.args(["-c", lay, "sh", &rooted, &erofs, &mounting, &terminal.display().to_string()]).args(KIOSK);
    run(&mut kiosk, LONG)?;
    eprintln!("its disk");
    let file = fs::File::create(to).and_then(|file| file.set_len(DISK));
    file.map_err(|error| broken(to, error))?;
    let parts = format!(
        "label: gpt\nstart={}, size={}, type=uefi\ntype=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root\n",
        FIRST / 512,
        ESP / 512
    );
    let make = r#"set -e
        printf '%s' "$1" | sfdisk --quiet "$2"
        export MTOOLS_SKIP_CHECK=1
        mformat -i "$2@@$3" -F -T "$4" ::
        mmd -i "$2@@$3" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries
        mcopy -i "$2@@$3" "$5/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
        mcopy -i "$2@@$3" "$(ls "$5"/boot/vmlinuz-*)" ::/vmlinuz
        mcopy -i "$2@@$3" "$(ls "$5"/boot/initrd.img-*)" ::/initrd
        printf 'timeout 0\n' | mcopy -i "$2@@$3" - ::/loader/loader.conf
        printf 'title Debian\nlinux /vmlinuz\ninitrd /initrd\noptions root=LABEL=root ro quiet console=ttyS0,115200 console=tty0\n' |
            mcopy -i "$2@@$3" - ::/loader/entries/debian.conf
        mkfs.ext4 -q -F -L root -d "$5" -E "offset=$6" "$2" "$7k""#;
    let first = FIRST + ESP;
    let mut disk_maker = Command::new("sh");
    disk_maker.args(["-c", make, "sh", &parts, &disk, &FIRST.to_string(), &(ESP / 512).to_string(), &rooted]);
    // The rest of the disk, but for the backup of the partition table.
    run(disk_maker.args([first.to_string(), ((DISK - first - FIRST) / 1024).to_string()]), LONG)?;
    run(Command::new("rm").args(["-rf", &rooted]), LONG).map(drop)
}

/// What the profile asks for, and what a Debian needs to boot by itself.
fn packages(site: &Site) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for (name, list) in [("terminal", "install"), ("base", "boot")] {
        let path = site.root.join(format!("profiles/{name}.toml"));
        let text = fs::read_to_string(&path).map_err(|error| broken(&path, error))?;
        let odd = || Fault::refused(format!("no packages.{list} in the profile")).at(path.display());
        let profile: toml::Table = toml::from_str(&text).map_err(|error| odd().cause(error))?;
        let packages = profile.get("packages").and_then(|packages| packages.get(list)).and_then(toml::Value::as_array);
        all.extend(packages.ok_or_else(odd)?.iter().filter_map(toml::Value::as_str).map(str::to_owned));
    }
    // Debian's own way to boot in place of ours.
    all.retain(|name| name != "dracut");
    all.extend(["initramfs-tools", "systemd-boot-efi"].map(str::to_owned));
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn broken(path: &Path, error: std::io::Error) -> Fault {
    Fault::refused("a plain Debian can't be made").at(path.display()).cause(error)
}
