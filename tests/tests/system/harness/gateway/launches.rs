//! What a session opens, and what is left of it afterwards.

use std::time::{Duration, Instant};

use livery_tests::gateway::{
    accounts::{Account, Factor, Receiver},
    guard::Limits,
    ica,
};
use reqwest::{Client, Response, StatusCode, header};

use super::bench::{Bench, HOST, Jar, SIGN_IN, STORE, leads_to};

const DESKTOP: &str = "/Citrix/StoreWeb/clients/HTML5Client/src/SessionWindow.html";

async fn bench(receiver: Receiver, limits: Limits) -> Bench {
    Bench::of(Account { factor: Factor::Push, receiver, ..Account::default() }, limits).await
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split(before).nth(1).unwrap().split(after).next().unwrap()
}

/// What opens the desktop, as the store's page says.
async fn open(bench: &Bench, jar: &mut Jar) -> String {
    let page = bench.get(STORE, jar).await.text().await.unwrap();
    between(&page, "id=\"open\" href=\"", "\"").to_owned()
}

#[tokio::test]
async fn a_file_with_a_ticket_that_is_good_once() {
    let bench = bench(Receiver::Native, Limits::default()).await;
    let mut jar = bench.signed_in_by_push().await;
    let path = open(&bench, &mut jar).await;
    let answer = bench.get(&path, &mut jar).await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/x-ica");
    assert!(answer.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    let file = answer.text().await.unwrap();
    let ticket = ica::value(&file, "LogonTicket").unwrap().to_owned();
    let redeem = |ticket: String| bench.client.post(format!("{}standin/launch", bench.gateway.url())).body(ticket).send();
    let redeemed = redeem(ticket.clone()).await.unwrap();
    assert_eq!(redeemed.status(), StatusCode::OK);
    assert!(redeemed.text().await.unwrap().contains("marie.durand"));
    assert_eq!(redeem(ticket).await.unwrap().status(), StatusCode::FORBIDDEN);

    let other = path.replace(".ica", "00.ica");
    assert_eq!(bench.get(&other, &mut jar).await.status(), StatusCode::NOT_FOUND, "nobody else's desktop");
    assert_eq!(bench.get(DESKTOP, &mut jar).await.status(), StatusCode::NOT_FOUND, "it does not open in the browser");
    assert_eq!(leads_to(&bench.get(&path, &mut Jar::default()).await), SIGN_IN);

    // A file that was never opened is worth nothing once its session is over.
    let file = bench.get(&path, &mut jar).await.text().await.unwrap();
    let kept = jar.clone();
    bench.get("/cgi/logout", &mut jar).await;
    assert_eq!(bench.gateway.redeem(ica::value(&file, "LogonTicket").unwrap()), None);
    assert_eq!(leads_to(&bench.get(STORE, &mut kept.clone()).await), SIGN_IN, "the session has ended on the server");
    assert_eq!(leads_to(&bench.get(&path, &mut kept.clone()).await), SIGN_IN);
    let log = std::fs::read_to_string(bench.folder.path().join("access.jsonl")).unwrap();
    assert!(log.contains("\"launched\"") && log.contains("\"bad-launch\"") && !log.contains("marie.durand"), "{log}");
}

/// Opens the WebSocket of a desktop, and looks only at the status of the answer.
async fn connect(bench: &Bench, ticket: &str, origin: Option<&str>, jar: &Jar) -> StatusCode {
    line(bench, ticket, origin, jar).await.status()
}

/// Opens the WebSocket of a desktop.
async fn line(bench: &Bench, ticket: &str, origin: Option<&str>, jar: &Jar) -> Response {
    let client = Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(bench.gateway.ca_pem().as_bytes()).unwrap()])
        .resolve(HOST, bench.gateway.address())
        .http1_only()
        .build()
        .unwrap();
    let url = format!("{}Citrix/StoreWeb/clients/HTML5Client/session?ticket={ticket}", bench.gateway.url());
    let mut request = client
        .get(url)
        .header(header::COOKIE, jar.header())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_desktop_opens_once_and_only_from_its_own_page() {
    let bench = bench(Receiver::Html5, Limits::default()).await;
    let mut jar = bench.signed_in_by_push().await;
    assert_eq!(open(&bench, &mut jar).await, DESKTOP);
    let origin = bench.gateway.url().trim_end_matches('/').to_owned();
    let own = Some(origin.as_str());
    let ticket = async |jar: &mut Jar| {
        let page = bench.get(DESKTOP, jar).await;
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.contains(&format!("connect-src 'self' wss://{HOST}:{};", bench.gateway.address().port())), "{policy}");
        between(&page.text().await.unwrap(), "data-ticket=\"", "\"").to_owned()
    };

    let used = ticket(&mut jar).await;
    assert_eq!(connect(&bench, &used, own, &jar).await, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(connect(&bench, &used, own, &jar).await, StatusCode::FORBIDDEN, "once");
    for origin in [None, Some("https://evil.example"), Some("null")] {
        assert_eq!(connect(&bench, &ticket(&mut jar).await, origin, &jar).await, StatusCode::FORBIDDEN, "{origin:?}");
    }
    assert_eq!(connect(&bench, &ticket(&mut jar).await, own, &Jar::default()).await, StatusCode::FORBIDDEN, "nobody is signed in");
    let other = bench.signed_in_by_push().await;
    assert_eq!(connect(&bench, &ticket(&mut jar).await, own, &other).await, StatusCode::FORBIDDEN, "another session's");
    let left = ticket(&mut jar).await;
    let kept = jar.clone();
    bench.get("/cgi/logout", &mut jar).await;
    assert_eq!(connect(&bench, &left, own, &kept).await, StatusCode::FORBIDDEN, "signed out");
    assert_eq!(leads_to(&bench.get(DESKTOP, &mut jar).await), SIGN_IN);
    assert_eq!(bench.gateway.desktops().len(), 1);
}

#[tokio::test]
async fn a_desktop_that_nobody_uses_ends_with_its_session() {
    let bench = bench(Receiver::Html5, Limits { idle: 4, ..Limits::default() }).await;
    let mut jar = bench.signed_in_by_push().await;
    let page = bench.get(DESKTOP, &mut jar).await.text().await.unwrap();
    let origin = bench.gateway.url().trim_end_matches('/').to_owned();
    // Held open from this side: only the server can end it.
    let held = line(&bench, between(&page, "data-ticket=\"", "\""), Some(&origin), &jar).await.upgrade().await.unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while !bench.gateway.desktops()[0].ended {
        assert!(Instant::now() < end, "it never ends");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(held);
    assert_eq!(leads_to(&bench.get(STORE, &mut jar).await), SIGN_IN);
    assert!(bench.get(SIGN_IN, &mut jar).await.text().await.unwrap().contains("terminée"));
}
