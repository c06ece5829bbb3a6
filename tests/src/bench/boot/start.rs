//! One start of a device: seconds from power-on to the sign-in page, and what systemd says of them.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    path::Path,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use serde::Serialize;
use tokio::time::sleep;

use crate::{
    gateway::Gateway,
    qemu::{Bus, Credential, Disk, Machine, machine::Service},
    site::GATEWAY,
};

/// Where a device finds the Gateway.
const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 102), 443);
/// The most for one start, on an emulated processor.
const MOST: Duration = Duration::from_secs(900);

/// What one start took, in seconds: the whole, and its parts one after the other.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Start {
    /// From power-on to the page, drawn.
    pub page: f64,
    /// The firmware.
    pub firmware: f64,
    /// What the firmware starts: it loads kernel and initrd.
    pub loader: f64,
    /// The kernel, until its first program.
    pub kernel: f64,
    /// The initrd, where systemd runs in it; else its time is the kernel's.
    pub initrd: f64,
    /// From the root's first program until the kiosk's screen is up.
    pub screen: f64,
    /// And from there to the page.
    pub browser: f64,
    /// What the processors were busy for, all together, since the kernel began.
    pub busy: f64,
    /// What was read from the disk, in MiB.
    pub read: f64,
    /// What took the longest, by `systemd-analyze blame`.
    pub blame: Vec<String>,
    /// Who had the processors the longest, by control group.
    pub processors: Vec<String>,
}

/// Starts what is on the disk, and cuts the power when it has told all.
///
/// # Errors
/// Where no page comes in time.
pub async fn start(name: &str, folder: &Path, disk: &Path, gateway: &Gateway) -> Result<Start> {
    let mut machine = Machine::new(name, folder)?.with_probe();
    machine.memory = 3072;
    machine.system.uuid = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string();
    machine.disks.push(Disk::new(disk, Bus::Nvme).serial("BOOT0001"));
    machine.services.push(Service { at: AT, on: gateway.address() });
    machine.credentials.push(Credential::new("network.hosts", format!("127.0.0.1 localhost\n{} {GATEWAY}\n", AT.ip())));
    // It has told its station long ago: neither does again.
    let never = "[Unit]\nConditionPathExists=/nowhere\n";
    machine.credentials.push(Credential::new("systemd.unit-dropin.livery-confirm.service", never));
    let before = gateway.beacons().len();
    let mut guest = machine.start().await?;
    guest.wait_for("the end of the firmware's part", "BdsDxe: starting", MOST).await?;
    let firmware = guest.elapsed().as_secs_f64();
    let begun = Instant::now();
    let page = loop {
        if gateway.beacons().len() > before {
            break guest.elapsed().as_secs_f64();
        }
        if guest.ended()?.is_some() || begun.elapsed() > MOST {
            let path = folder.join(format!("{name}.png"));
            let _ = guest.screenshot(&path).await;
            return Err(guest.failed(&format!("no page within {} s", MOST.as_secs())).at(path.display()));
        }
        sleep(Duration::from_millis(100)).await;
    };
    let mut moments = BTreeMap::new();
    let (mut blame, mut processors) = (Vec::new(), Vec::new());
    for line in guest.ask(WHEN, MOST).await?.good()?.stdout.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let words = || value.split_whitespace().collect::<Vec<_>>().join(" ");
        match key {
            "blame" => blame.push(words()),
            "processors" => processors.push(words()),
            _ => {
                let units = [("initrd", 1e6), ("userspace", 1e6), ("screen", 1e6), ("busy", 100.0), ("read", 2048.0)];
                let known = units.into_iter().find(|(name, _)| *name == key);
                known.and_then(|(name, unit)| moments.insert(name, value.trim().parse::<f64>().ok()? / unit));
            }
        }
    }
    let uptime = guest.ask("cut -d ' ' -f 1 /proc/uptime", MOST).await?.good()?.stdout;
    moments.insert("kernel", guest.elapsed().as_secs_f64() - uptime.trim().parse::<f64>().unwrap_or(0.0));
    guest.cut_power().await?;
    // Moments since power-on, the kernel's; and since the kernel began, the others.
    let of = |name: &str| moments.get(name).copied().unwrap_or(0.0);
    let (kernel, userspace, screen) = (of("kernel"), of("userspace"), of("screen"));
    if kernel < firmware || userspace <= 0.0 || screen < userspace || page < kernel + screen {
        return Err(Fault::internal(format!("{name}: moments that can't be: page {page}, firmware {firmware}, {moments:?}")));
    }
    let began = Some(of("initrd")).filter(|initrd| *initrd > 0.0).unwrap_or(userspace);
    Ok(Start {
        page,
        firmware,
        loader: kernel - firmware,
        kernel: began,
        initrd: userspace - began,
        screen: screen - userspace,
        browser: page - kernel - screen,
        busy: of("busy"),
        read: of("read"),
        blame,
        processors,
    })
}

/// What systemd and the kernel say, once the browser is up: moments in microseconds since the kernel began; what the processors were busy
/// for, in hundredths of a second (Linux: Documentation/filesystems/proc.rst); what was read, in sectors of 512 bytes
/// (admin-guide/iostats.rst); of each control group its name, without the path, and milliseconds.
const WHEN: &str = r#"say() { printf '%s=%s\n' "$1" "$2"; }
of() { systemctl show --value --property "$2" "$1"; }
for i in $(seq 900); do
    up=$(of livery-browser.service ActiveEnterTimestampMonotonic)
    [ "${up:-0}" -gt 0 ] && break
    sleep 1
done
read -r _ user nice system _ _ irq softirq _ < /proc/stat
read -r _ _ sectors _ < /sys/block/nvme0n1/stat
groups=$(cd /sys/fs/cgroup && grep -H ^usage_usec init.scope/cpu.stat system.slice/*/cpu.stat)
manager() { busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager "$1" | cut -d ' ' -f 2; }
say initrd "$(manager InitRDTimestampMonotonic)"
say userspace "$(manager UserspaceTimestampMonotonic)"
say screen "$(of livery-kiosk.service ActiveEnterTimestampMonotonic)"
say busy "$((user + nice + system + irq + softirq))"
say read "$sectors"
echo "$groups" | sed -E 's!(.*/)?([^/]+)/cpu\.stat:usage_usec!\2!' | sort -k 2 -n -r | head -n 10 |
    while read -r group micros; do say processors "$((micros / 1000)) ms $group"; done
systemd-analyze blame --no-pager | grep -v '\.device$' | head -n 10 | while read -r line; do say blame "$line"; done
"#;
