//! The whole way on virtual devices with real firmware.

use std::{path::Path, time::Duration};

use livery_contract::Reference;
use livery_tests::{
    device::{Device, STATION_AT, hosts, idle_browser},
    fixtures::flashed,
    layer,
    line::Line,
    qemu::machine::Service,
    site::{STATION, Site},
    traces::Traces,
    whole_way::{NOTE, OPEN, Stage, at_home, whole_way},
};

/// A terminal that was flashed, at its employee's: its first start, a day's work, another start with somebody else's layer on its disk.
#[tokio::test]
async fn qemu_a_terminal_leaves_the_line_and_works_at_home() {
    let (site, out) = (Site::shared().await.unwrap(), Traces::new("at-home"));
    let flashed = flashed::terminal(&site).await.unwrap();
    // What the line left behind: keys that are bound to this device, and what was changed for that.
    let record = flashed.record().unwrap();
    let bound = record.bound.unwrap();
    assert!(bound.identity.is_some() && bound.recovery.is_some(), "{bound:?}");
    let reasons: Vec<&str> = record.changed_after.iter().map(|change| change.reason.as_str()).collect();
    assert!(["TPM", "LUKS2"].iter().all(|word| reasons.iter().any(|reason| reason.contains(word))), "{reasons:?}");

    let result = at_home(&site, &flashed, &out, &mut teller()).await;
    let device = result.unwrap_or_else(|fault| panic!("{}", fault.render()));
    with_somebody_elses_layer(&site, &device, &record.image, &out).await;
}

/// As `scripts/demo` goes it, on a device without a TPM; which, without one, applies whatever layer was signed.
#[tokio::test]
async fn qemu_variant_the_whole_way_as_the_demo_goes_it() {
    let out = Traces::new("whole-way");
    if let Err(fault) = whole_way(&out, &mut teller()).await {
        panic!("{}", fault.render());
    }
    somebody_elses_settings_are_told(&out).await;
}

/// Tells each stage as it ends.
fn teller() -> impl FnMut(&Stage) {
    let begun = std::time::Instant::now();
    move |stage: &Stage| {
        eprintln!("{:>6} s  {} ({} s): {}", begun.elapsed().as_secs(), stage.name, stage.seconds, stage.result);
    }
}

/// Somebody else's layer, signed like its own: the device does not apply it, keeps its own data, and the station is told.
async fn with_somebody_elses_layer(site: &Site, device: &Device, image: &Reference, folder: &Path) {
    let employees = site.employees().unwrap();
    let (employee, other) = (&employees[0], &employees[1]);
    let theirs = Reference { order: Some(other.order.clone()), ..image.clone() };
    let export = folder.join("other.raw");
    layer::export(site, &theirs, &export).await.unwrap();
    let (offset, theirs) = layer::read(&export, &theirs, site).await.unwrap();
    std::fs::remove_file(&export).unwrap();
    assert_ne!(layer::read(&device.disk, image, site).await.unwrap(), (offset, theirs.clone()));
    layer::put(&device.disk, offset, &theirs).unwrap();

    let line = Line::start(site, &folder.join("station"), None).await.unwrap();
    let mut machine = device.machine("swapped").unwrap().with_probe();
    machine.memory = 3072;
    machine.services.push(Service { at: STATION_AT, on: line.address() });
    machine.credentials.extend([hosts(STATION_AT, STATION), idle_browser()]);
    let mut guest = machine.start().await.unwrap();
    let most = Duration::from_secs(240) * guest.accel().patience();
    guest.until(OPEN, most).await.unwrap();
    let facts = guest.facts(most).await.unwrap();
    assert!(facts.secure_boot && !facts.layer && facts.encrypted, "{facts:?}");
    assert!(![&employee.hostname, &other.hostname].contains(&&facts.hostname), "{facts:?}");
    let note = guest.ask(&format!("cat {NOTE}"), most).await.unwrap().stdout;
    assert_eq!(note.trim(), employee.order.as_str(), "what the first start left on the data partition");
    // What the first start told it need not have told again; this is news, and the station says which.
    assert_eq!(guest.ask("cat /srv/livery/confirmed", most).await.unwrap().stdout.trim().len(), 64);
    println!("{}", line.hears(&employee.order, "amiss", most).await.unwrap());
    let usage = line.usage(&employee.order).await.unwrap();
    let amiss: Vec<&str> = usage["amiss"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    // The system too, as the service that refused the layer has failed.
    assert!(["layer", "order", "hostname", "system"].iter().all(|what| amiss.contains(what)), "{usage}");
    assert!(!["image", "data", "screen", "page"].iter().any(|what| amiss.contains(what)), "{usage}");
    guest.cut_power().await.unwrap();
}

/// The same device, switched on again with another employee's personal layer on its disk: signed like its own, and without a TPM that is
/// all that it asks for. It works, and the station says what is not as ordered.
async fn somebody_elses_settings_are_told(folder: &Path) {
    let site = Site::shared().await.unwrap();
    let employees = site.employees().unwrap();
    let (employee, other) = (&employees[0], &employees[1]);
    let device = Device {
        folder: folder.join("device"),
        serial: employee.serial.clone().unwrap(),
        disk: folder.join("device/disk.raw"),
        secure: false,
        clock: None,
    };
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    let image = line.record(&employee.order).await.unwrap().image;
    let theirs = Reference { order: Some(other.order.clone()), ..image.clone() };
    let export = folder.join("other.raw");
    layer::export(&site, &theirs, &export).await.unwrap();
    let (offset, bytes) = layer::read(&export, &theirs, &site).await.unwrap();
    std::fs::remove_file(&export).unwrap();
    layer::put(&device.disk, offset, &bytes).unwrap();

    assert_eq!(line.usage(&employee.order).await.unwrap()["state"], "in-use", "as it was before");
    let mut machine = device.machine("another-layer").unwrap();
    machine.memory = 3072;
    machine.services.push(Service { at: STATION_AT, on: line.address() });
    machine.credentials.extend([hosts(STATION_AT, STATION), idle_browser()]);
    let guest = machine.start().await.unwrap();
    let most = Duration::from_secs(240) * guest.accel().patience();
    let usage = line.hears(&employee.order, "amiss", most).await.unwrap();
    println!("{usage:#}");
    let amiss: Vec<&str> = usage["amiss"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    let differs = |differs: bool, what: &'static str| differs.then_some(what);
    let expected: Vec<&str> = [
        Some("layer"),
        Some("order"),
        Some("hostname"),
        differs(employee.locale != other.locale, "locale"),
        differs(employee.keyboard != other.keyboard, "keyboard"),
        differs(employee.timezone != other.timezone, "timezone"),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert_eq!(amiss, expected, "{usage:#}");
    let words = format!("hostname is {}, not {}", other.hostname, employee.hostname);
    assert!(usage["words"].as_array().unwrap().iter().any(|one| one == words.as_str()), "{usage:#}");
    assert_eq!(line.usage(&other.order).await.unwrap(), serde_json::Value::Null, "nobody else's order is in use by that");
    guest.cut_power().await.unwrap();
}
