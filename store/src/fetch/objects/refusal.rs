//! What an object store's refusals mean for the person who has to mend them.
//!
//! Of S3's error documents only the code and the region are taken: the rest repeats the request, and with it the session
//! token (`CanonicalRequest` of `SignatureDoesNotMatch`).

use livery_contract::Fault;
use reqwest::StatusCode;

use crate::fetch::answer::{Missing, SERVER, unexpected};

/// An answer that brings no bytes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the server ignores range requests")]
    NoRanges,
    #[error("{0}")]
    Status(Said),
}

/// What a refusal says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}")]
pub(super) struct Said {
    status: StatusCode,
    /// S3's error code, such as `NoSuchKey`; empty where there is none.
    code: String,
    /// The bucket's region, where the object store tells it.
    region: Option<String>,
}

impl Said {
    /// From an answer's status, its `x-amz-bucket-region` and its text.
    pub(super) fn new(status: StatusCode, region: Option<&str>, text: &str) -> Self {
        let region = region.and_then(word).or_else(|| element(text, "Region"));
        Self { status, code: element(text, "Code").unwrap_or_default(), region }
    }

    /// Why the file at `place` can't be had. `signed` is whether there were credentials.
    pub(super) fn missing(&self, place: &str, bucket: &str, signed: bool) -> Missing {
        let (status, code) = (self.status, self.code.as_str());
        let said = if code.is_empty() { status.to_string() } else { format!("{status}, {code}") };
        let fault = |what: String| Fault::source(what).at(place);
        match (status.as_u16(), code) {
            (_, "NoSuchBucket") => fault(format!("the object store has no bucket {bucket}"))
                .fix("check the bucket's name, and that AWS_ENDPOINT_URL and AWS_REGION match it"),
            (404 | 410, _) => return Missing::Absent,
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") => {
                fault(format!("the object store does not know these credentials ({code})"))
                    .fix("check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
            }
            (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
                fault(format!("the object store no longer accepts these credentials ({code})"))
                    .fix("get new credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN belong together")
            }
            (_, "RequestTimeTooSkewed") => fault("this machine's clock and the object store's differ too much".into())
                .fix("set this machine's clock, then run the same command again"),
            (301 | 307 | 308, _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => match &self.region {
                Some(region) => {
                    fault(format!("the bucket {bucket} is in the region {region}")).fix(format!("set AWS_REGION={region}"))
                }
                None => fault(format!("the bucket {bucket} is in another region ({said})"))
                    .fix("set AWS_REGION to the bucket's region, or AWS_ENDPOINT_URL to its object store"),
            },
            (401 | 403, _) if signed => fault(format!("these credentials may not read this ({said})")).fix(
                "check AWS_ACCESS_KEY_ID; its owner needs s3:GetObject on the store's objects and s3:ListBucket on its bucket",
            ),
            (401 | 403, _) => fault(format!("this may not be read without credentials ({said})")).fix(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `aws configure export-credentials --format env` prints them",
            ),
            (416, _) => {
                fault("the pack is shorter than the image requires".into()).fix("the store is incomplete or damaged: copy it again")
            }
            _ if status.is_redirection() || code.is_empty() => unexpected(place, status),
            _ => fault(format!("the object store answered {said}")).fix(SERVER),
        }
        .into()
    }
}

/// The first element of this name.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    word(inner)
}

/// It goes to a terminal: letters, digits and hyphens only.
fn word(text: &str) -> Option<String> {
    let good = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, text: &str) -> Said {
        Said::new(StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT), None, text)
    }

    fn fault(said: &Said, signed: bool) -> Option<String> {
        match said.missing("s3://b/x", "b", signed) {
            Missing::Absent => None,
            Missing::Failed(fault) => Some(fault.render()),
        }
    }

    #[test]
    fn codes_tell_what_to_mend() {
        for (status, code, signed, hint) in [
            (404, "NoSuchBucket", true, "has no bucket b"),
            (403, "SignatureDoesNotMatch", true, "AWS_SECRET_ACCESS_KEY"),
            (403, "InvalidAccessKeyId", true, "AWS_ACCESS_KEY_ID"),
            (400, "ExpiredToken", true, "AWS_SESSION_TOKEN"),
            (403, "RequestTimeTooSkewed", true, "clock"),
            (403, "AccessDenied", true, "s3:GetObject"),
            (403, "AccessDenied", false, "without credentials"),
            (403, "", false, "without credentials"),
            (416, "InvalidRange", true, "shorter"),
            (503, "SlowDown", true, "503"),
            (301, "PermanentRedirect", true, "AWS_REGION"),
        ] {
            let said = said(status, &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>x</Message></Error>"));
            let text = fault(&said, signed).unwrap_or_default();
            assert!(text.contains(hint) && text.contains("fix: "), "{status} {code}: {text}");
        }
        let moved = said(400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region></Error>");
        assert!(fault(&moved, true).unwrap_or_default().contains("AWS_REGION=eu-west-3"));
    }

    #[test]
    fn absence_is_told_apart() {
        assert_eq!(fault(&said(404, "<Code>NoSuchKey</Code>"), true), None);
        assert_eq!(fault(&said(404, ""), true), None);
        // Whoever may read but not list is told this of what is not there, too: it can't be told apart.
        assert!(fault(&said(403, "<Code>AccessDenied</Code>"), true).is_some());
    }

    #[test]
    fn nothing_of_the_request_comes_back() {
        let text = "<Error><Code>Signature\u{1b}[2J</Code><CanonicalRequest>x-amz-security-token:SECRET</CanonicalRequest></Error>";
        let said = said(403, text);
        assert_eq!(said.code, "");
        let text = format!("{said:?} {said} {}", fault(&said, true).unwrap_or_default());
        assert!(!text.contains("SECRET") && !text.contains('\u{1b}'), "{text}");
    }
}
