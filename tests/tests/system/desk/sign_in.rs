//! An employee's laptop, flashed by the agent: the first sign-in with the code that IT sent, which must be changed; the desktop, the lock,
//! a home's Wi-Fi, all without a way to the outside; with one, central applications and SaaS in its browser, and a newer image. That is
//! what starts the next day: the same account, with what was done in it. By the keys of a French keyboard, as a person would.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use livery_contract::Reference;
use livery_tests::{
    at_the_laptop::{ACCOUNT, Person},
    device::Device,
    gateway::{
        Config, Gateway,
        accounts::{Account, Accounts},
        totp::Secret,
    },
    line::Line,
    programs::Program,
    qemu::Credential,
    site::{GATEWAY, STATION, Site},
    tunnel::peer,
    wifi,
};
use tokio::time::sleep;

const SERIAL: &str = "LAT5440-0002";
/// The employee's own, which the code is changed to.
const PASSWORD: &str = "Grune-Wolke 47 (Lyon)";
/// One of the profile's SaaS hosts.
const SAAS: &str = "signature.example";
const SIGN_IN: &str = "/logon/LogonPoint/index.html";

#[tokio::test]
async fn qemu_an_employee_signs_in_and_finds_it_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../out/tests/sign-in");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    // A store of its own: what is published there is what its devices take.
    let site = Site::at(Site::shared().await.unwrap().root, folder.join("site")).await.unwrap();
    let keys = peer::keys(&site.folder).await.unwrap();
    site.medium().await.unwrap();
    let tunnel_key = keys.public;
    let master = build(&site, &tunnel_key, "1").await;

    // IT: a roster without codes is refused; drawn, they go to the employee by another way.
    let (roster, codes) = (folder.join("roster.csv"), folder.join("codes.csv"));
    let row = "order,serial,user,name,hostname,locale,keyboard,timezone,tunnel-address\n";
    let row = format!("{row}ORD-2002,{SERIAL},lea.martin,Léa Martin,lt-lyon-0002,fr_FR.UTF-8,fr,Europe/Paris,10.200.0.18/32\n");
    fs::write(&roster, row).unwrap();
    let [from, to, store, keys] = [roster.clone(), codes.clone(), site.store(), site.keys()].map(|path| path.display().to_string());
    let image = master.to_string();
    let refused =
        Program::Livery.run(["personalise", &image, "--roster", &from, "--store", &store, "--keys", &keys]).await.unwrap();
    assert!(refused.code == Some(3) && refused.stderr.contains("row 1, column first-password"), "{refused:?}");
    Program::Livery.run(["codes", &from, "--out", &to]).await.unwrap().good().unwrap();
    let code = fs::read_to_string(&codes).unwrap().trim().rsplit(',').next().unwrap().to_owned();
    site.personalise(&master, &roster).await.unwrap();

    let line = Line::start(&site, &folder.join("station"), Some((&roster, &master))).await.unwrap();
    let mut device = Device::new(&folder.join("device"), SERIAL, 40 << 30).unwrap();
    device.secure = true;
    device.take_keys(&site.stick()).await.unwrap();
    device.flash_well(&site.stick(), &line, &"ORD-2002".parse().unwrap()).await.unwrap();
    drop(line);

    // What is in its network, once the cable is in.
    let secret = Secret::generate().unwrap();
    let account = Account {
        login: "lea.martin".into(),
        name: "Léa Martin".into(),
        password: "correct horse".into(),
        secret: secret.to_base32(),
        desktop: "Bureau Assurance".into(),
        ..Account::default()
    };
    let log = folder.join("gateway.jsonl");
    let config = Config { log: Some(log.clone()), ..Config::new(GATEWAY, site.authority(), Accounts { account: vec![account] }) };
    let gateway = Gateway::start(config).await.unwrap();
    let saas = Gateway::start(Config::new(SAAS, site.authority(), Accounts::default())).await.unwrap();
    let order = "ORD-2002".parse().unwrap();
    let line = Line::start(&site, &folder.join("station"), None).await.unwrap();
    build(&site, &tunnel_key, "2").await;

    // The access point is in the same machine: the laptop's firewall, once it is there, must let others in by its interface.
    let firewall = "systemctl start nftables.service\nnft insert rule inet livery input iifname wlan1 accept\n";
    let wifi = format!("{firewall}{}", wifi::script());
    let more = [Credential::new("probe.wifi", wifi), Credential::new("probe.update", "yes")];
    let mut person = Person::at(&device, "first", &[&gateway, &saas], &line, &more, &folder).await.unwrap();
    person.cable(false).await.unwrap();
    person.sees("greeter=yes home=inactive").await.unwrap();
    person.keeps("greeter").await.unwrap();
    person.settles().await.unwrap();
    person.types("not-the-code\n").await.unwrap();
    person.refuses().await.unwrap();
    person.signs_in(&code).await.unwrap();
    person.keeps("change").await.unwrap();
    // Twice the new one; then homed asks for the old one, since the new one does not open it.
    for _ in 0..2 {
        person.types(&format!("{PASSWORD}\n")).await.unwrap();
        sleep(Duration::from_secs(10)).await;
    }
    person.types(&format!("{code}\n")).await.unwrap();
    person.sees("panel=yes").await.unwrap();
    sleep(Duration::from_secs(30)).await;
    person.keeps("desktop").await.unwrap();
    let said = person.tries("wifi").await.unwrap();
    let is = |key: &str| said.get(key).map_or("", String::as_str);
    assert_eq!((is("network"), is("everybodys"), is("tunnel"), is("known")), ("yes", "no", "no", "1"), "{said:?}");
    assert_eq!((is("printing"), is("repeats"), is("frames")), ("scheduler is running", "off", "1"), "{said:?}");
    assert_eq!((is("groups"), is("root"), is("lang")), (ACCOUNT, "nonono", "fr_FR.UTF-8"), "{said:?}");
    // At home, by Wi-Fi, and the password is the employee's alone.
    assert!(is("joins").contains("successfully activated") && is("wifi") == "Maison:wlan0", "{said:?}");
    assert!(is("owner").contains(ACCOUNT), "{said:?}");
    person.keeps("wifi").await.unwrap();

    person.presses(&["ctrl", "alt", "l"]).await.unwrap();
    person.sees("locked=yes").await.unwrap();
    person.presses(&["shift"]).await.unwrap();
    person.keeps("locked").await.unwrap();
    person.settles().await.unwrap();
    person.types(&format!("{code}\n")).await.unwrap();
    person.refuses().await.unwrap();
    person.types(&format!("{PASSWORD}\n")).await.unwrap();
    person.sees("locked=open").await.unwrap();

    // So far it had no network, and nobody has heard of it.
    assert!(line.usage(&order).await.unwrap().is_null());
    assert_eq!(gateway.drawn(SIGN_IN), 0);
    person.cable(true).await.unwrap();

    // Central applications: the browser's first page is the store.
    person.runs("firefox-esr").await.unwrap();
    person.drawn(&gateway, SIGN_IN).await.unwrap();
    person.keeps("gateway").await.unwrap();
    person.types("lea.martin\tcorrect horse\n").await.unwrap();
    person.drawn(&gateway, "/logon/LogonPoint/challenge.html").await.unwrap();
    person.keeps("second-factor").await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    person.types(&format!("{}\n", secret.code(now))).await.unwrap();
    person.drawn(&gateway, "/Citrix/StoreWeb/").await.unwrap();
    person.keeps("store").await.unwrap();
    let journal = fs::read_to_string(&log).unwrap();
    assert!(journal.contains(r#""outcome":"signed-in""#), "{journal}");

    // Software as a service: another host, not by the proxy that there is not.
    person.presses(&["ctrl", "t"]).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    person.visits(&saas, SIGN_IN).await.unwrap();
    person.keeps("saas").await.unwrap();

    // Now the station knows what took effect.
    let usage = line.hears(&order, "in-use", person.most).await.unwrap();
    println!("{usage:#}");

    // A newer image came while she worked, and she has been told.
    let updated = person.updated().await.unwrap();
    println!("{updated}");
    assert!(updated.contains(r#""state":"ready""#) && updated.contains(r#""newer":"laptop@2""#), "{updated}");
    sleep(Duration::from_secs(45)).await;
    person.keeps("update-ready").await.unwrap();
    let said = person.tries("").await.unwrap();
    assert_eq!((said["told"].as_str(), said["image"].as_str()), ("1", "1"), "{said:?}");
    assert_eq!((said["kept"].as_str(), said["known"].as_str()), ("yes", "2"), "{said:?}");
    person.runs("systemctl reboot").await.unwrap();
    person.guest.wait_exit(person.most).await.unwrap();

    // The next day it runs, the code is nothing any more, and all that is hers is there; the station sees both.
    let mut person = Person::at(&device, "newer", &[&gateway, &saas], &line, &[], &folder).await.unwrap();
    person.sees("greeter=yes home=inactive").await.unwrap();
    person.keeps("greeter-again").await.unwrap();
    person.settles().await.unwrap();
    person.types(&format!("{code}\n")).await.unwrap();
    person.refuses().await.unwrap();
    person.signs_in(PASSWORD).await.unwrap();
    person.sees("panel=yes").await.unwrap();
    person.sees("blessed=1").await.unwrap();
    let said = person.tries("office").await.unwrap();
    assert_eq!((said["image"].as_str(), said["kept"].as_str(), said["known"].as_str()), ("2", "yes", "3"), "{said:?}");
    assert_eq!((said["office"].as_str(), said["viewer"].as_str(), said["files"].as_str()), ("%PDF", "yes", "yes"), "{said:?}");
    sleep(Duration::from_secs(20)).await;
    person.keeps("office").await.unwrap();
    let begun = Instant::now();
    loop {
        let usage = line.usage(&order).await.unwrap();
        if usage["runs"] == "laptop@2" {
            assert_eq!(usage["state"], "in-use", "{usage}");
            break;
        }
        assert!(begun.elapsed() < person.most, "{usage}");
        sleep(Duration::from_secs(1)).await;
    }
    person.guest.cut_power().await.unwrap();
}

/// A laptop of this version that looks for newer ones at the station.
async fn build(site: &Site, tunnel_key: &str, version: &str) -> Reference {
    let updates =
        format!("version = \"{version}\"\n\n[updates]\nstore = \"https://{STATION}:8443/store/\"\nstore-ca = \"station/ca.pem\"\n");
    site.build_laptop_with(&format!("laptop-{version}"), tunnel_key, &updates).await.unwrap()
}
