//! A terminal at its desk for one test, the Gateway that it knows, and who may sign in there.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use livery_tests::{
    gateway::{
        Config, Gateway,
        accounts::{Account, Accounts},
        totp::Secret,
    },
    programs::tool,
    screen::desk::{Desk, Options},
    site::{GATEWAY, Site},
};
use tokio::time::sleep;

use super::{SIGN_IN, SOON};

/// Who may sign in at the Gateway.
const PEOPLE: [&str; 2] = ["marie.durand", "paul.petit"];

/// A terminal at its desk, and the Gateway that it knows.
pub(super) struct Bench {
    pub(super) desk: Desk,
    pub(super) gateway: Gateway,
    secrets: [Secret; 2],
    /// Pictures of this test.
    pub(super) folder: PathBuf,
}

impl Bench {
    pub(super) async fn start(site: &Site, disk: &Path, name: &str, options: &Options) -> Self {
        let folder = site.folder.join("../kiosk").join(name);
        fs::create_dir_all(&folder).unwrap();
        let secrets = [Secret::generate().unwrap(), Secret::generate().unwrap()];
        let account = |(login, secret): (&&str, &Secret)| Account {
            login: (*login).into(),
            name: "Somebody".into(),
            password: "correct horse".into(),
            secret: secret.to_base32(),
            desktop: "Bureau Assurance".into(),
            receiver: options.receiver,
            ..Account::default()
        };
        let accounts = Accounts { account: PEOPLE.iter().zip(&secrets).map(account).collect() };
        let listen = "0.0.0.0:443".parse().unwrap();
        let log = folder.join("access.jsonl");
        let _ = fs::remove_file(&log);
        let config = Config { listen, log: Some(log), ..Config::new(GATEWAY, site.authority(), accounts) };
        let gateway = Gateway::start(config).await.unwrap();
        let desk = Desk::start(disk, &folder, options).await.unwrap();
        Self { desk, gateway, secrets, folder }
    }

    /// Waits until a page has been drawn more often than before.
    pub(super) async fn drawn_again(&self, page: &str, before: usize, most: Duration) -> Duration {
        self.wait(&format!("{page} is drawn"), most, async || self.gateway.drawn(page) > before).await
    }

    pub(super) async fn wait(&self, what: &str, most: Duration, until: impl AsyncFn() -> bool) -> Duration {
        let since = Instant::now();
        while !until().await {
            if since.elapsed() > most {
                let _ = self.desk.look(&self.folder, "failed").await;
                fs::write(self.folder.join("journal.txt"), self.desk.machine.journal().await).unwrap();
                panic!("not within {} s: {what}; see {}", most.as_secs(), self.folder.display());
            }
            sleep(Duration::from_millis(50)).await;
        }
        since.elapsed()
    }

    /// Until the screen shows something.
    pub(super) async fn sees(&self, name: &str, what: impl Fn(&livery_tests::picture::Picture) -> bool) -> Duration {
        let look = async || self.desk.look(&self.folder, name).await.is_ok_and(|picture| what(&picture));
        self.wait(&format!("the screen shows {name}"), SOON, look).await
    }

    /// The title of the waiting page, once it is in front and has another one than this.
    pub(super) async fn waiting_page(&self, what: &str, than: &str) -> String {
        let title = async || self.desk.windows().await.unwrap().into_iter().find(|title| title.starts_with("Livery: "));
        self.wait(what, SOON, async || title().await.is_some_and(|title| title != than)).await;
        title().await.unwrap_or_default()
    }

    /// Whether anything answers at the Gateway's address; the network is there all the same.
    pub(super) async fn gateway_answers(&self, answers: bool) {
        const SHUT: &str = "add table inet shut; add chain inet shut door { type filter hook input priority 0; }; \
            add rule inet shut door tcp dport 443 reject with tcp reset";
        tool("nft", &[if answers { "delete table inet shut" } else { SHUT }]).await.unwrap();
    }

    /// How often somebody was signed out.
    pub(super) fn signed_out(&self) -> usize {
        fs::read_to_string(self.folder.join("access.jsonl")).unwrap().matches(r#""outcome":"signed-out""#).count()
    }

    /// Password, code, the published desktop: of one of [`PEOPLE`]. A code is for one sign-in, so each of them signs in once.
    pub(super) async fn sign_in(&self, who: usize) {
        let before = [SIGN_IN, "/logon/LogonPoint/challenge.html", "/Citrix/StoreWeb/"].map(|page| self.gateway.drawn(page));
        self.desk.type_text(PEOPLE[who]).await.unwrap();
        self.desk.press(&[], "Tab").await.unwrap();
        self.desk.enter("correct horse").await.unwrap();
        self.drawn_again("/logon/LogonPoint/challenge.html", before[1], SOON).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.desk.enter(&self.secrets[who].code(now)).await.unwrap();
        self.drawn_again("/Citrix/StoreWeb/", before[2], SOON).await;
    }

    /// Waits for another session than this to begin.
    pub(super) async fn begins_another_session(&self, than: &str, most: Duration) {
        let other = async || self.desk.browser("InvocationID").await.is_ok_and(|now| !now.is_empty() && now != than);
        self.wait("another session", most, other).await;
    }

    /// The same, with its page drawn.
    pub(super) async fn another_session(&self, than: &str, most: Duration) -> Duration {
        let since = Instant::now();
        self.begins_another_session(than, most).await;
        self.drawn_again(SIGN_IN, self.gateway.drawn(SIGN_IN), SOON).await;
        since.elapsed()
    }

    /// What identifies a session: systemd's number for it, and its folder.
    pub(super) async fn session(&self) -> (String, String) {
        let folder = self
            .desk
            .machine
            .run("stat -c %i:%W /run/browser/profile; find /run/browser -name cookies.sqlite")
            .await
            .unwrap()
            .stdout;
        (self.desk.browser("InvocationID").await.unwrap(), folder)
    }
}
