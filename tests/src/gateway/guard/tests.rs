#![allow(clippy::unwrap_used)]
use super::*;
use crate::gateway::{
    accounts::{Account, Receiver},
    totp::Secret,
    webauthn::{Assertion, PublicKeyCredential},
};

const HOST: &str = "gateway.example";
const NOW: u64 = 1_800_000_000;

fn guard() -> (Guard, Secret) {
    let secret = Secret::generate().unwrap();
    let account = Account {
        login: "marie".into(),
        name: "Marie".into(),
        password: "right".into(),
        secret: secret.to_base32(),
        desktop: "Desk".into(),
        ..Account::default()
    };
    (Guard::new(HOST, Accounts { account: vec![account] }, Limits::default()), secret)
}

#[test]
fn a_code_is_accepted_once_and_only_in_its_time() {
    let (guard, secret) = guard();
    let ticket = guard.password("marie", "right", NOW).unwrap();
    assert_eq!(guard.code(&ticket, &secret.code(NOW - 120), NOW), Err(Outcome::ExpiredCode));
    let code = secret.code(NOW);
    let session = guard.code(&ticket, &code, NOW).unwrap();
    assert_eq!(guard.session(&session, NOW).unwrap().login, "marie");
    assert_eq!(guard.code(&ticket, &code, NOW), Err(Outcome::NoChallenge), "a ticket is for one sign-in");
    let again = guard.password("marie", "right", NOW + 1).unwrap();
    assert_eq!(guard.code(&again, &code, NOW + 1), Err(Outcome::ReusedCode));
    assert_eq!(guard.code(&again, &secret.code(NOW - 30), NOW + 1), Err(Outcome::ReusedCode), "nor one before it");
    assert!(guard.code(&again, &secret.code(NOW + 30), NOW + 30).is_ok());
}

#[test]
fn five_failures_lock_for_a_while() {
    let (guard, secret) = guard();
    for _ in 0..2 {
        assert_eq!(guard.password("marie", "wrong", NOW), Err(Outcome::WrongPassword));
    }
    let ticket = guard.password("marie", "right", NOW).unwrap();
    let wrong = if secret.step_of("000000", NOW).is_some() { "111111" } else { "000000" };
    for _ in 0..2 {
        assert_eq!(guard.code(&ticket, wrong, NOW), Err(Outcome::WrongCode));
    }
    assert_eq!(guard.code(&ticket, wrong, NOW), Err(Outcome::Locked));
    assert_eq!(guard.code(&ticket, &secret.code(NOW), NOW), Err(Outcome::Locked), "even a right one");
    assert_eq!(guard.password("marie", "right", NOW + 299), Err(Outcome::Locked));
    assert!(guard.password("marie", "right", NOW + 300).is_ok());
    assert_eq!(guard.password("nobody", "x", NOW), Err(Outcome::UnknownUser));
}

#[test]
fn a_challenge_expires() {
    let (guard, secret) = guard();
    let ticket = guard.password("marie", "right", NOW).unwrap();
    assert_eq!(guard.challenge(&ticket, NOW + 179), Some(Challenge::Code));
    assert_eq!(guard.code(&ticket, &secret.code(NOW + 180), NOW + 180), Err(Outcome::NoChallenge));
}

/// A person with another factor than a code.
fn guard_by(factor: Factor, receiver: Receiver) -> Guard {
    let credential = Some(PublicKeyCredential::of_point(b"key", &[&[4][..], &[7; 64]].concat()));
    let account = Account { login: "marie".into(), password: "right".into(), factor, receiver, credential, ..Account::default() };
    Guard::new(HOST, Accounts { account: vec![account] }, Limits::default())
}

#[test]
fn an_approved_push_signs_in_once() {
    let guard = guard_by(Factor::Push, Receiver::Html5);
    assert!(!guard.phone_answers("marie", Answer::Approve, NOW), "nothing was asked");
    let ticket = guard.password("marie", "right", NOW).unwrap();
    assert_eq!(guard.challenge(&ticket, NOW), Some(Challenge::Push));
    assert_eq!(guard.push(&ticket, NOW), Ok(None));
    assert!(guard.phone_answers("marie", Answer::Approve, NOW + 59));
    let session = guard.push(&ticket, NOW + 90).unwrap().unwrap();
    assert!(guard.lasts(&session, NOW + 90));
    assert_eq!(guard.push(&ticket, NOW + 90), Err(Outcome::NoChallenge));
}

