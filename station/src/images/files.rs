//! `GET /store/…`: the store's files, with ranges (RFC 9110, section 14), for any HTTP client or cache.
//!
//! Only what belongs to a store is served (`metadata/`, `targets/`, `blobs/sha256/`), whatever else lies in the folder; and no link is
//! followed, wherever it leads.
//! Blobs are named by their content, so they never change: any cache may keep them for good. Metadata is looked up anew.
//! Nothing here is secret or trusted: devices check signatures and digests themselves.

use std::{fs::File, io, os::fd::AsRawFd as _, path::Path as FilePath, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use livery_contract::Fault;
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
};
use tokio::task::spawn_blocking;
use tower_http::services::ServeFile;

use crate::http::refusal::Refusal;

/// Bytes read from the disk at once.
const PIECE: usize = 256 * 1024;
/// A year, the longest that RFC 9111 caches are asked for; `immutable` is RFC 8246.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// May be kept, but is asked for anew each time.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");

/// What a path below the store's top is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'a> {
    /// A blob, by its digest.
    Blob(&'a str),
    /// TUF metadata or a manifest.
    Signed,
}

/// What may be served, by its decoded path.
fn kind(path: &str) -> Option<Kind<'_>> {
    let parts: Vec<&str> = path.split('/').collect();
    // No empty parts, dot files, `..`, backslashes, control characters; TUF names need `@`, `+`, and `%` where they are encoded.
    let plain = |part: &&str| {
        part.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && part.len() <= 255
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@' | b'+' | b'%'))
    };
    if parts.len() > 6 || !parts.iter().all(plain) {
        return None;
    }
    match parts.as_slice() {
        ["blobs", "sha256", two, digest] => {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            (digest.len() == 64 && digest.bytes().all(hex) && digest.get(..2) == Some(*two)).then_some(Kind::Blob(digest))
        }
        ["metadata" | "targets", .., name] if parts.len() >= 2 && name.ends_with(".json") => Some(Kind::Signed),
        _ => None,
    }
}

/// The route for the store in this folder.
pub(crate) fn routes(folder: &FilePath) -> Router {
    Router::new().route("/store/{*path}", get(file)).with_state(Arc::from(folder))
}

/// Opens a regular file below the store's top. No part of the path may be a link (openat2(2)): whoever can write into a store shall not
/// have the station read what else is on this machine.
fn open(folder: &FilePath, path: &str) -> io::Result<File> {
    let top = File::open(folder)?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(&top, path, how)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Whether there is no such file, or none that may be served.
fn is_absent(error: &io::Error) -> bool {
    // A link is ELOOP, one that leads out EXDEV.
    error.kind() == io::ErrorKind::NotFound
        || error
            .raw_os_error()
            .map(Errno::from_raw)
            .is_some_and(|errno| matches!(errno, Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV))
}

/// One file.
///
/// # Errors
/// 404 for all that is no file of a store, 405 for other methods than GET and HEAD.
async fn file(State(folder): State<Arc<FilePath>>, Path(path): Path<String>, mut request: Request) -> Result<Response, Refusal> {
    let absent = || Refusal::not_found(format!("the store has no file {path:?}"));
    let kind = kind(&path).ok_or_else(absent)?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, Fault::refused("the store is read-only")));
    }
    let opened = {
        let (folder, path) = (folder.clone(), path.clone());
        spawn_blocking(move || open(&folder, &path)).await
    };
    let file = match opened.map_err(|error| Fault::internal("opening a file stopped").cause(error))? {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Err(absent()),
        Err(error) => {
            let fault = Fault::source("a file of the store cannot be read").at(folder.join(&path).display()).cause(error);
            return Err(fault.into());
        }
    };
    let etag = match kind {
        Kind::Blob(digest) => HeaderValue::from_str(&format!("\"{digest}\"")).ok(),
        Kind::Signed => None,
    };
    if let Some(etag) = &etag {
        // Answered here by the digest; below, the file service knows a file's time only, which copying a store changes.
        if names(request.headers(), header::IF_NONE_MATCH, etag) {
            return Ok(
                (StatusCode::NOT_MODIFIED, [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, FOR_GOOD)]).into_response()
            );
        }
        if request.headers().contains_key(header::IF_RANGE) && !names(request.headers(), header::IF_RANGE, etag) {
            request.headers_mut().remove(header::RANGE);
        }
        for name in [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE] {
            request.headers_mut().remove(name);
        }
    } else if request.headers().contains_key(header::IF_RANGE) {
        // Without a validator that we vouch for, a range of a file that may have changed is not given (RFC 9110, 13.1.5).
        request.headers_mut().remove(header::RANGE);
    }
    let kind = match kind {
        Kind::Blob(_) => mime::APPLICATION_OCTET_STREAM,
        Kind::Signed => mime::APPLICATION_JSON,
    };
    // The file that is open, not once more what has its name.
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let served = ServeFile::new_with_mime(&open, &kind).with_buf_chunk_size(PIECE).try_call(request).await;
    let mut response = match served {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            let fault = Fault::source("a file of the store cannot be read").at(folder.join(&path).display()).cause(error);
            return Err(fault.into());
        }
    };
    drop(file);
    if response.status() == StatusCode::NOT_FOUND {
        return Err(absent());
    }
    let headers = response.headers_mut();
    if let Some(etag) = etag {
        headers.insert(header::ETAG, etag);
        headers.insert(header::CACHE_CONTROL, FOR_GOOD);
    } else {
        headers.insert(header::CACHE_CONTROL, ASK);
    }
    Ok(response)
}

/// Whether a header names this entity tag (or, for `If-None-Match`, any).
fn names(headers: &HeaderMap, name: header::HeaderName, etag: &HeaderValue) -> bool {
    let (Ok(etag), any) = (etag.to_str(), name == header::IF_NONE_MATCH) else { return false };
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|value| value == etag || (any && (value == "*" || value.strip_prefix("W/") == Some(etag))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_files_of_a_store() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(kind(&format!("blobs/sha256/ba/{digest}")), Some(Kind::Blob(digest)));
        for good in ["metadata/timestamp.json", "metadata/1.root.json", "targets/aa.t@1.json", "targets/aa.personal/t@1+ORD-1.json"]
        {
            assert_eq!(kind(good), Some(Kind::Signed), "{good}");
        }
        for bad in [
            "",
            "metadata",
            "metadata/",
            "metadata/../keys/job.key",
            "metadata/..",
            "metadata//etc/passwd.json",
            "/etc/passwd",
            "targets/.hidden.json",
            "targets/root.pem",
            "RESTRICTED",
            "debs/sha256/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.deb",
            "debs/sha256/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "keys/job.key",
            "blobs/sha256/ba",
            "blobs/sha256/bb/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "blobs/sha256/BA/BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
            "metadata\\..\\x.json",
            "metadata/a\0.json",
        ] {
            assert_eq!(kind(bad), None, "{bad}");
        }
    }
}
