//! What a person does at the stand-in Gateway, done in a real browser: each second factor, the desktop in the same tab, the file
//! for Citrix's client, and the bad ways. Pictures stay in `out/tests/gateway/`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::driven::{Browser, Setup};
use livery_tests::{
    gateway::{
        Config, Gateway, MARKS,
        accounts::{Account, Accounts, Factor, Receiver},
        guard::Limits,
        ica,
        push::Answer,
        screen,
        totp::Secret,
    },
    picture::Picture,
    security_key::PrivateCredential,
};

const HOST: &str = "gateway.assurance.example";
const CHALLENGE: &str = "/logon/LogonPoint/challenge.html";
const SIGN_IN: &str = "/logon/LogonPoint/index.html";
const STORE: &str = "/Citrix/StoreWeb/";
const DESKTOP: &str = "/Citrix/StoreWeb/clients/HTML5Client/src/SessionWindow.html";

/// A Gateway that knows one person, and that person's browser.
struct Visit {
    gateway: Gateway,
    browser: Browser,
    /// What its pictures' names begin with.
    name: &'static str,
    _folder: tempfile::TempDir,
}

impl Visit {
    async fn new(name: &'static str, account: Account, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let account = Account {
            login: "marie.durand".into(),
            name: "Marie Durand".into(),
            password: "correct horse".into(),
            desktop: "Bureau Assurance".into(),
            ..account
        };
        let config = Config { limits, ..Config::new(HOST, folder.path().join("ca"), Accounts { account: vec![account] }) };
        let gateway = Gateway::start(config).await.unwrap();
        let browser = browser(&gateway).await;
        Self { gateway, browser, name, _folder: folder }
    }

    /// Name and password; arrives at the second factor.
    async fn password(&self) {
        password(&self.browser, &self.gateway).await;
    }

    async fn code(&self, code: &str) {
        self.browser.fill("#response", code).await.unwrap();
        self.browser.click("button[type=submit]").await.unwrap();
    }

    async fn picture(&self, of: &str) -> Picture {
        let path = out().join(format!("{}-{of}.png", self.name));
        self.browser.picture(&path).await.unwrap();
        Picture::read(&path).unwrap()
    }

    async fn complains(&self, of: &str) {
        assert!(self.browser.text(".complaint:not([hidden])").await.unwrap().contains(of));
    }

    /// Opens the desktop from the store's page, types, and looks at both ends whether it is alive.
    async fn works_in_the_desktop(&self, text: &str) {
        let tabs = self.browser.driver().windows().await.unwrap().len();
        let before = self.gateway.desktops().len();
        self.browser.click("#open").await.unwrap();
        self.browser.arrives(DESKTOP).await.unwrap();
        // A desktop of an earlier session stays in the list, and is drawn: keys pressed at its sight would come too early.
        let drawn = async || self.gateway.desktops().get(before)?.drawn.then_some(());
        self.browser.wait("the desktop's pixels", drawn).await.unwrap();
        assert_eq!(self.browser.driver().windows().await.unwrap().len(), tabs, "in the same tab");

        self.browser.press(text).await.unwrap();
        let typed: Vec<String> = text.chars().map(String::from).collect();
        let arrived = async || (self.gateway.desktops().last()?.keys == typed).then_some(());
        self.browser.wait(&format!("{text:?} at the server"), arrived).await.unwrap();
        // What the server has drawn in answer stands on the canvas.
        for (place, key) in typed.iter().enumerate() {
            let block = screen::block(place, key);
            let look = format!(
                "return [...document.getElementById('desktop').getContext('2d').getImageData({}, {}, 1, 1).data].slice(0, 3)",
                block.x, block.y
            );
            let echoed = async || (self.browser.script(&look).await.ok()? == serde_json::json!(block.colour)).then_some(());
            self.browser.wait(&format!("the key {key:?} on the screen"), echoed).await.unwrap();
        }
        assert!(self.picture("desktop").await.shows(&screen::MARKS), "the desktop's marks are not on the picture");
    }

    /// Signs out of wherever it is; nothing of the session is left, on the server or behind the Back button.
    async fn signs_out(&self) {
        let cookie = self.browser.driver().get_named_cookie("NSC_AAAC").await.unwrap();
        self.browser.click("#sign-out").await.unwrap();
        self.browser.arrives(SIGN_IN).await.unwrap();
        for _ in 0..3 {
            self.browser.back().await.unwrap();
            self.browser.shown("#login").await.unwrap();
            let source = self.browser.source().await.unwrap();
            assert!(!source.contains("Bureau Assurance") && !source.contains("Marie"), "{source}");
        }
        let picture = self.picture("after-sign-out").await;
        assert!(picture.shows(&MARKS) && !picture.shows(&screen::MARKS), "only the sign-in page");

        // The cookie, had somebody kept it.
        self.browser.driver().add_cookie(cookie).await.unwrap();
        for path in [STORE, DESKTOP] {
            self.browser.open(&format!("{}{}", self.gateway.url(), &path[1..])).await.unwrap();
            self.browser.arrives(SIGN_IN).await.unwrap();
        }
        self.complains("terminée").await;
        // Put there by hand, it stands beside the next session's.
        self.browser.driver().delete_all_cookies().await.unwrap();
    }

    async fn ends(self) {
        self.browser.close().await.unwrap();
    }
}

