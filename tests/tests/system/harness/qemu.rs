//! The virtual device itself, before it is trusted to judge anything: firmware starts, the screen can be seen, keys arrive,
//! power goes off, and nothing is left behind.

use std::{fs, path::Path, time::Duration};

use livery_tests::{
    picture::Picture,
    qemu::{Bus, Disk, Machine},
};
use tokio::time::{sleep, timeout};

fn machine(folder: &Path) -> Machine {
    let disk = folder.join("disk.raw");
    fs::File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    let mut machine = Machine::new("bare", folder).unwrap();
    machine.memory = 512;
    // What firmware does on a network would only take time.
    machine.network = false;
    machine.disks.push(Disk::new(disk, Bus::Nvme).serial("NVME0001"));
    machine
}

#[tokio::test]
async fn qemu_firmware_screen_keys_and_power() {
    let folder = tempfile::tempdir().unwrap();
    let machine = machine(folder.path());
    let mut guest = machine.start().await.unwrap();
    // A blank disk: OVMF says that it tries it, and falls through to its shell or menu.
    guest.wait_for("the firmware's boot manager", "BdsDxe", Duration::from_secs(120)).await.unwrap();
    let picture = folder.path().join("screen.png");
    // It says so on the serial port first.
    let drawn = async {
        loop {
            guest.screenshot(&picture).await.unwrap();
            let picture = Picture::read(&picture).unwrap();
            if picture.width >= 640 && picture.colours() > 1 {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
    };
    timeout(Duration::from_secs(60), drawn).await.unwrap();
    guest.monitor().keys(&["ret"]).await.unwrap();
    assert!(guest.monitor().keys(&["no-such-key"]).await.is_err());
    assert!(guest.wait_for("a text that never comes", "no such text", Duration::from_secs(1)).await.is_err());
    guest.monitor().cut_power().await.unwrap();
    guest.wait_exit(Duration::from_secs(20)).await.unwrap();
    let fault = guest.wait_for("anything", "no such text", Duration::from_secs(5)).await.unwrap_err();
    assert!(fault.to_string().contains("went off"), "{fault}");
    assert!(machine.variables().exists(), "the firmware's variables outlive a run");
}

#[tokio::test]
async fn qemu_is_gone_when_its_guest_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let guest = machine(folder.path()).start().await.unwrap();
    let needle = folder.path().display().to_string();
    assert!(running(&needle));
    drop(guest);
    for _ in 0..100 {
        if !running(&needle) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("QEMU is still there");
}

#[tokio::test]
async fn qemu_says_why_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = machine(folder.path());
    machine.disks.push(Disk::new(folder.path().join("absent.raw"), Bus::Virtio));
    let fault = machine.start().await.unwrap_err();
    assert!(fault.to_string().contains("absent.raw"), "{fault}");
}

/// Whether a QEMU with this text in its command line is alive.
fn running(needle: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let text = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.contains("qemu-system") && text.contains(needle)
    })
}
