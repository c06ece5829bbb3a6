//! A device applies only what is its own. On virtual devices whose firmware enforces Secure Boot, with a TPM each: from the maker in
//! setup mode, given the organisation's keys by the agent, flashed over the line, started; then with somebody else's personal layer, and
//! with its disk in another device.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use livery_contract::{OrderId, Reference};
use livery_tests::{
    device::{Device, STATION_AT, hosts, without_browser},
    layer,
    line::Line,
    programs::Program,
    qemu::{Credential, Guest, machine::Service},
    site::{STATION, Site},
};

/// What every line of the probe begins with.
const PROBE: &str = "LIVERY-PROBE";
const DISK: u64 = 4 << 30;

#[tokio::test]
async fn qemu_a_device_applies_only_what_is_its_own() {
    let site = Site::shared().await.unwrap();
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../out/tests/binding"));
    let _ = fs::remove_dir_all(&folder);
    let master = site.build_with_data().await.unwrap();
    site.personalise(&master, &site.roster()).await.unwrap();
    site.medium().await.unwrap();
    let mut employees = site.employees().unwrap();
    let (other, employee) = (employees.remove(1), employees.remove(0));

    // At the line: keys first, then all the rest under them.
    let line = Line::start(&site, &folder.join("station"), Some((&site.roster(), &master))).await.unwrap();
    let mut device = Device::new(&folder.join("device"), &employee.serial.unwrap(), DISK).unwrap();
    device.secure = true;
    device.take_keys(&site.stick()).await.unwrap();
    let (record, _) = device.flash_well(&site.stick(), &line, &employee.order).await.unwrap();
    let bound = record.bound.unwrap();
    assert!(bound.identity.is_some() && bound.recovery.is_some(), "{bound:?}");
    let reasons: Vec<&str> = record.changed_after.iter().map(|change| change.reason.as_str()).collect();
    assert!(["TPM", "LUKS2"].iter().all(|word| reasons.iter().any(|reason| reason.contains(word))), "{reasons:?}");

    // What the station keeps is of use to who holds the private key, and to nobody else.
    let kept = folder.join("record.json");
    let answer = line.client().unwrap().get(line.url(&format!("/api/v1/records/{}", employee.order))).send().await.unwrap();
    fs::write(&kept, answer.bytes().await.unwrap()).unwrap();
    let key = recover(&kept, &site.keys()).await;
    assert!(key.code == Some(0) && key.stdout.trim().split('-').count() == 8, "{key:?}");
    assert!(!fs::read_to_string(&kept).unwrap().contains(key.stdout.trim()));
    let strangers = folder.join("strangers-keys");
    Program::Livery.run([Path::new("keygen"), Path::new("--out"), &strangers]).await.unwrap().good().unwrap();
    let refused = recover(&kept, &strangers).await;
    assert!(
        refused.code == Some(4) && refused.stderr.contains("another") | refused.stderr.contains("not encrypted"),
        "{refused:?}"
    );

    // At the employee's desk. A terminal gives its disk 20 s to show the data partition; an emulated one beside others may need more.
    let patience = [Credential::new("systemd.unit-dropin.dev-disk-.device~90-patience", "[Unit]\nJobRunningTimeoutSec=10min\n")];
    let tells = Some((&line, &employee.order, "in-use"));
    let said = boot(&device, "own", &patience, tells).await;
    assert_eq!((said["secure-boot"].as_str(), said["hostname"].as_str()), ("1", employee.hostname.as_str()), "{said:?}");
    assert_eq!((said["layer"].as_str(), said["data"].as_str(), said["asks"].as_str()), ("applied", "open", ""), "{said:?}");
    assert_eq!((said["note"].as_str(), said["kiosk"].as_str()), ("", "active"), "a new file system: {said:?}");
    assert_eq!(said["told"], "", "{said:?}");
    // By the processor's own instructions, as far as QEMU's has them: the kernel's plain C takes several times as long.
    for (what, marks) in [("sums", ["-ni", "-avx2", "-ssse3"]), ("ciphers", ["aesni", "vaes", "avx"])] {
        assert!(marks.iter().any(|mark| said[what].contains(mark)) && !said[what].contains("generic"), "{said:?}");
    }

    // The same image on a device without a TPM: the signature is all that it asks for, and it keeps nothing.
    let plain = Device::new(&folder.join("plain"), "WT5070-8888", 1 << 20).unwrap();
    fs::remove_file(&plain.disk).unwrap();
    layer::export(&site, &record.image, &plain.disk).await.unwrap();
    let said = boot(&plain, "plain", &[without_browser()], None).await;
    assert_eq!((said["layer"].as_str(), said["hostname"].as_str()), ("applied", employee.hostname.as_str()), "{said:?}");
    assert_eq!((said["data"].as_str(), said["asks"].as_str(), said["kiosk"].as_str()), ("closed", "", "active"), "{said:?}");
    fs::remove_file(&plain.disk).unwrap();

    // Somebody else's layer, signed like this one.
    let own = layer::read(&device.disk, &record.image, &site).await.unwrap();
    let export = folder.join("other.raw");
    let reference = Reference { order: Some(other.order.clone()), ..master.clone() };
    layer::export(&site, &reference, &export).await.unwrap();
    let (offset, theirs) = layer::read(&export, &reference, &site).await.unwrap();
    fs::remove_file(&export).unwrap();
    assert_ne!(own.1, theirs);
    layer::put(&device.disk, offset, &theirs).unwrap();
    let said = boot(&device, "swapped", &patience, Some((&line, &employee.order, "amiss"))).await;
    assert_eq!((said["layer"].as_str(), said["data"].as_str()), ("not applied", "open"), "{said:?}");
    assert!(![&employee.hostname, &other.hostname].contains(&&said["hostname"]), "{said:?}");
    assert_eq!(said["note"], employee.order.as_str(), "what the first start left on the data partition");
    // What the first start told it need not have told again; this is news, and the station says which.
    assert_eq!(said["told"].len(), 64, "{said:?}");
    let usage = line.usage(&employee.order).await.unwrap();
    let amiss: Vec<&str> = usage["amiss"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    // The system too, as the service that refused the layer has failed.
    assert!(["layer", "order", "hostname", "system"].iter().all(|what| amiss.contains(what)), "{usage}");
    assert!(!["image", "data", "screen", "page"].iter().any(|what| amiss.contains(what)), "{usage}");

    // Its own again, one bit of a file turned over.
    let mut changed = own.1.clone();
    let at = changed.windows(employee.hostname.len()).position(|here| here == employee.hostname.as_bytes()).unwrap();
    changed[at] ^= 1;
    layer::put(&device.disk, offset, &changed).unwrap();
    let [patience] = patience;
    let said = boot(&device, "changed", &[patience.clone(), without_browser()], None).await;
    assert_ne!(said["hostname"], employee.hostname, "{said:?}");
    assert!(said["kernel"].contains("is corrupted") || said["layer"] == "not applied", "{said:?}");

    // The disk in another device of the organisation: same firmware keys, another TPM.
    layer::put(&device.disk, offset, &own.1).unwrap();
    let mut another = Device::new(&folder.join("another"), "WT5070-9999", 1 << 20).unwrap();
    another.secure = true;
    another.disk.clone_from(&device.disk);
    let variables = |device: &Device| device.machine("x").unwrap().variables();
    fs::copy(variables(&device), variables(&another)).unwrap();
    let answers = Credential::new("probe.key", key.stdout.trim());
    let said = boot(&another, "moved", &[patience, without_browser(), answers], None).await;
    assert_eq!((said["secure-boot"].as_str(), said["layer"].as_str()), ("1", "not applied"), "{said:?}");
    assert!(said["asks"].contains("recovery key"), "{said:?}");
    assert_eq!((said["data"].as_str(), said["note"].as_str()), ("open", employee.order.as_str()), "by the recovery key: {said:?}");
}

async fn recover(record: &Path, keys: &Path) -> livery_tests::programs::Done {
    Program::Livery.run([Path::new("recover"), record, Path::new("--keys"), keys]).await.unwrap()
}

/// Whom a device tells: the station, of this order, and what the station then says of it.
type Tells<'a> = Option<(&'a Line, &'a OrderId, &'a str)>;

