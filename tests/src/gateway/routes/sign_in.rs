//! Name and password; signing out.

use axum::{
    Form,
    extract::State,
    http::HeaderMap,
    response::{Redirect, Response},
};
use serde::Deserialize;

use super::{
    App, CHALLENGE, SIGN_IN, back,
    cookies::{ERROR, SESSION, TICKET, clear, cookie, set, with_cookies},
    draw, language, with_outcome,
};
use crate::gateway::{
    guard::Outcome,
    now,
    pages::{Complaint, SignIn},
};

pub(super) async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    let complaint = cookie(&headers, ERROR).and_then(Complaint::of_number);
    let page = SignIn { language: language(&headers), organisation: &app.organisation, complaint };
    with_cookies(draw(&page), &[clear(ERROR)])
}

#[derive(Deserialize)]
pub(super) struct Login {
    login: String,
    passwd: String,
}

pub(super) async fn login(State(app): State<App>, Form(form): Form<Login>) -> Response {
    match app.guard.password(&form.login, &form.passwd, now()) {
        Ok(ticket) => with_outcome(with_cookies(Redirect::to(CHALLENGE), &[set(TICKET, &ticket)]), Outcome::Challenge),
        Err(outcome) => back(SIGN_IN, outcome),
    }
}

pub(super) async fn logout(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers, SESSION) {
        app.guard.sign_out(token);
    }
    let cookies = [clear(SESSION), clear(TICKET), clear(ERROR)];
    with_outcome(with_cookies(Redirect::to(SIGN_IN), &cookies), Outcome::SignedOut)
}
