//! Where a store is: a folder, or a URL of its top.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use livery_contract::{Digest, Fault};
use url::Url;

/// A folder, or an `https` URL. Plain `http` is for the loopback only: everything in a store is signed, but which image a
/// device fetches need not be everybody's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder, absolute.
    Folder(PathBuf),
    /// A URL that ends in `/`.
    Web(Url),
}

impl Location {
    /// The top as a URL that others can be joined to.
    pub(crate) fn base(&self) -> Result<Url, Fault> {
        match self {
            Self::Folder(path) => Url::from_directory_path(path)
                .map_err(|()| Fault::usage("the store's path does not fit into a URL").at(path.display())),
            Self::Web(url) => Ok(url.clone()),
        }
    }

    /// Path or URL of a file below the top, for reading and for error texts.
    pub fn place(&self, relative: &str) -> String {
        match self {
            Self::Folder(path) => path.join(relative).display().to_string(),
            Self::Web(url) => format!("{url}{relative}"),
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
            Self::Web(url) => url.fmt(f),
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
        let mut url = Url::parse(text).map_err(|error| Fault::usage("not a URL").at(text).cause(error))?;
        let loopback = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "file" => {
                let path = url.to_file_path().map_err(|()| Fault::usage("not a local path").at(text))?;
                return Ok(Self::Folder(path));
            }
            other => {
                return Err(Fault::usage(format!("a store cannot be read by {other}"))
                    .at(text)
                    .fix("give a folder or an https:// URL; http:// is for this machine's loopback only"));
            }
        }
        if url.cannot_be_a_base() || url.query().is_some() || url.fragment().is_some() {
            return Err(Fault::usage("a store's URL has neither query nor fragment").at(text));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self::Web(url))
    }
}

#[cfg(test)]
mod tests {
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
}