#[test]
fn every_other_push_ends_the_sign_in() {
    let guard = guard_by(Factor::Push, Receiver::Html5);
    let (first, second) = (guard.password("marie", "right", NOW).unwrap(), guard.password("marie", "right", NOW).unwrap());
    assert_eq!(guard.push(&first, NOW), Err(Outcome::PushReplaced));
    assert!(guard.phone_answers("marie", Answer::Deny, NOW));
    assert_eq!(guard.push(&second, NOW), Err(Outcome::PushDenied));
    let third = guard.password("marie", "right", NOW).unwrap();
    assert_eq!(guard.push(&third, NOW + 60), Err(Outcome::PushTimedOut));
    for ticket in [&first, &second, &third] {
        assert_eq!(guard.push(ticket, NOW), Err(Outcome::NoChallenge));
    }
    // Denied and unanswered ones count as failures.
    for _ in 0..2 {
        let ticket = guard.password("marie", "right", NOW).unwrap();
        guard.phone_answers("marie", Answer::Deny, NOW);
        assert_eq!(guard.push(&ticket, NOW), Err(Outcome::PushDenied));
    }
    let ticket = guard.password("marie", "right", NOW).unwrap();
    guard.phone_answers("marie", Answer::Deny, NOW);
    assert_eq!(guard.push(&ticket, NOW), Err(Outcome::Locked));
}

#[test]
fn a_sign_in_takes_only_its_own_factor() {
    let (guard, _) = guard();
    let ticket = guard.password("marie", "right", NOW).unwrap();
    let assertion = Assertion { id: "".into(), client_data: "".into(), authenticator_data: "".into(), signature: "".into() };
    assert_eq!(guard.push(&ticket, NOW), Err(Outcome::NoChallenge));
    assert_eq!(guard.assertion(&ticket, &assertion, NOW), Err(Outcome::NoChallenge));
    let guard = guard_by(Factor::Push, Receiver::Html5);
    let ticket = guard.password("marie", "right", NOW).unwrap();
    assert_eq!(guard.code(&ticket, "000000", NOW), Err(Outcome::NoChallenge));
}

#[test]
fn a_challenge_is_for_one_answer() {
    let guard = guard_by(Factor::Fido2, Receiver::Html5);
    let ticket = guard.password("marie", "right", NOW).unwrap();
    let assertion = Assertion { id: "a2V5".into(), client_data: "".into(), authenticator_data: "".into(), signature: "".into() };
    let refused = |refusal| Err(Outcome::Assertion(refusal));
    assert_eq!(guard.assertion(&ticket, &assertion, NOW), refused(Refusal::OtherChallenge), "none was given");
    let (one, other) = (guard.challenge(&ticket, NOW).unwrap(), guard.challenge(&ticket, NOW).unwrap());
    assert_ne!(one, other);
    assert_eq!(guard.assertion(&ticket, &assertion, NOW), refused(Refusal::Malformed));
    assert_eq!(guard.assertion(&ticket, &assertion, NOW), refused(Refusal::OtherChallenge), "it is spent");
    let outcome = serde_json::to_string(&Outcome::Assertion(Refusal::CounterStuck)).unwrap();
    assert_eq!(outcome, "\"counter-stuck\"");
}

fn session(guard: &Guard) -> String {
    let ticket = guard.password("marie", "right", NOW).unwrap();
    assert!(guard.phone_answers("marie", Answer::Approve, NOW));
    guard.push(&ticket, NOW).unwrap().unwrap()
}

#[test]
fn sessions_end() {
    let guard = guard_by(Factor::Push, Receiver::Html5);
    let idle = session(&guard);
    assert!(guard.lasts(&idle, NOW + 1799));
    assert!(guard.session(&idle, NOW + 1799).is_some(), "to look at it does not prolong it, to use it does");
    assert!(guard.lasts(&idle, NOW + 1799 + 1799));
    assert!(guard.session(&idle, NOW + 1799 + 1800).is_none(), "idle");
    assert!(!guard.lasts(&idle, NOW + 1799), "and it does not come back");

    let long = session(&guard);
    for minute in 0..8 * 60 {
        assert!(guard.session(&long, NOW + minute * 60).is_some());
    }
    assert!(guard.session(&long, NOW + 8 * 3600).is_none(), "its whole length");

    let left = session(&guard);
    guard.sign_out(&left);
    assert!(guard.session(&left, NOW).is_none());
}

#[test]
fn a_launch_is_once_and_soon_and_in_its_session() {
    let guard = guard_by(Factor::Push, Receiver::Native);
    let token = session(&guard);
    let redeem = |ticket: &str, now| guard.redeem(ticket, Receiver::Native, now).map(|launch| launch.login);
    let ticket = guard.launch(&token, NOW).unwrap();
    assert_eq!(redeem(&ticket, NOW + 99).unwrap(), "marie");
    assert_eq!(redeem(&ticket, NOW + 99), Err(Outcome::BadLaunch), "once");
    let ticket = guard.launch(&token, NOW).unwrap();
    assert_eq!(redeem(&ticket, NOW + 100), Err(Outcome::BadLaunch), "too late");
    let ticket = guard.launch(&token, NOW).unwrap();
    assert_eq!(guard.redeem(&ticket, Receiver::Html5, NOW), Err(Outcome::BadLaunch), "in what it is for");
    let ticket = guard.launch(&token, NOW).unwrap();
    guard.sign_out(&token);
    assert_eq!(redeem(&ticket, NOW), Err(Outcome::BadLaunch), "not after signing out");
    assert_eq!(guard.launch(&token, NOW), Err(Outcome::NoSession));
}
