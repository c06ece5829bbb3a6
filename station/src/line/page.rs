//! The page itself: one HTML document that loads nothing else.
//!
//! Style and script are put into it at the start, and the Content-Security-Policy names their digests (CSP level 3,
//! section 2.3.1): anything that came in by way of a device's or a roster's text could not run.

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::Digest;

const HTML: &str = include_str!("line.html");
const STYLE: &str = include_str!("line.css");
const SCRIPT: &str = include_str!("line.js");

static PAGE: LazyLock<(String, HeaderValue)> = LazyLock::new(|| {
    let html = HTML.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT);
    let digest = |text: &str| BASE64_STANDARD.encode(Digest::of(text.as_bytes()).as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
        digest(STYLE),
        digest(SCRIPT)
    );
    let policy = HeaderValue::from_str(&policy).unwrap_or_else(|error| unreachable!("plain text: {error}"));
    (html, policy)
});

/// `GET /`.
pub async fn get() -> impl IntoResponse {
    let (html, policy) = &*PAGE;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (headers, Html(html.as_str()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_page_loads_nothing_and_writes_text_only() {
        let (html, policy) = &*PAGE;
        assert!(html.contains("EventSource") && html.contains("aria-live"));
        for bad in ["src=", "href=", "@import", "url(", "http://", "https://", "/*style*/", "/*script*/", " style=", " onclick="] {
            assert!(!html.contains(bad), "{bad}");
        }
        for bad in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPT.contains(bad), "{bad}");
        }
        assert!(policy.to_str().unwrap().starts_with("default-src 'none'"));
        // A closing tag inside would end the element early, and the digest would not fit.
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}