async fn browser(gateway: &Gateway) -> Browser {
    let address = gateway.address().ip().to_string();
    let setup = Setup { pin: gateway.spki(), resolve: Some((HOST, &address)), language: "fr-FR", size: (1280, 800) };
    Browser::start(&setup).await.unwrap()
}

async fn password(browser: &Browser, gateway: &Gateway) {
    browser.open(&gateway.url()).await.unwrap();
    browser.fill("#login", "marie.durand").await.unwrap();
    browser.fill("#passwd", "correct horse").await.unwrap();
    browser.click("button[type=submit]").await.unwrap();
    browser.arrives(CHALLENGE).await.unwrap();
}

fn out() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../out/tests/gateway")).to_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn by_code_then_the_desktop_in_the_same_tab() {
    let secret = Secret::generate().unwrap();
    let visit = Visit::new("totp", Account { secret: secret.to_base32(), ..Account::default() }, Limits::default()).await;
    visit.browser.open(&visit.gateway.url()).await.unwrap();
    assert!(visit.picture("sign-in").await.shows(&MARKS));
    visit.password().await;
    let wrong = if secret.step_of("000000", now()).is_some() { "111111" } else { "000000" };
    visit.code(wrong).await;
    visit.complains("plus valable").await;
    visit.picture("wrong-code").await;
    assert_eq!(visit.browser.path().await.unwrap(), CHALLENGE);

    visit.code(&secret.code(now())).await;
    visit.browser.arrives(STORE).await.unwrap();
    assert!(visit.browser.text("h1").await.unwrap().contains("Marie Durand"));
    visit.picture("store").await;
    visit.works_in_the_desktop("Bonjour, ici Marie.").await;
    visit.signs_out().await;
    let desktop = visit.gateway.desktops().pop().unwrap();
    assert_eq!((desktop.login.as_str(), desktop.ended), ("marie.durand", true));
    visit.ends().await;
}

#[tokio::test]
async fn by_a_tap_on_the_phone() {
    let visit = Visit::new("push", Account { factor: Factor::Push, ..Account::default() }, Limits::default()).await;
    assert!(!visit.gateway.answer_phone("marie.durand", Answer::Approve), "nobody has asked");

    visit.password().await;
    visit.browser.shown("#push").await.unwrap();
    visit.picture("waiting").await;
    assert!(visit.gateway.answer_phone("marie.durand", Answer::Deny));
    visit.browser.arrives(SIGN_IN).await.unwrap();
    visit.complains("refusée").await;
    visit.picture("denied").await;

    // The page that waits for the first request is told that a second one has come.
    visit.password().await;
    let other = browser(&visit.gateway).await;
    password(&other, &visit.gateway).await;
    visit.browser.arrives(SIGN_IN).await.unwrap();
    visit.complains("remplacé").await;
    assert!(visit.gateway.answer_phone("marie.durand", Answer::Approve));
    other.arrives(STORE).await.unwrap();
    other.close().await.unwrap();

    visit.password().await;
    assert!(visit.gateway.phone_rings("marie.durand"));
    assert!(visit.gateway.answer_phone("marie.durand", Answer::Approve));
    visit.browser.arrives(STORE).await.unwrap();
    visit.works_in_the_desktop("push").await;
    // The machine is shut down: the page says so, and leads back.
    visit.gateway.end_desktops("marie.durand");
    assert!(visit.browser.text("#ended h1").await.unwrap().contains("terminée"));
    visit.picture("ended").await;
    visit.browser.click("#back").await.unwrap();
    visit.browser.arrives(STORE).await.unwrap();
    visit.signs_out().await;
    visit.ends().await;
}

