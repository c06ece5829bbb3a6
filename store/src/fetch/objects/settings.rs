//! Where an object store is reached and by which credentials: the `AWS_…` variables of the environment that tools of the
//! field share.
//!
//! | variable | |
//! |---|---|
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | credentials; without any, requests are not signed |
//! | `AWS_REGION`, `AWS_DEFAULT_REGION` | the bucket's region; `us-east-1` where none is said |
//! | `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` | the object store, where it is not Amazon's |
//! | `AWS_SKIP_SIGNATURE` | `true`: not signed, credentials or none |
//!
//! No others: a device on the line asks neither an instance's metadata service nor a token service for credentials.

use std::ffi::OsString;

use livery_contract::{Fault, Result};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};
use url::Url;

use crate::location::loopback;

/// What the environment says.
pub(super) struct Settings {
    pub(super) builder: AmazonS3Builder,
    /// Where it is reached, where it is not Amazon's.
    pub(super) endpoint: Option<String>,
    /// Whether requests are signed.
    pub(super) signed: bool,
}

impl Settings {
    /// # Errors
    /// Exit 2 where half of the credentials is missing, or the endpoint is no URL or would send them in the clear.
    pub(super) fn read(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self> {
        let (mut builder, mut elsewhere, mut skip) = (AmazonS3Builder::new(), None, false);
        for (name, value) in environment {
            // An empty variable is one that is not set, as in Amazon's own tools.
            let (Some(name), false) = (name.to_str().filter(|name| name.starts_with("AWS_")), value.is_empty()) else { continue };
            let Ok(key) = name.to_ascii_lowercase().parse::<Key>() else { continue };
            match key {
                Key::AccessKeyId
                | Key::SecretAccessKey
                | Key::Token
                | Key::Region
                | Key::DefaultRegion
                | Key::Endpoint
                | Key::S3Endpoint => {
                    let value = value.to_str().ok_or_else(|| Fault::usage(format!("{name} is not text")))?;
                    builder = builder.with_config(key, value);
                }
                Key::SkipSignature => {
                    skip = value
                        .to_str()
                        .is_some_and(|value| ["true", "1", "yes", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes)));
                }
                Key::WebIdentityTokenFile | Key::ContainerCredentialsRelativeUri | Key::ContainerCredentialsFullUri => {
                    elsewhere = Some(name.to_owned());
                }
                _ => {}
            }
        }
        let has = |key: Key| builder.get_config_value(&key).is_some();
        let signed = match (has(Key::AccessKeyId), has(Key::SecretAccessKey), elsewhere) {
            _ if skip => false,
            (true, true, _) => true,
            (true, false, _) => return Err(half("AWS_SECRET_ACCESS_KEY")),
            (false, true, _) => return Err(half("AWS_ACCESS_KEY_ID")),
            (false, false, Some(name)) => {
                return Err(Fault::usage(format!("credentials from {name} are not supported")).fix(
                    "eval \"$(aws configure export-credentials --format env)\" sets AWS_ACCESS_KEY_ID and the others from them; \
                     AWS_SKIP_SIGNATURE=true reads without credentials",
                ));
            }
            (false, false, None) => false,
        };
        let endpoint = builder.get_config_value(&Key::S3Endpoint).or_else(|| builder.get_config_value(&Key::Endpoint));
        if let Some(endpoint) = &endpoint {
            check(endpoint)?;
        }
        Ok(Self { builder: builder.with_skip_signature(!signed).with_allow_http(true), endpoint, signed })
    }
}

/// The endpoint must not send requests, credentials or not, in the clear over a network.
fn check(endpoint: &str) -> Result<()> {
    let wrong = |what: &str| {
        Fault::usage(format!("AWS_ENDPOINT_URL {what}"))
            .fix("give the object store's https:// URL; http:// works on this machine's loopback interface only")
    };
    let url = Url::parse(endpoint).map_err(|error| wrong("is not a URL").cause(error))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        // Not shown: it may hold a password.
        return Err(wrong("has a user, a query or a fragment"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback(&url) => Ok(()),
        _ => Err(wrong("is neither https nor on the loopback interface").at(endpoint)),
    }
}

fn half(missing: &str) -> Fault {
    Fault::usage(format!("the object store's credentials are incomplete: {missing} is not set"))
        .fix("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither to read without credentials")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::Exit;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::read(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn signed_with_both_keys_only() {
        let (id, secret) = (("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"));
        assert!(read(&[id, secret]).unwrap().signed);
        assert!(!read(&[]).unwrap().signed);
        assert!(!read(&[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]).unwrap().signed);
        assert!(!read(&[id, secret, ("AWS_SKIP_SIGNATURE", "true")]).unwrap().signed);
        for half in [id, secret] {
            assert_eq!(read(&[half]).err().unwrap().exit(), Exit::Usage);
        }
        let role = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
        assert_eq!(read(&[role]).err().unwrap().exit(), Exit::Usage);
        assert!(read(&[role, id, secret]).unwrap().signed);
        assert!(!read(&[role, ("AWS_SKIP_SIGNATURE", "true")]).unwrap().signed);
    }

    #[test]
    fn in_the_clear_on_the_loopback_only() {
        for good in ["https://minio.factory.example:9000", "http://127.0.0.1:9000", "http://[::1]:1", "http://localhost:9000/"] {
            let settings = read(&[("AWS_ENDPOINT_URL", good)]).unwrap();
            assert_eq!(settings.endpoint.as_deref(), Some(good));
        }
        for bad in ["http://minio.factory.example:9000", "minio:9000", "ftp://127.0.0.1/", "https://me:pass@minio.example/"] {
            let fault = read(&[("AWS_ENDPOINT_URL_S3", bad)]).err().unwrap();
            assert_eq!(fault.exit(), Exit::Usage, "{bad}");
            assert!(!fault.render().contains("pass"), "{}", fault.render());
        }
    }
}
