//! An employee's laptop without its firmware: the first sign-in with the code that IT sent, which must be changed; the desktop, what one
//! may do at it, the lock, all without a way to the outside; with one, central applications and SaaS in its browser; the next day the
//! same account, and documents. By the keys of a French keyboard, on the image's own root in a container. What needs firmware, TPM, real
//! keys, Wi-Fi or another image is `sign_in`'s.

use std::{
    fs,
    ops::Range,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use livery_tests::{
    at_the_laptop::ACCOUNT,
    fixtures::masters,
    gateway::{
        Config, Gateway,
        accounts::{Account, Accounts},
        totp::Secret,
    },
    laptop::{
        desk::{HERE, SAAS, SAAS_AT, Unpacked},
        ground,
    },
    picture::Picture,
    site::{GATEWAY, Site},
    traces::Traces,
};

/// The employee's own, which the code is changed to.
const PASSWORD: &str = "Grune-Wolke 47 (Lyon)";
const SIGN_IN: &str = "/logon/LogonPoint/index.html";
/// Rows of the sign-in page that its panel has at most.
const PANEL: u32 = 60;
/// Its columns between the laptop's name and the buttons.
const MIDDLE: Range<u32> = 160..1120;
/// The most columns between two letters of a word.
const SPACE: u32 = 4;
/// What tells of a newer image covers of the screen, at least.
const TOLD_OF_IT: f64 = 0.01;
/// A whole test, perhaps with a build of the image.
const MOST: Duration = Duration::from_secs(40 * 60);

#[tokio::test]
async fn an_employee_signs_in_works_and_finds_it_again() {
    let site = Site::shared().await.unwrap();
    let name = "desk::laptop_session::an_employee_signs_in_works_and_finds_it_again";
    let Some(disk) = ground::inside(&site, name, MOST).await.unwrap() else { return };
    let folder = Traces::new("laptop-session");

    let code = masters::code(&site).unwrap();
    let unpacked = Unpacked::from(&disk, &folder).await.unwrap();
    let mut laptop = unpacked.start("first", false, true).await.unwrap();
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
    let [gateway_log, saas_log] = ["gateway", "saas"].map(|name| folder.join(format!("{name}.jsonl")));
    let gateway = serve(&site, GATEWAY, HERE, &gateway_log, Accounts { account: vec![account] }).await;
    let saas = serve(&site, SAAS, SAAS_AT, &saas_log, Accounts::default()).await;

    // A wrong code is refused; the right one must be changed before the desktop comes: twice the new one, and homed asks for the old one,
    // since the new one does not open it.
    laptop.asks("the-code").await.unwrap();
    assert_eq!(laptop.home().await, "inactive");
    laptop.settles().await;
    laptop.answers("the-code", "not-the-code").await.unwrap();
    laptop.refuses("not the code").await.unwrap();
    laptop.answers("the-code-again", &code).await.unwrap();
    laptop.answers("a-new-password", PASSWORD).await.unwrap();
    assert!(!laptop.runs_program("xfce4-session").await, "no desktop before the code is changed");
    laptop.answers("it-again", PASSWORD).await.unwrap();
    laptop.answers("the-old-one", &code).await.unwrap();
    laptop.until("the desktop", async || laptop.runs_program("xfce4-panel").await).await.unwrap();
    assert_eq!(laptop.home().await, "active");
    laptop.keeps("desktop").await.unwrap();
    let said = laptop.tries("first").await.unwrap();
    let is = |key: &str| said.get(key).map_or("", String::as_str);
    assert_eq!((is("network"), is("everybodys"), is("tunnel"), is("known")), ("yes", "no", "no", "1"), "{said:?}");
    assert_eq!((is("groups"), is("root"), is("lang")), (ACCOUNT, "nonono", "fr_FR.UTF-8"), "{said:?}");
    assert_eq!(is("printing"), "scheduler is running", "{said:?}");

    laptop.presses(&["ctrl", "alt", "l"]).await.unwrap();
    laptop.until("locked", async || laptop.locked().await == Some(true)).await.unwrap();
    laptop.presses(&["shift"]).await.unwrap();
    laptop.until("the locker asks", async || laptop.runs_program("xfce4-screensaver-dialog").await).await.unwrap();
    laptop.takes_keys("locked").await.unwrap();
    laptop.settles().await;
    laptop.types(&format!("{code}\n")).await.unwrap();
    laptop.refuses("the code, at the lock").await.unwrap();
    assert_eq!(laptop.locked().await, Some(true));
    laptop.takes_keys("locked-again").await.unwrap();
    laptop.types(&format!("{PASSWORD}\n")).await.unwrap();
    laptop.until("unlocked", async || laptop.locked().await == Some(false)).await.unwrap();

    // So far it had no network, and nobody has heard of it.
    for log in [&gateway_log, &saas_log] {
        assert_eq!(fs::read_to_string(log).unwrap(), "", "{}", log.display());
    }
    laptop.machine.cable(true).await.unwrap();

    // Central applications: the browser's first page is the store.
    laptop.runs("firefox-esr").await.unwrap();
    laptop.drawn(&gateway, SIGN_IN).await.unwrap();
    laptop.keeps("gateway").await.unwrap();
    laptop.types("lea.martin\tcorrect horse\n").await.unwrap();
    laptop.drawn(&gateway, "/logon/LogonPoint/challenge.html").await.unwrap();
    laptop.keeps("second-factor").await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    laptop.types(&format!("{}\n", secret.code(now))).await.unwrap();
    laptop.drawn(&gateway, "/Citrix/StoreWeb/").await.unwrap();
    laptop.keeps("store").await.unwrap();
    let journal = fs::read_to_string(&gateway_log).unwrap();
    assert!(journal.contains(r#""outcome":"signed-in""#), "{journal}");

    // Software as a service: another host, not by the proxy that there is not.
    let (_, store) = laptop.display.front();
    laptop.presses(&["ctrl", "t"]).await.unwrap();
    laptop.until("a new tab", async || laptop.display.front().1 != store).await.unwrap();
    laptop.types(&format!("https://{SAAS}/\n")).await.unwrap();
    laptop.drawn(&saas, SIGN_IN).await.unwrap();
    laptop.keeps("saas").await.unwrap();
    laptop.runs("systemctl reboot").await.unwrap();
    laptop.ended().await.unwrap();

    // The next day the code is nothing any more, and all that is hers is there.
    let mut laptop = unpacked.start("second", true, true).await.unwrap();
    laptop.asks("the-password").await.unwrap();
    assert_eq!(laptop.home().await, "inactive");
    laptop.settles().await;
    laptop.answers("the-password", &code).await.unwrap();
    laptop.refuses("the code, the next day").await.unwrap();
    laptop.answers("the-password-again", PASSWORD).await.unwrap();
    laptop.until("the desktop", async || laptop.runs_program("xfce4-panel").await).await.unwrap();
    let said = laptop.tries("office").await.unwrap();
    assert_eq!((said["kept"].as_str(), said["known"].as_str()), ("yes", "2"), "{said:?}");
    assert_eq!((said["office"].as_str(), said["viewer"].as_str(), said["files"].as_str()), ("%PDF", "yes", "yes"), "{said:?}");
    let before = laptop.keeps("office").await.unwrap();
    laptop.learns_of_a_newer_image().await.unwrap();
    let now = laptop.keeps("update-ready").await.unwrap();
    assert!(now.differs(&before) > TOLD_OF_IT, "nothing new is on the screen");
}

/// Nobody signs in and loses what he does, and the sign-in page says so: all of it, in the employee's language, to the part that counts.
#[tokio::test]
async fn without_its_data_partition_nobody_signs_in_and_the_page_says_whom_to_call() {
    let site = Site::shared().await.unwrap();
    let name = "desk::laptop_session::without_its_data_partition_nobody_signs_in_and_the_page_says_whom_to_call";
    let Some(disk) = ground::inside(&site, name, MOST).await.unwrap() else { return };
    let folder = Traces::new("laptop-no-data");
    let unpacked = Unpacked::from(&disk, &folder).await.unwrap();
    let mut laptop = unpacked.start("no-data", false, false).await.unwrap();
    laptop.asks("a name").await.unwrap();
    let homed = laptop.machine.run("systemctl is-active systemd-homed").await.unwrap().stdout;
    assert_eq!((laptop.home().await.as_str(), homed.trim()), ("", "inactive"));
    assert_told(&laptop.keeps("told-fr").await.unwrap(), "fr", TOLD[0].1);
    // There is no account to sign in with.
    let code = masters::code(&site).unwrap();
    laptop.answers("a-name", ACCOUNT).await.unwrap();
    laptop.answers("a-password", &code).await.unwrap();
    laptop.asks("a name again").await.unwrap();
    assert!(!laptop.runs_program("xfce4-session").await);

    for (language, lines) in &TOLD[1..] {
        laptop.speaks(language).await.unwrap();
        assert_told(&laptop.keeps(&format!("told-{language}")).await.unwrap(), language, *lines);
    }
}

/// What the sign-in page says, by language.
const TOLD: [(&str, [&str; 2]); 4] = [
    (
        "fr",
        [
            "Le disque contenant vos fichiers n'a pas pu être ouvert.",
            "Ouverture de session impossible. Contactez votre service informatique.",
        ],
    ),
    (
        "nl",
        ["De schijf met uw bestanden kon niet worden geopend.", "Aanmelden is niet mogelijk. Neem contact op met de IT-afdeling."],
    ),
    (
        "de",
        [
            "Der Datenträger mit Ihren Dateien ließ sich nicht öffnen.",
            "Anmelden ist nicht möglich. Bitte wenden Sie sich an Ihre IT-Abteilung.",
        ],
    ),
    ("en", ["The disk with your files did not open.", "You cannot sign in. Please call your IT department."]),
];

/// That a picture shows these lines in the middle of the panel at its upper edge: as many words, each about as wide as its letters, and
/// so to the last one.
fn assert_told(picture: &Picture, language: &str, lines: [&str; 2]) {
    let written = picture.words(0..PANEL, MIDDLE, SPACE);
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(written.len(), words.len(), "{language}: {written:?}");
    for (written, words) in written.iter().zip(&words) {
        assert_eq!(written.len(), words.len(), "{language}: {written:?} {words:?}");
        for ((from, to), word) in written.iter().zip(words) {
            let letters = u32::try_from(word.chars().count()).unwrap();
            assert!((2 * letters..=14 * letters).contains(&(to - from + 1)), "{language}: {word:?} from {from} to {to}");
        }
    }
}

/// A stand-in at this address of the laptop's network, which writes down whoever comes.
async fn serve(site: &Site, host: &str, at: &str, log: &Path, accounts: Accounts) -> Gateway {
    let listen = format!("{at}:443").parse().unwrap();
    Gateway::start(Config { listen, log: Some(log.to_owned()), ..Config::new(host, site.authority(), accounts) }).await.unwrap()
}
