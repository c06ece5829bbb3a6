//! The phone and the security key, answered in every way over HTTP.

use livery_tests::{
    gateway::{
        accounts::{Account, Factor},
        guard::Limits,
        push::Answer,
        webauthn::Assertion,
    },
    security_key::PrivateCredential,
};
use reqwest::StatusCode;

use super::bench::{Bench, CHALLENGE, HOST, Jar, LOGIN, SIGN_IN, STORE, next};

fn push() -> Account {
    Account { factor: Factor::Push, ..Account::default() }
}

#[tokio::test]
async fn a_phone_answers_for_the_sign_in_that_asked_it() {
    let bench = Bench::of(push(), Limits::default()).await;
    let (mut first, mut second) = (Jar::default(), Jar::default());
    assert_eq!(bench.password("correct horse", &mut first).await, CHALLENGE);
    assert!(bench.get(CHALLENGE, &mut first).await.text().await.unwrap().contains("Approuvez-la"));
    assert_eq!(bench.poll(&mut first).await, None);
    assert_eq!(bench.poll(&mut Jar::default()).await.as_deref(), Some(SIGN_IN), "nothing for strangers");

    assert_eq!(bench.password("correct horse", &mut second).await, CHALLENGE);
    assert!(bench.gateway.answer_phone(LOGIN, Answer::Approve));
    assert_eq!(bench.poll(&mut first).await.as_deref(), Some(SIGN_IN), "the second has taken the first one's place");
    assert!(bench.get(SIGN_IN, &mut first).await.text().await.unwrap().contains("remplacé"));
    assert!(!first.has("NSC_AAAC"));
    assert_eq!(bench.poll(&mut second).await.as_deref(), Some(STORE));
    assert!(second.has("NSC_AAAC"));
    assert!(!bench.gateway.answer_phone(LOGIN, Answer::Deny), "answered is answered");
    assert_eq!(bench.outcomes(), ["challenge", "no-challenge", "challenge", "push-replaced", "signed-in"]);
}

#[tokio::test]
async fn a_phone_that_says_no() {
    let bench = Bench::of(push(), Limits::default()).await;
    for _ in 0..4 {
        let mut jar = Jar::default();
        bench.password("correct horse", &mut jar).await;
        assert!(bench.gateway.answer_phone(LOGIN, Answer::Deny));
        assert_eq!(bench.poll(&mut jar).await.as_deref(), Some(SIGN_IN));
        assert!(bench.get(SIGN_IN, &mut jar).await.text().await.unwrap().contains("refusée"));
        assert_eq!(bench.poll(&mut jar).await.as_deref(), Some(SIGN_IN), "that sign-in is over");
        assert!(!jar.has("NSC_AAAC"));
    }
    let mut jar = Jar::default();
    bench.password("correct horse", &mut jar).await;
    assert!(bench.gateway.answer_phone(LOGIN, Answer::Deny));
    assert_eq!(bench.poll(&mut jar).await.as_deref(), Some(SIGN_IN));
    assert!(bench.get(SIGN_IN, &mut jar).await.text().await.unwrap().contains("bloqué"), "asked too often");
}

/// Gives the password, and what the page asks the security key to sign.
async fn challenge(bench: &Bench, jar: &mut Jar) -> String {
    assert_eq!(bench.password("correct horse", jar).await, CHALLENGE);
    asked(bench, jar).await
}

async fn asked(bench: &Bench, jar: &mut Jar) -> String {
    let page = bench.get(CHALLENGE, jar).await.text().await.unwrap();
    page.split("data-challenge=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

async fn answer(bench: &Bench, assertion: &Assertion, jar: &mut Jar) -> String {
    next(bench.post_json("/cgi/fido2", assertion, jar).await).await
}

#[tokio::test]
async fn a_security_key_signs_in_and_every_false_one_does_not() {
    let (key, foreign) = (PrivateCredential::generate(b"key").unwrap(), PrivateCredential::generate(b"key").unwrap());
    let account = Account { factor: Factor::Fido2, credential: Some(key.public()), ..Account::default() };
    let bench = Bench::of(account, Limits { tries: 20, ..Limits::default() }).await;
    let origin = bench.gateway.url().trim_end_matches('/').to_owned();

    let mut jar = Jar::default();
    let asked_first = challenge(&bench, &mut jar).await;
    let right = key.sign(&origin, HOST, &asked_first, 1).unwrap();
    assert_eq!(answer(&bench, &right, &mut jar).await, STORE);
    assert!(jar.has("NSC_AAAC"));

    // Somebody who has the password, and has listened.
    let mut jar = Jar::default();
    assert_ne!(challenge(&bench, &mut jar).await, asked_first);
    assert_eq!(answer(&bench, &right, &mut jar).await, CHALLENGE, "an answer from before");
    for (key, origin, party, count) in [
        (&foreign, origin.as_str(), HOST, 2),
        (&key, "https://evil.example", HOST, 2),
        (&key, &origin, "evil.example", 2),
        (&key, &origin, HOST, 1),
    ] {
        let assertion = key.sign(origin, party, &asked(&bench, &mut jar).await, count).unwrap();
        assert_eq!(answer(&bench, &assertion, &mut jar).await, CHALLENGE);
        assert!(bench.get(CHALLENGE, &mut jar).await.text().await.unwrap().contains("pas été acceptée"));
    }
    // Twice to one challenge.
    let twice = foreign.sign(&origin, HOST, &asked(&bench, &mut jar).await, 2).unwrap();
    assert_eq!(answer(&bench, &twice, &mut jar).await, CHALLENGE);
    assert_eq!(answer(&bench, &twice, &mut jar).await, CHALLENGE);
    let refused = [
        "other-challenge",
        "wrong-signature",
        "other-origin",
        "other-party",
        "counter-stuck",
        "wrong-signature",
        "other-challenge",
    ];
    assert_eq!(bench.outcomes(), [&["challenge", "signed-in", "challenge"][..], &refused].concat());
    assert!(!jar.has("NSC_AAAC"));
}

#[tokio::test]
async fn what_is_no_assertion_is_refused() {
    let key = PrivateCredential::generate(b"key").unwrap();
    let account = Account { factor: Factor::Fido2, credential: Some(key.public()), ..Account::default() };
    let bench = Bench::of(account, Limits::default()).await;
    let mut jar = Jar::default();
    challenge(&bench, &mut jar).await;
    let answer = bench.post_json("/cgi/fido2", &"x", &mut jar).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let answer = bench.post("/cgi/fido2", &[("id", "x")], &mut jar).await;
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
