//! The second factor. A code comes from a form; the phone's page and the security key's are scripts, which are told in JSON
//! where to go next.

use axum::{
    Form, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    App, CHALLENGE, SIGN_IN, STORE, back, complaint,
    cookies::{ERROR, SESSION, TICKET, clear, cookie, set, with_cookies},
    draw, language, with_outcome,
};
use crate::gateway::{
    guard::{Challenge, Outcome},
    now,
    pages::{Code, Complaint, Key, Push},
    webauthn::Assertion,
};

pub(super) async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    let complaint = cookie(&headers, ERROR).and_then(Complaint::of_number);
    let (language, organisation) = (language(&headers), app.organisation.as_str());
    let page = match cookie(&headers, TICKET).and_then(|ticket| app.guard.challenge(ticket, now())) {
        None => return back(SIGN_IN, Outcome::NoChallenge),
        Some(Challenge::Code) => draw(&Code { language, organisation, complaint }),
        Some(Challenge::Push) => draw(&Push { language, organisation }),
        Some(Challenge::Key { challenge, credential }) => {
            let (challenge, credential, party) = (&challenge, &credential, app.host.as_str());
            draw(&Key { language, organisation, complaint, challenge, credential, party })
        }
    };
    with_cookies(page, &[clear(ERROR)])
}

#[derive(Deserialize)]
pub(super) struct Answer {
    response: String,
}

pub(super) async fn code(State(app): State<App>, headers: HeaderMap, Form(form): Form<Answer>) -> Response {
    let Some(ticket) = cookie(&headers, TICKET) else { return back(SIGN_IN, Outcome::NoChallenge) };
    match app.guard.code(ticket, form.response.trim(), now()) {
        Ok(session) => with_outcome(with_cookies(Redirect::to(STORE), &[set(SESSION, &session), clear(TICKET)]), Outcome::SignedIn),
        Err(outcome) => back(after(outcome), outcome),
    }
}

pub(super) async fn push(State(app): State<App>, headers: HeaderMap) -> Response {
    let ticket = cookie(&headers, TICKET).unwrap_or_default();
    match app.guard.push(ticket, now()) {
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some(session)) => next(Ok(session)),
        Err(outcome) => next(Err(outcome)),
    }
}

pub(super) async fn key(State(app): State<App>, headers: HeaderMap, Json(assertion): Json<Assertion>) -> Response {
    let ticket = cookie(&headers, TICKET).unwrap_or_default();
    next(app.guard.assertion(ticket, &assertion, now()))
}

/// Tells a script where to go.
fn next(judged: Result<String, Outcome>) -> Response {
    let (to, cookies, outcome) = match judged {
        Ok(session) => (STORE, vec![set(SESSION, &session), clear(TICKET)], Outcome::SignedIn),
        Err(outcome) => (after(outcome), vec![set(ERROR, complaint(outcome).number())], outcome),
    };
    with_outcome(with_cookies(Json(json!({ "next": to })), &cookies), outcome)
}

/// Where a wrong answer leads: to the same question, or to the start where there is nothing left to answer.
fn after(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::WrongCode | Outcome::ExpiredCode | Outcome::ReusedCode | Outcome::Assertion(_) => CHALLENGE,
        _ => SIGN_IN,
    }
}
