//! A device applies only what is its own. On copies of a flashed terminal whose firmware enforces Secure Boot, with its TPM: with one bit of
//! its personal layer turned over, and with its disk in another device; in a variant, without a TPM. Somebody else's layer: `whole_way`.

use std::{fs, path::Path, time::Duration};

use livery_tests::{
    device::{Device, without_browser},
    fixtures::{enrolled, flashed},
    layer,
    line::Line,
    programs::{Done, Program},
    qemu::Guest,
    site::Site,
    traces::Traces,
    whole_way::{ASKS, NOTE, OPEN},
};

#[tokio::test]
async fn qemu_a_device_applies_only_what_is_its_own() {
    let site = Site::shared().await.unwrap();
    let folder = Traces::new("binding");
    let flashed = flashed::terminal(&site).await.unwrap();
    let (record, device) = (flashed.record().unwrap(), flashed.copy(&folder.join("device")).await.unwrap());
    flashed.station(&folder.join("station")).await.unwrap();
    let employee = site.employees().unwrap().remove(0);

    // What the station keeps is of use to who holds the private key, and to nobody else.
    let kept = folder.join("record.json");
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    let answer = line.client().unwrap().get(line.url(&format!("/api/v1/records/{}", employee.order))).send().await.unwrap();
    fs::write(&kept, answer.bytes().await.unwrap()).unwrap();
    drop(line);
    let key = recover(&kept, &site.keys()).await;
    assert!(key.code == Some(0) && key.stdout.trim().split('-').count() == 8, "{key:?}");
    assert!(!fs::read_to_string(&kept).unwrap().contains(key.stdout.trim()));
    let strangers = folder.join("strangers-keys");
    Program::Livery.run([Path::new("keygen"), Path::new("--out"), &strangers]).await.unwrap().good().unwrap();
    let refused = recover(&kept, &strangers).await;
    assert!(refused.code == Some(4) && refused.stderr.contains("encrypted to another key"), "{refused:?}");

    // One bit of a file in its layer turned over. Its data partition is still its own.
    let (offset, own) = layer::read(&device.disk, &record.image, &site).await.unwrap();
    let mut changed = own.clone();
    let at = changed.windows(employee.hostname.len()).position(|here| here == employee.hostname.as_bytes()).unwrap();
    changed[at] ^= 1;
    layer::put(&device.disk, offset, &changed).unwrap();
    let (mut guest, most) = start(&device, "changed").await;
    guest.until(OPEN, most).await.unwrap();
    let facts = guest.facts(most).await.unwrap();
    let applied = String::from_utf8_lossy(&changed[at..at + employee.hostname.len()]).into_owned();
    assert!(facts.hostname != employee.hostname && facts.hostname != applied, "{facts:?}");
    let kernel = guest.ask("dmesg | grep 'verity.*corrupted' | head -n 1", most).await.unwrap().stdout;
    assert!(kernel.contains("is corrupted") || !facts.layer, "{facts:?} {kernel}");
    assert!(facts.secure_boot && facts.encrypted, "{facts:?}");
    assert_eq!(guest.ask(&format!("echo kept > {NOTE} && sync"), most).await.unwrap().code, Some(0));
    // What was written to the data partition must be there next time.
    guest.switch_off(most).await.unwrap();

    // The disk in another device of the organisation: same firmware keys, another TPM.
    layer::put(&device.disk, offset, &own).unwrap();
    let mut another = Device::new(&folder.join("another"), "WT5070-9999", 1 << 20).unwrap();
    another.secure = true;
    another.disk.clone_from(&device.disk);
    enrolled::give(&site, &another.machine("moved").unwrap()).await.unwrap();
    let (mut guest, most) = start(&another, "moved").await;
    guest.until(&format!("{ASKS} > /dev/null"), most / 2).await.unwrap();
    let asks = guest.ask(ASKS, most).await.unwrap().stdout;
    assert!(asks.contains("recovery key"), "{asks}");
    let facts = guest.facts(most).await.unwrap();
    assert!(facts.secure_boot && !facts.layer && !facts.encrypted, "{facts:?}");
    // Answered as a person at the console would.
    let answer = format!(
        "printf %s '{}' | /usr/lib/systemd/systemd-reply-password 1 \"$(sed -n s/^Socket=//p /run/systemd/ask-password/ask.*)\"",
        key.stdout.trim()
    );
    guest.ask(&answer, most).await.unwrap().good().unwrap();
    guest.until(OPEN, most / 2).await.unwrap();
    assert_eq!(guest.ask(&format!("cat {NOTE}"), most).await.unwrap().stdout.trim(), "kept", "by the recovery key");
    assert!(guest.facts(most).await.unwrap().encrypted);
    guest.cut_power().await.unwrap();
}

/// The same image on a device without a TPM: the signature is all that it asks for, and it keeps nothing. That a terminal without one
/// applies its layer, `agent::secure_boot` shows too.
#[tokio::test]
async fn qemu_variant_without_a_tpm_a_device_asks_for_a_signature_alone_and_keeps_nothing() {
    let site = Site::shared().await.unwrap();
    let folder = Traces::new("no-tpm");
    let record = flashed::terminal(&site).await.unwrap().record().unwrap();
    let employee = site.employees().unwrap().remove(0);
    let plain = Device::new(&folder.join("plain"), "WT5070-8888", 1 << 20).unwrap();
    fs::remove_file(&plain.disk).unwrap();
    layer::export(&site, &record.image, &plain.disk).await.unwrap();
    let (mut guest, most) = start(&plain, "plain").await;
    guest.until("systemctl is-active -q livery-kiosk.service", most / 2).await.unwrap();
    let facts = guest.facts(most).await.unwrap();
    assert_eq!((facts.layer, facts.hostname.as_str(), facts.encrypted), (true, employee.hostname.as_str(), false), "{facts:?}");
    assert_eq!(guest.ask(ASKS, most).await.unwrap().stdout, "");
    guest.cut_power().await.unwrap();
}

async fn recover(record: &Path, keys: &Path) -> Done {
    Program::Livery.run([Path::new("recover"), record, Path::new("--keys"), keys]).await.unwrap()
}

/// Starts a device from its disk, without a network; and the most that it may take for a step.
async fn start(device: &Device, name: &str) -> (Guest, Duration) {
    let mut machine = device.machine(name).unwrap().with_probe();
    machine.memory = 3072;
    machine.network = false;
    machine.credentials.push(without_browser());
    let guest = machine.start().await.unwrap();
    let most = Duration::from_secs(240) * guest.accel().patience();
    (guest, most)
}
