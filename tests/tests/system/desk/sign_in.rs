//! An employee's laptop, flashed by the agent: the first sign-in with the code that IT sent, by the keys of a French keyboard; a home's
//! Wi-Fi; and a newer image, which is what starts the next day, with the same account. What the desktop holds and tells besides is
//! tried in a container (`laptop_session`).

use std::time::{Duration, Instant};

use livery_tests::{
    at_the_laptop::{ACCOUNT, Person},
    fixtures::{flashed, masters},
    line::Line,
    qemu::RESTART,
    site::Site,
    traces::Traces,
};
use serde_json::Value;
use tokio::time::sleep;

/// The employee's own, which the code is changed to.
const PASSWORD: &str = "Grune-Wolke 47 (Lyon)";

#[tokio::test]
async fn qemu_an_employee_signs_in_and_finds_it_again() {
    let folder = Traces::new("sign-in");
    let site = Site::shared().await.unwrap();
    let flashed = flashed::laptop(&site).await.unwrap();
    let newer = masters::newer_laptop(&site).await.unwrap().to_string();
    let image = flashed.record().unwrap().image.master().to_string();
    let code = masters::code(&site).unwrap();
    let device = flashed.copy(&folder.join("device")).await.unwrap();
    flashed.station(&folder.join("station")).await.unwrap();
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    let order = &flashed.order;

    let mut person = Person::at(&device, "first", &line, &folder).await.unwrap();
    person.cable(false).await.unwrap();
    person.sees_the_sign_in_page().await.unwrap();
    // Twice the new one; then homed asks for the old one, since the new one does not open it.
    person.signs_in(&code, &[PASSWORD, PASSWORD, &code]).await.unwrap();
    // At home, by Wi-Fi, and the password is the employee's alone.
    let said = person.joins_the_wifi().await.unwrap();
    assert!(said.contains("successfully activated") && said.contains("\nwifi=Maison:wlan0\n"), "{said}");
    let owner = said.lines().find(|line| line.starts_with("owner="));
    assert!(owner.is_some_and(|owner| owner.contains(ACCOUNT)) && said.contains("\nimage=1."), "{said}");
    person.keeps("wifi").await.unwrap();
    let facts = person.guest.facts(person.most).await.unwrap();
    assert!(facts.secure_boot && facts.encrypted && facts.image == image, "{facts:?}");

    // So far it had no way to the outside, and nobody has heard of it; then the station knows what took effect.
    assert!(line.usage(order).await.unwrap().is_null());
    person.cable(true).await.unwrap();
    person.guest.until("nmcli -t -f TYPE,STATE device | grep -qx ethernet:connected", person.most).await.unwrap();
    let usage = line.hears(order, "in-use", person.most).await.unwrap();
    println!("{usage:#}");

    // A newer image came while she worked. Looked for at once, not some minutes later.
    person.guest.ask("systemctl start livery-update.service", person.most).await.unwrap();
    let state = person.guest.ask("cat /run/livery-update/state.json", person.most).await.unwrap().stdout;
    let state: Value = serde_json::from_str(&state).unwrap_or_else(|error| panic!("{error}: {state}"));
    assert_eq!((state["state"].as_str(), state["newer"].as_str()), (Some("ready"), Some(newer.as_str())), "{state}");
    person.guest.ask(RESTART, person.most).await.unwrap().good().unwrap();
    // QEMU ends where the device starts again.
    person.guest.wait_exit(person.most).await.unwrap();

    // The next day it runs, and all that is hers is there; the station sees both.
    let mut person = Person::at(&device, "newer", &line, &folder).await.unwrap();
    person.sees_the_sign_in_page().await.unwrap();
    person.enters(PASSWORD, &[]).await.unwrap();
    // Which opens what is hers; that the desktop comes up on the second day too is tried in a container.
    person.guest.until(&format!("grep -qsx end=yes /home/{ACCOUNT}/.tried"), person.most).await.unwrap();
    let known = "nmcli -g NAME connection show | grep -cx Maison";
    assert_eq!(person.guest.ask(known, person.most).await.unwrap().stdout.trim(), "1", "the Wi-Fi is known");
    person.guest.until("journalctl -b -q -o cat -u livery-bless | grep -q 'starts it by default'", person.most).await.unwrap();
    assert_eq!(person.guest.facts(person.most).await.unwrap().image, newer);
    let begun = Instant::now();
    loop {
        let usage = line.usage(order).await.unwrap();
        if usage["runs"] == newer.as_str() {
            assert_eq!(usage["state"], "in-use", "{usage}");
            break;
        }
        assert!(begun.elapsed() < person.most, "{usage}");
        sleep(Duration::from_secs(1)).await;
    }
    person.guest.cut_power().await.unwrap();
}