/// Starts a device from its disk, with a network that leads to the station where it shall tell it; what it says of itself.
async fn boot(device: &Device, name: &str, credentials: &[Credential], tells: Tells<'_>) -> BTreeMap<String, String> {
    let mut machine = device.machine(name).unwrap();
    machine.memory = 3072;
    machine.network = tells.is_some();
    if let Some((line, ..)) = tells {
        machine.services.push(Service { at: STATION_AT, on: line.address() });
        machine.credentials.push(hosts(STATION_AT, STATION));
    }
    machine.credentials.extend(probe());
    machine.credentials.extend_from_slice(credentials);
    let mut guest: Guest = machine.start().await.unwrap();
    let most = Duration::from_secs(240) * guest.accel().patience();
    guest.wait_for("its own word", &format!("{PROBE} end="), most).await.unwrap();
    let console = guest.console().unwrap();
    if let Some((line, order, state)) = tells {
        println!("{name}: {}", line.hears(order, state, most).await.unwrap());
        // It notes that after the station's answer, as the least of what it does.
        guest.wait_for("its note of what the station knows", &format!("{PROBE} noted="), most).await.unwrap();
    }
    // What was written to the data partition must be there next time.
    guest.switch_off(most).await.unwrap();
    let lines = console.lines().filter_map(|line| line.split_once(PROBE)?.1.trim().split_once('='));
    lines.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

/// A unit that asks the running system. Asked for a recovery key, it answers as a person at the console would, where it has one.
fn probe() -> Vec<Credential> {
    let unit = "[Unit]\nDescription=Probe\n\
        [Service]\nType=exec\nStandardOutput=file:/dev/ttyS0\nStandardError=null\nImportCredential=probe.*\n\
        ExecStart=/bin/sh ${CREDENTIALS_DIRECTORY}/probe.script\n";
    let script = format!(
        r#"say() {{ echo "{PROBE} $1=$2"; }}
echo
say secure-boot "$(od -An -tu1 -j4 -N1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c | tr -d ' \n')"
for i in $(seq 200); do
    mountpoint -q /srv && break
    systemctl is-failed -q srv.mount systemd-cryptsetup@data.service && break
    systemctl is-active -q livery-kiosk.service && break
    asks=$(grep -h ^Message= /run/systemd/ask-password/ask.* 2> /dev/null)
    [ -n "$asks" ] && break
    sleep 1
done
if [ -n "$asks" ] && [ -e $CREDENTIALS_DIRECTORY/probe.key ]; then
    socket=$(sed -n s/^Socket=//p /run/systemd/ask-password/ask.*)
    /usr/lib/systemd/systemd-reply-password 1 $socket < $CREDENTIALS_DIRECTORY/probe.key
    for i in $(seq 300); do mountpoint -q /srv && break; sleep 1; done
fi
say asks "$asks"
say told "$(cat /srv/livery/confirmed)"
say hostname "$(cat /etc/hostname)"
if mountpoint -q /usr/lib/livery/identity; then say layer applied; else say layer "not applied"; fi
say kernel "$(dmesg | grep 'verity.*corrupted' | head -n 1)"
if mountpoint -q /srv && grep -qs ^CRYPT-LUKS2 /sys/block/dm-*/dm/uuid; then say data open; else say data closed; fi
say sums "$(dmesg | sed -n 's/.*verity: sha256 using shash "\(.*\)"/\1/p' | sort -u | tr '\n' ' ')"
say ciphers "$(while read -r key _ value; do
    case $key in driver) driver=$value ;; refcnt) case $driver in *xts*) [ "$value" -gt 1 ] && echo "$driver" ;; esac ;; esac
done < /proc/crypto | tr '\n' ' ')"
say note "$(cat /srv/note)"
for i in $(seq 120); do systemctl is-active -q livery-kiosk.service && break; sleep 1; done
say kiosk "$(systemctl is-active livery-kiosk.service)"
[ -e /srv/note ] || sed -n 's/^LIVERY_ORDER=//p' /etc/livery/identity.env > /srv/note
sync
say end yes
confirm() {{ systemctl show -P "$1" livery-confirm.service; }}
for i in $(seq 600); do
    [ "$(confirm ActiveState)" = inactive ] && [ "$(confirm ExecMainExitTimestampMonotonic)" -gt 0 ] && say noted yes && break
    sleep 1
done
"#
    );
    vec![
        Credential::new("systemd.extra-unit.livery-probe.service", unit),
        Credential::new("systemd.unit-dropin.multi-user.target", "[Unit]\nWants=livery-probe.service\n"),
        Credential::new("probe.script", script),
    ]
}
