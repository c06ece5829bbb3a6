//! A Gateway to be judged, and a browser's part of the talk, done by hand: so that cookies and headers are seen, too.

use std::time::{SystemTime, UNIX_EPOCH};

use livery_tests::gateway::{
    Config, Gateway,
    accounts::{Account, Accounts},
    guard::Limits,
    push::Answer,
    totp::Secret,
};
use reqwest::{Client, Response, StatusCode, header, redirect};

/// The name that it goes by.
pub const HOST: &str = "gateway.assurance.example";

/// The login that the Gateway of a bench knows.
pub const LOGIN: &str = "marie.durand";

/// A Gateway that knows one person, and a client that trusts it.
pub struct Bench {
    pub gateway: Gateway,
    pub secret: Secret,
    pub client: Client,
    pub folder: tempfile::TempDir,
}

/// One browser's cookies, by hand: so that their attributes are seen, too.
#[derive(Clone, Default)]
pub struct Jar(Vec<(String, String)>);

impl Bench {
    pub async fn new(limits: Limits) -> Self {
        Self::of(Account::default(), limits).await
    }

    /// Where the account is not the usual one.
    pub async fn of(account: Account, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::generate().unwrap();
        let account = Account {
            login: LOGIN.into(),
            name: "Marie <Durand>".into(),
            password: "correct horse".into(),
            secret: secret.to_base32(),
            desktop: "Bureau Assurance".into(),
            ..account
        };
        let config = Config {
            limits,
            log: Some(folder.path().join("access.jsonl")),
            ..Config::new(HOST, folder.path().join("ca"), Accounts { account: vec![account] })
        };
        let gateway = Gateway::start(config).await.unwrap();
        let client = client(&gateway, gateway.ca_pem());
        Self { gateway, secret, client, folder }
    }

    pub async fn get(&self, path: &str, jar: &mut Jar) -> Response {
        let url = format!("{}{}", self.gateway.url(), path.trim_start_matches('/'));
        jar.take(
            self.client
                .get(url)
                .header(header::COOKIE, jar.header())
                .header(header::ACCEPT_LANGUAGE, "fr-FR,fr;q=0.9")
                .send()
                .await,
        )
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)], jar: &mut Jar) -> Response {
        let url = format!("{}{}", self.gateway.url(), path.trim_start_matches('/'));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .client
            .post(url)
            .header(header::COOKIE, jar.header())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        jar.take(request.send().await)
    }

    /// Gives the password; returns where it leads.
    pub async fn password(&self, password: &str, jar: &mut Jar) -> String {
        leads_to(&self.post("/cgi/login", &[("login", LOGIN), ("passwd", password)], jar).await)
    }

    pub async fn code(&self, code: &str, jar: &mut Jar) -> String {
        leads_to(&self.post("/cgi/dlge", &[("response", code)], jar).await)
    }

    /// Posts JSON, as the pages' scripts do.
    pub async fn post_json(&self, path: &str, body: &impl serde::Serialize, jar: &mut Jar) -> Response {
        let url = format!("{}{}", self.gateway.url(), path.trim_start_matches('/'));
        jar.take(self.client.post(url).header(header::COOKIE, jar.header()).json(body).send().await)
    }

    /// Asks how the phone's request stands; where that leads, once it leads anywhere.
    pub async fn poll(&self, jar: &mut Jar) -> Option<String> {
        let answer = self.get("/cgi/push", jar).await;
        if answer.status() == StatusCode::NO_CONTENT { None } else { Some(next(answer).await) }
    }

    /// Signs in by the phone.
    pub async fn signed_in_by_push(&self) -> Jar {
        let mut jar = Jar::default();
        assert_eq!(self.password("correct horse", &mut jar).await, CHALLENGE);
        assert!(self.gateway.answer_phone(LOGIN, Answer::Approve));
        assert_eq!(self.poll(&mut jar).await.as_deref(), Some(STORE));
        jar
    }

    pub fn outcomes(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("access.jsonl")).unwrap();
        log.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter_map(|line| line["outcome"].as_str().map(str::to_owned))
            .collect()
    }
}

impl Jar {
    pub fn header(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub fn take(&mut self, response: reqwest::Result<Response>) -> Response {
        let response = response.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            for attribute in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
                assert!(cookie.split("; ").any(|part| part == attribute), "{attribute} in {cookie}");
            }
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.0.retain(|(known, _)| known != name);
            if !cookie.contains("Max-Age=0") {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
        response
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

pub fn client(gateway: &Gateway, ca: &str) -> Client {
    Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes()).unwrap()])
        .resolve(HOST, gateway.address())
        .redirect(redirect::Policy::none())
        .user_agent("livery-tests")
        .build()
        .unwrap()
}

pub fn leads_to(response: &Response) -> String {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    response.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Where a script is told to go.
pub async fn next(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let answer: serde_json::Value = response.json().await.unwrap();
    answer["next"].as_str().unwrap().to_owned()
}

pub const SIGN_IN: &str = "/logon/LogonPoint/index.html";
pub const CHALLENGE: &str = "/logon/LogonPoint/challenge.html";
pub const STORE: &str = "/Citrix/StoreWeb/";
