//! Where a store is: a folder, a URL of its top, or a prefix in an object store's bucket.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use livery_contract::{Digest, Fault};
use url::Url;

/// A folder, an `https` URL, or `s3://BUCKET/PREFIX`. Plain `http` is for the loopback only: everything in a store is signed, but which image a
/// device fetches need not be everybody's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder, absolute.
    Folder(PathBuf),
    /// A URL that ends in `/`.
    Web(Url),
    /// `s3://BUCKET/PREFIX/`: the keys of the store's objects are `PREFIX/` and their paths, letter for letter.
    Objects(Url),
}

impl Location {
    /// The top as a URL that others can be joined to.
    pub(crate) fn base(&self) -> Result<Url, Fault> {
        match self {
            Self::Folder(path) => Url::from_directory_path(path)
                .map_err(|()| Fault::usage("the store's path does not fit into a URL").at(path.display())),
            Self::Web(url) | Self::Objects(url) => Ok(url.clone()),
        }
    }

    /// Path or URL of a file below the top, for reading and for error texts.
    pub fn place(&self, relative: &str) -> String {
        match self {
            Self::Folder(path) => path.join(relative).display().to_string(),
            Self::Web(url) | Self::Objects(url) => format!("{url}{relative}"),
        }
    }
}

/// Where a blob lies below the top of a store.
pub fn blob_path(digest: &Digest) -> String {
    let text = digest.to_string();
    format!("blobs/sha256/{}/{text}", &text[..2])
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Web(url) | Self::Objects(url) => url.fmt(f),
        }
    }
}

impl FromStr for Location {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if !text.contains("://") {
            let path = std::path::absolute(Path::new(text)).map_err(|error| Fault::usage("not a path").at(text).cause(error))?;
            return Ok(Self::Folder(path));
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return objects(rest);
        }
        let mut url = Url::parse(text).map_err(|error| Fault::usage("not a URL").at(text).cause(error))?;
        match url.scheme() {
            "https" => {}
            "http" if loopback(&url) => {}
            "file" => {
                let path = url.to_file_path().map_err(|()| Fault::usage("not a local path").at(text))?;
                return Ok(Self::Folder(path));
            }
            other => {
                return Err(Fault::usage(format!("a store cannot be read through {other}")).at(text).fix(
                    "give a folder, an https:// URL or s3://BUCKET/PREFIX; http:// works on this machine's loopback interface only",
                ));
            }
        }
        if url.cannot_be_a_base() || url.query().is_some() || url.fragment().is_some() {
            return Err(Fault::usage("a store's URL must have neither query nor fragment").at(text));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self::Web(url))
    }
}

/// Whether a URL's host is this machine.
pub(crate) fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `BUCKET/PREFIX`, the prefix possibly empty. What a URL would write in another way than a key is refused: nobody should
/// have to guess which of the two was meant.
fn objects(rest: &str) -> Result<Location, Fault> {
    let wrong =
        |what: &str| Fault::usage(what).fix("give s3://BUCKET/PREFIX; credentials come from AWS_ACCESS_KEY_ID and the others");
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    // The rules of S3's "general purpose" buckets, and what older ones may have besides. Not shown: with an `@` it may hold a
    // secret.
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(good) {
        return Err(wrong("a bucket's name has 3 to 63 letters, digits, dots, hyphens or underscores"));
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let text = if prefix.is_empty() { format!("s3://{bucket}/") } else { format!("s3://{bucket}/{prefix}/") };
    let url = Url::parse(&text).map_err(|error| wrong("not a URL").at(&text).cause(error))?;
    let plain = url.as_str() == text && url.query().is_none() && url.fragment().is_none() && !text.contains('%');
    if !plain || prefix.split('/').any(str::is_empty) && !prefix.is_empty() {
        return Err(wrong("this prefix is not allowed").at(text));
    }
    Ok(Location::Objects(url))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn folders_and_urls() {
        assert!(matches!("out/store".parse().unwrap(), Location::Folder(path) if path.is_absolute()));
        let web: Location = "https://station.example:8443/store".parse().unwrap();
        assert_eq!(web.place("metadata/timestamp.json"), "https://station.example:8443/store/metadata/timestamp.json");
        assert!("http://127.0.0.1:80/".parse::<Location>().is_ok());
        for bad in ["http://station.example/", "ftp://a/", "https://a/?x=1", "https://"] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
    }

    #[test]
    fn buckets() {
        for (text, place) in [
            ("s3://images/lines/paris", "s3://images/lines/paris/metadata/timestamp.json"),
            ("s3://images/lines/paris/", "s3://images/lines/paris/metadata/timestamp.json"),
            ("s3://images", "s3://images/metadata/timestamp.json"),
            ("s3://Old_bucket.x/", "s3://Old_bucket.x/metadata/timestamp.json"),
            ("s3://images/a=b/c+d@1", "s3://images/a=b/c+d@1/metadata/timestamp.json"),
        ] {
            let location: Location = text.parse().unwrap();
            assert!(matches!(location, Location::Objects(_)));
            assert_eq!(location.place("metadata/timestamp.json"), place);
            assert_eq!(location.base().unwrap().join("metadata/").unwrap().join("timestamp.json").unwrap().as_str(), place);
        }
        for bad in [
            "s3://",
            "s3://ab/x",
            "s3:///x",
            "s3://a b c/",
            "s3://images//x",
            "s3://images/../x",
            "s3://images/a b",
            "s3://images/a%20b",
            "s3://images/x?y=1",
            "s3://images/x#y",
            "s3://images:443/x",
        ] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
        let fault = "s3://key:secret@images/x".parse::<Location>().unwrap_err();
        assert!(!fault.render().contains("secret"), "{}", fault.render());
    }
}
