//! StoreFront: the published desktop, and the file that opens it in Citrix's client.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::{
    App, SIGN_IN, back,
    cookies::{SESSION, cookie},
    desktop, draw, language, reached_by, with_outcome,
};
use crate::gateway::{
    accounts::{Account, Receiver},
    guard::Outcome,
    ica, now,
    pages::StorePage,
    tickets::hexadecimal,
};

/// The file's path; StoreFront names a resource by its identifier in hexadecimal digits or so.
pub(super) const LAUNCH: &str = "/Citrix/StoreWeb/Resources/LaunchIca/{resource}";

fn resource(account: &Account) -> String {
    hexadecimal(account.desktop.as_bytes())
}

pub(super) async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    let Some(account) = cookie(&headers, SESSION).and_then(|token| app.guard.session(token, now())) else {
        return back(SIGN_IN, Outcome::NoSession);
    };
    let open = match account.receiver {
        Receiver::Native => format!("/Citrix/StoreWeb/Resources/LaunchIca/{}.ica", resource(account)),
        Receiver::Html5 => desktop::PAGE.to_owned(),
    };
    draw(&StorePage { language: language(&headers), organisation: &app.organisation, account, open: &open })
}

pub(super) async fn launch(State(app): State<App>, uri: Uri, headers: HeaderMap, Path(name): Path<String>) -> Response {
    let token = cookie(&headers, SESSION).unwrap_or_default();
    let Some(account) = app.guard.session(token, now()) else { return back(SIGN_IN, Outcome::NoSession) };
    if account.receiver != Receiver::Native || name != format!("{}.ica", resource(account)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let ticket = match app.guard.launch(token, now()) {
        Ok(ticket) => ticket,
        Err(outcome) => return back(SIGN_IN, outcome),
    };
    let gateway = reached_by(&uri, &headers).unwrap_or_else(|| app.host.clone());
    let gateway = if gateway.contains(':') { gateway } else { format!("{gateway}:443") };
    let language = language(&headers).code();
    let file = ica::file(&ica::Launch { desktop: &account.desktop, gateway: &gateway, ticket: &ticket, language });
    let headers =
        [(header::CONTENT_TYPE, "application/x-ica"), (header::CONTENT_DISPOSITION, "attachment; filename=\"launch.ica\"")];
    with_outcome((headers, file).into_response(), Outcome::Launch)
}

/// Stands for all that a real client does with the ticket: who gives it is let in, once.
pub(super) async fn redeem(State(app): State<App>, ticket: String) -> Response {
    match app.guard.redeem(ticket.trim(), Receiver::Native, now()) {
        Ok(launch) => with_outcome(Json(json!({ "login": launch.login })).into_response(), Outcome::Launched),
        Err(outcome) => with_outcome(StatusCode::FORBIDDEN.into_response(), outcome),
    }
}
