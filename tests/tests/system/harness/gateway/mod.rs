//! The stand-in Gateway is a judge in the other tests, so it is judged first: a whole sign-in over real TLS, every bad
//! answer, and what a real browser makes of its pages.

mod bench;
mod factors;
mod launches;

use std::time::{Duration, Instant};

use livery_tests::{
    browser::{self, Shot},
    gateway::{MARKS, guard::Limits},
    picture::Picture,
};
use reqwest::{StatusCode, header};

use self::bench::{Bench, CHALLENGE, HOST, Jar, SIGN_IN, STORE, client, leads_to, now};

#[tokio::test]
async fn a_whole_sign_in() {
    let bench = Bench::new(Limits::default()).await;
    let mut jar = Jar::default();
    assert_eq!(leads_to(&bench.get("/", &mut jar).await), SIGN_IN);
    let page = bench.get(SIGN_IN, &mut jar).await;
    assert!(page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
    let page = page.text().await.unwrap();
    assert!(page.contains("Mot de passe") && page.contains("lang=\"fr\""), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "everything comes from the server itself: {page}");

    assert_eq!(bench.password("correct horse", &mut jar).await, CHALLENGE);
    assert!(!jar.has("NSC_AAAC"), "no session before the second factor");
    assert_eq!(leads_to(&bench.get(STORE, &mut jar).await), SIGN_IN);
    assert!(bench.get(CHALLENGE, &mut jar).await.text().await.unwrap().contains("six chiffres"));
    assert_eq!(bench.code(&bench.secret.code(now()), &mut jar).await, STORE);
    assert!(jar.has("NSC_AAAC"));
    let store = bench.get(STORE, &mut jar).await.text().await.unwrap();
    assert!(store.contains("Bureau Assurance") && store.contains("Marie &#60;Durand&#62;"), "{store}");

    bench.get("/cgi/logout", &mut jar).await;
    assert!(!jar.has("NSC_AAAC"));
    assert_eq!(bench.outcomes(), ["challenge", "no-session", "signed-in", "signed-out"]);
}

#[tokio::test]
async fn every_wrong_answer_is_refused_and_logged() {
    let bench = Bench::new(Limits { tries: 20, ..Limits::default() }).await;
    let mut jar = Jar::default();
    assert_eq!(bench.password("wrong", &mut jar).await, SIGN_IN);
    let page = bench.get(SIGN_IN, &mut jar).await.text().await.unwrap();
    assert!(page.contains("incorrect"), "{page}");
    assert!(!bench.get(SIGN_IN, &mut jar).await.text().await.unwrap().contains("incorrect"), "said once");

    let unknown = bench.post("/cgi/login", &[("login", "nobody"), ("passwd", "x")], &mut jar).await;
    assert_eq!(leads_to(&unknown), SIGN_IN);
    let same = bench.get(SIGN_IN, &mut jar).await.text().await.unwrap();
    assert_eq!(same, page, "the page does not say which logins exist");

    assert_eq!(bench.password("correct horse", &mut jar).await, CHALLENGE);
    let code = bench.secret.code(now());
    let wrong = if code == "123456" { "654321" } else { "123456" };
    assert_eq!(bench.code(wrong, &mut jar).await, CHALLENGE);
    assert!(bench.get(CHALLENGE, &mut jar).await.text().await.unwrap().contains("plus valable"));
    assert_eq!(bench.code(&bench.secret.code(now() - 150), &mut jar).await, CHALLENGE);
    let code = bench.secret.code(now());
    assert_eq!(bench.code(&code, &mut jar).await, STORE);

    let mut other = Jar::default();
    assert_eq!(bench.code(&code, &mut other).await, SIGN_IN, "no code without a password");
    assert_eq!(bench.password("correct horse", &mut other).await, CHALLENGE);
    assert_eq!(bench.code(&code, &mut other).await, CHALLENGE, "a code is accepted once");
    assert!(!other.has("NSC_AAAC"));
    assert_eq!(
        bench.outcomes(),
        [
            "wrong-password",
            "unknown-user",
            "challenge",
            "wrong-code",
            "expired-code",
            "signed-in",
            "no-challenge",
            "challenge",
            "reused-code"
        ]
    );
    let log = std::fs::read_to_string(bench.folder.path().join("access.jsonl")).unwrap();
    assert!(log.contains("\"user_agent\":\"livery-tests\""));
    for secret in ["correct horse", &code, "NSC_"] {
        assert!(!log.contains(secret), "{secret} must not be in the log");
    }
}

#[tokio::test]
async fn five_failures_lock_the_login() {
    let bench = Bench::new(Limits { lock: 2, ..Limits::default() }).await;
    let mut jar = Jar::default();
    for _ in 0..5 {
        assert_eq!(bench.password("wrong", &mut jar).await, SIGN_IN);
    }
    assert!(bench.get(SIGN_IN, &mut jar).await.text().await.unwrap().contains("bloqué"));
    assert_eq!(bench.password("correct horse", &mut jar).await, SIGN_IN, "locked even for the right password");
    let begun = Instant::now();
    while bench.password("correct horse", &mut jar).await != CHALLENGE {
        assert!(begun.elapsed() < Duration::from_secs(30), "locked for good");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_session_expires() {
    let bench = Bench::new(Limits { session: 2, ..Limits::default() }).await;
    let mut jar = Jar::default();
    bench.password("correct horse", &mut jar).await;
    assert_eq!(bench.code(&bench.secret.code(now()), &mut jar).await, STORE);
    // Whoever asks goes on with the session, so nobody asks until it has expired: whole seconds, the last one begun.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(leads_to(&bench.get(STORE, &mut jar).await), SIGN_IN);
    assert!(bench.get(SIGN_IN, &mut jar).await.text().await.unwrap().contains("terminée"));
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let bench = Bench::new(Limits::default()).await;
    let mut jar = Jar::default();
    assert_eq!(bench.post("/cgi/login", &[("login", "x")], &mut jar).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let long = "x".repeat(20_000);
    assert_eq!(
        bench.post("/cgi/login", &[("login", &long), ("passwd", "x")], &mut jar).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(bench.get("/cgi/login", &mut jar).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(bench.get("/../etc/passwd", &mut jar).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(bench.get("/standin/rendered?w=-1&h=x", &mut jar).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn out_of_service_it_says_so() {
    let bench = Bench::new(Limits::default()).await;
    bench.gateway.set_available(false);
    let answer = bench.get(SIGN_IN, &mut Jar::default()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(header::RETRY_AFTER));
    assert!(answer.text().await.unwrap().contains("indisponible"));
}

#[tokio::test]
async fn only_its_own_authority_vouches_for_it() {
    let bench = Bench::new(Limits::default()).await;
    let other = Bench::new(Limits::default()).await;
    let stranger = client(&bench.gateway, other.gateway.ca_pem());
    let error = stranger.get(bench.gateway.url()).send().await.unwrap_err();
    assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
}

#[tokio::test]
async fn a_real_browser_draws_it() {
    let bench = Bench::new(Limits::default()).await;
    let address = bench.gateway.address().ip().to_string();
    for (language, name) in [("fr-FR", "gateway-fr.png"), ("en-GB", "gateway-en.png")] {
        let picture = bench.folder.path().join(name);
        let shot = Shot {
            url: &bench.gateway.url(),
            pin: bench.gateway.spki(),
            resolve: Some((HOST, &address)),
            language,
            size: (1280, 800),
            settle: Some(4000),
        };
        browser::picture(&shot, &picture).await.unwrap();
        let drawn = Picture::read(&picture).unwrap();
        assert_eq!((drawn.width, drawn.height), (1280, 800));
        assert!(drawn.shows(&MARKS), "the three marks are not on the picture");
        if let Some(keep) = std::env::var_os("LIVERY_KEEP_PICTURES") {
            std::fs::copy(&picture, std::path::Path::new(&keep).join(name)).unwrap();
        }
    }
    let beacons = bench.gateway.beacons();
    assert!(beacons.len() >= 2, "{beacons:?}");
    let rendered = beacons[0].rendered.as_ref().unwrap();
    assert_eq!((rendered.page.as_str(), rendered.width), (SIGN_IN, 1280));
    assert!(beacons[0].user_agent.as_ref().unwrap().contains("Chrome"));

    // A pin for another key must not open it: certificate checks are on.
    let refused = bench.folder.path().join("refused.png");
    let shot = Shot {
        url: &bench.gateway.url(),
        pin: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        resolve: Some((HOST, &address)),
        language: "fr-FR",
        size: (800, 600),
        settle: Some(2000),
    };
    if browser::picture(&shot, &refused).await.is_ok() {
        assert!(!Picture::read(&refused).unwrap().shows(&MARKS), "an unknown certificate was accepted");
    }
}
