//! The page itself: one HTML document that loads nothing else, and shows the line even where no script runs.
//!
//! Style and script are put into it, and the Content-Security-Policy names their digests (CSP level 3, section 2.3.1):
//! anything that came in by way of a device's or a roster's text could not run.

use std::sync::LazyLock;

use askama::Template;
use axum::http::{HeaderName, HeaderValue, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::{Digest, Fault, Result};

use super::view::{Left, Middle, View};

const STYLE: &str = include_str!("line.css");
const SCRIPT: &str = include_str!("line.js");

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = |text: &str| BASE64_STANDARD.encode(Digest::of(text.as_bytes()).as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
        digest(STYLE),
        digest(SCRIPT)
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|error| unreachable!("plain text: {error}"))
});

/// The template; it escapes every text.
#[derive(Template)]
#[template(path = "line.html")]
struct Page<'a> {
    view: &'a View,
    /// With style and script.
    whole: bool,
    style: &'static str,
    script: &'static str,
}

/// The whole page.
///
/// # Errors
/// Never: a template over plain data.
pub(super) fn whole(view: &View) -> Result<String> {
    render(&Page { view, whole: true, style: STYLE, script: SCRIPT })
}

/// The same without style and script, for a page that is open already.
///
/// # Errors
/// As [`whole`].
pub(super) fn update(view: &View) -> Result<String> {
    render(&Page { view, whole: false, style: "", script: "" })
}

fn render(page: &Page<'_>) -> Result<String> {
    page.render().map_err(|error| Fault::internal("the page does not render").cause(error))
}

/// What is answered with any HTML of the page.
pub(super) fn headers() -> [(HeaderName, HeaderValue); 4] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_page_loads_nothing_and_writes_text_only() {
        let html = whole(&View::absent("the database is away".into())).unwrap();
        assert!(html.contains("EventSource") && html.contains("aria-live"));
        for bad in ["src=", "href=", "@import", "url(", "http://", "https://", "/*style*/", "/*script*/", " style=", " onclick="] {
            assert!(!html.contains(bad), "{bad}");
        }
        for bad in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "setHTML",
            "DOMParser",
            "createContextualFragment",
            "srcdoc",
        ] {
            assert!(!SCRIPT.contains(bad), "{bad}");
        }
        assert!(POLICY.to_str().unwrap().starts_with("default-src 'none'"));
        // A closing tag inside would end the element early, and the digest would not fit.
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
        assert!(html.contains(&format!("<style>{STYLE}</style>")) && html.contains(&format!("<script>{SCRIPT}</script>")));
    }

    #[test]
    fn an_update_is_the_page_without_style_and_script() {
        let view = View::absent("away".into());
        let (page, update) = (whole(&view).unwrap(), update(&view).unwrap());
        assert!(!update.contains("<script") && !update.contains("<style"));
        let body = |html: &str| html[html.find("<body").unwrap()..html.find("<div id=\"said\"").unwrap()].to_owned();
        assert_eq!(body(&page), body(&update));
    }
}
