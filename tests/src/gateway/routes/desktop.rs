//! The desktop in the browser: a page, and a WebSocket over which pixels come and keys go.

use std::time::Duration;

use axum::{
    extract::{
        Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use tokio::time::interval;

use super::{
    App, POLICY, SIGN_IN, back,
    cookies::{SESSION, cookie},
    draw, language, reached_by, text, with_outcome,
};
use crate::gateway::{accounts::Receiver, desktops::Number, guard::Outcome, now, pages::DesktopPage, screen, webauthn::is_of};

/// The page, as Citrix's receiver for HTML5 has it.
pub(super) const PAGE: &str = "/Citrix/StoreWeb/clients/HTML5Client/src/SessionWindow.html";
/// Its script.
pub(super) const SCRIPT_PATH: &str = "/Citrix/StoreWeb/clients/HTML5Client/src/desktop.js";
/// Its WebSocket.
pub(super) const LINE: &str = "/Citrix/StoreWeb/clients/HTML5Client/session";

/// How often a live desktop looks whether its session lasts.
const LOOK: Duration = Duration::from_millis(250);
/// The longest thing that a page may say.
const LONGEST: usize = 1 << 10;

pub(super) async fn page(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let token = cookie(&headers, SESSION).unwrap_or_default();
    let Some(account) = app.guard.session(token, now()) else { return back(SIGN_IN, Outcome::NoSession) };
    if account.receiver != Receiver::Html5 {
        return StatusCode::NOT_FOUND.into_response();
    }
    let ticket = match app.guard.launch(token, now()) {
        Ok(ticket) => ticket,
        Err(outcome) => return back(SIGN_IN, outcome),
    };
    let mut response = draw(&DesktopPage {
        language: language(&headers),
        organisation: &app.organisation,
        desktop: &account.desktop,
        ticket: &ticket,
        width: screen::WIDTH,
        height: screen::HEIGHT,
    });
    // That 'self' takes in the same host's WebSockets is newer than some browsers.
    if let Some(host) = reached_by(&uri, &headers)
        && let Ok(policy) =
            HeaderValue::from_str(&POLICY.replace("connect-src 'self'", &format!("connect-src 'self' wss://{host}")))
    {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    with_outcome(response, Outcome::Launch)
}

#[derive(Deserialize)]
pub(super) struct Opening {
    ticket: String,
}

pub(super) async fn line(
    State(app): State<App>,
    Query(opening): Query<Opening>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let refused = |outcome| with_outcome(StatusCode::FORBIDDEN.into_response(), outcome);
    // The same-origin policy does not hold for WebSockets: any page may open one, with our cookies.
    if !text(&headers, header::ORIGIN).is_some_and(|origin| is_of(&origin, &app.host)) {
        return refused(Outcome::BadLaunch);
    }
    let Some(token) = cookie(&headers, SESSION).filter(|token| app.guard.lasts(token, now())).map(str::to_owned) else {
        return refused(Outcome::NoSession);
    };
    let launch = match app.guard.redeem(&opening.ticket, Receiver::Html5, now()) {
        Ok(launch) if launch.is_of(&token) => launch,
        Ok(_) => return refused(Outcome::BadLaunch),
        Err(outcome) => return refused(outcome),
    };
    let Some(number) = app.desktops.open(&launch.login) else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let response = upgrade.max_message_size(LONGEST).on_upgrade(move |socket| async move {
        serve(&app, socket, &token, number).await;
        app.desktops.end(number);
    });
    with_outcome(response, Outcome::Launched)
}

/// What a page says.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    /// A key was pressed.
    Key(String),
    /// The first pixels are on the screen.
    Drawn,
}

/// Until one side has had enough, or the session is over.
async fn serve(app: &App, mut socket: WebSocket, token: &str, number: Number) {
    for area in screen::first() {
        if socket.send(Message::Binary(area.bytes().into())).await.is_err() {
            return;
        }
    }
    let mut look = interval(LOOK);
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            _ = look.tick() => {
                if app.desktops.ended(number) || !app.guard.lasts(token, now()) {
                    let _ = socket.send(Message::Close(None)).await;
                    return;
                }
                continue;
            }
        };
        let Some(Ok(message)) = message else { return };
        let Message::Text(text) = message else { continue };
        match serde_json::from_str(&text) {
            Ok(Said::Drawn) => app.desktops.drawn(number),
            // Typing counts as something done in the session.
            Ok(Said::Key(key)) if app.guard.session(token, now()).is_some() => {
                let place = app.desktops.key(number, &key);
                if socket.send(Message::Binary(screen::block(place, &key).bytes().into())).await.is_err() {
                    return;
                }
            }
            Ok(Said::Key(_)) | Err(_) => return,
        }
    }
}