#[tokio::test]
async fn a_phone_that_nobody_looks_at() {
    let account = Account { factor: Factor::Push, ..Account::default() };
    let visit = Visit::new("push", account, Limits { push: 5, ..Limits::default() }).await;
    visit.password().await;
    visit.browser.arrives(SIGN_IN).await.unwrap();
    visit.complains("sans réponse").await;
    assert!(!visit.gateway.answer_phone("marie.durand", Answer::Approve), "too late");
    visit.picture("timed-out").await;
    visit.ends().await;
}

#[tokio::test]
async fn by_a_security_key() {
    let key = PrivateCredential::generate(b"marie's key").unwrap();
    let account = Account { factor: Factor::Fido2, credential: Some(key.public()), ..Account::default() };
    let visit = Visit::new("fido2", account, Limits::default()).await;
    visit.browser.plug_in(HOST, &key, 1).await.unwrap();
    for _ in 0..2 {
        visit.password().await;
        visit.picture("key").await;
        visit.browser.click("#key").await.unwrap();
        visit.browser.arrives(STORE).await.unwrap();
        visit.works_in_the_desktop("fido").await;
        visit.signs_out().await;
    }
    visit.ends().await;
}

#[tokio::test]
async fn by_a_foreign_security_key() {
    let key = PrivateCredential::generate(b"marie's key").unwrap();
    let account = Account { factor: Factor::Fido2, credential: Some(key.public()), ..Account::default() };
    let visit = Visit::new("fido2", account, Limits::default()).await;
    // Says that it is hers, and signs with another private key: the server must see it.
    visit.browser.plug_in(HOST, &PrivateCredential::generate(b"marie's key").unwrap(), 1).await.unwrap();
    visit.password().await;
    visit.browser.click("#key").await.unwrap();
    visit.complains("pas été acceptée").await;
    assert_eq!(visit.browser.path().await.unwrap(), CHALLENGE);
    visit.picture("foreign-key").await;
    visit.browser.open(&format!("{}{}", visit.gateway.url(), &STORE[1..])).await.unwrap();
    visit.browser.arrives(SIGN_IN).await.unwrap();
    visit.ends().await;
}

#[tokio::test]
async fn a_copied_security_key() {
    let key = PrivateCredential::generate(b"marie's key").unwrap();
    let credential = livery_tests::gateway::webauthn::PublicKeyCredential { counter: 40, ..key.public() };
    let account = Account { factor: Factor::Fido2, credential: Some(credential), ..Account::default() };
    let visit = Visit::new("fido2", account, Limits::default()).await;
    // Right in all but its count: the real one has signed 40 times.
    visit.browser.plug_in(HOST, &key, 20).await.unwrap();
    visit.password().await;
    visit.browser.click("#key").await.unwrap();
    visit.complains("pas été acceptée").await;
    visit.ends().await;
}

#[tokio::test]
async fn a_file_for_citrixs_client() {
    let account = Account { factor: Factor::Push, receiver: Receiver::Native, ..Account::default() };
    let visit = Visit::new("native", account, Limits::default()).await;
    visit.password().await;
    assert!(visit.gateway.answer_phone("marie.durand", Answer::Approve));
    visit.browser.arrives(STORE).await.unwrap();
    visit.browser.click("#open").await.unwrap();
    let file = fs::read_to_string(visit.browser.download("ica").await.unwrap()).unwrap();
    assert_eq!(ica::value(&file, "Title"), Some("Bureau Assurance"));
    let port = visit.gateway.address().port();
    assert_eq!(ica::value(&file, "SSLProxyHost").unwrap(), format!("{HOST}:{port}"));
    let ticket = ica::value(&file, "LogonTicket").unwrap();
    assert_eq!(visit.gateway.redeem(ticket).as_deref(), Some("marie.durand"));
    assert_eq!(visit.gateway.redeem(ticket), None, "once only");
    assert_eq!(visit.browser.path().await.unwrap(), STORE, "the page stays");
    visit.ends().await;
}
