//! The store over HTTP, and the page.

use std::time::Duration;

use futures::StreamExt as _;
use livery_contract::Digest;
use reqwest::{StatusCode, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{Device, TestLine};

#[tokio::test]
async fn blobs_with_ranges_and_for_good() {
    let line = TestLine::start().await;
    let bytes: Vec<u8> = (0..100_000u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let digest = line.store.blob(&bytes).to_string();
    let path = format!("/store/blobs/sha256/{}/{digest}", &digest[..2]);
    let url = format!("{}{path}", line.url);

    let whole = line.get(&path).await;
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(whole.headers()[header::ETAG], format!("\"{digest}\""));
    assert!(whole.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    assert_eq!(whole.headers()[header::ACCEPT_RANGES], "bytes");
    assert_eq!(whole.bytes().await.unwrap(), bytes);

    let head = line.client.head(&url).send().await.unwrap();
    assert_eq!(head.headers()[header::CONTENT_LENGTH], "100000");
    assert!(head.bytes().await.unwrap().is_empty());

    let range = |range: &'static str| line.client.get(&url).header(header::RANGE, range);
    let part = range("bytes=4096-8191").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[header::CONTENT_RANGE], "bytes 4096-8191/100000");
    assert_eq!(part.bytes().await.unwrap(), &bytes[4096..8192]);
    assert_eq!(range("bytes=99990-").send().await.unwrap().bytes().await.unwrap(), &bytes[99_990..]);
    assert_eq!(range("bytes=-10").send().await.unwrap().bytes().await.unwrap(), &bytes[99_990..]);
    assert_eq!(range("bytes=100000-").send().await.unwrap().status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(range("bytes=0-1,4-5").send().await.unwrap().status(), StatusCode::RANGE_NOT_SATISFIABLE);

    let etag = format!("\"{digest}\"");
    let same = line.client.get(&url).header(header::IF_NONE_MATCH, &etag).send().await.unwrap();
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    let same = range("bytes=0-9").header(header::IF_RANGE, &etag).send().await.unwrap();
    assert_eq!(same.status(), StatusCode::PARTIAL_CONTENT);
    let other = range("bytes=0-9").header(header::IF_RANGE, "\"other\"").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);

    let metadata = line.get("/store/metadata/timestamp.json").await;
    assert_eq!(metadata.status(), StatusCode::OK);
    assert_eq!(metadata.headers()[header::CACHE_CONTROL], "no-cache");
    assert_eq!(line.client.put(&url).body("x").send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    line.stop().await;
}

/// A request as no URL library would send it, through `openssl s_client`.
async fn raw(line: &TestLine, path: &str) -> String {
    // reqwest normalises `..` away, so the request is written by hand.
    let address = line.url.strip_prefix("https://").unwrap();
    let mut child = tokio::process::Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-connect", address, "-CAfile"])
        .arg(line.keys.join("ca.pem"))
        .args(["-verify_return_error", "-verify_ip", "127.0.0.1"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    tokio::time::timeout(Duration::from_secs(10), stdout.read_to_end(&mut text)).await.unwrap().unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn nothing_but_the_store_is_served() {
    let line = TestLine::start().await;
    std::fs::write(line.store.folder.join("secret.json"), "SECRET").unwrap();
    std::fs::write(line.top.path().join("metadata.json"), "SECRET").unwrap();
    std::fs::write(line.store.folder.join("targets/.hidden.json"), "SECRET").unwrap();
    // What a build's store has besides: packages that it was made from, and the mark of one that may not be passed on.
    let deb = line.store.folder.join("debs").join("0".repeat(64));
    std::fs::create_dir_all(deb.parent().unwrap()).unwrap();
    std::fs::write(&deb, "SECRET").unwrap();
    std::fs::write(line.store.folder.join("RESTRICTED"), "SECRET").unwrap();
    // Links, to what is not the store's and to what is, in place of a file and of a folder.
    std::os::unix::fs::symlink("/etc/passwd", line.store.folder.join("targets/link.json")).unwrap();
    std::os::unix::fs::symlink("timestamp.json", line.store.folder.join("metadata/link.json")).unwrap();
    std::os::unix::fs::symlink(line.top.path(), line.store.folder.join("targets/folder")).unwrap();
    let blob = Digest::of(b"root:").to_string();
    std::fs::create_dir_all(line.store.folder.join("blobs/sha256").join(&blob[..2])).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", line.store.folder.join("blobs/sha256").join(&blob[..2]).join(&blob)).unwrap();
    assert!(raw(&line, "/store/metadata/timestamp.json").await.starts_with("HTTP/1.1 200"), "the way of asking works");
    for path in [
        "/store/",
        "/store/debs/",
        &format!("/store/debs/{}", "0".repeat(64)),
        "/store/RESTRICTED",
        "/store/metadata",
        "/store/metadata/",
        "/store/blobs/sha256/",
        "/store/secret.json",
        "/store/targets/.hidden.json",
        "/store/targets/link.json",
        "/store/metadata/link.json",
        "/store/targets/folder/metadata.json",
        &format!("/store/blobs/sha256/{}/{blob}", &blob[..2]),
        "/store/metadata/../secret.json",
        "/store/metadata/%2e%2e/secret.json",
        "/store/metadata%2f..%2fsecret.json",
        "/store/metadata/..%2f..%2fmetadata.json",
        "/store/../metadata.json",
        "/store//etc/passwd",
        "/store/%2fetc%2fpasswd",
        "/store/metadata/%00.json",
        "/store/metadata/..%5c..%5cmetadata.json",
    ] {
        let answer = raw(&line, path).await;
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
        assert!(!answer.contains("SECRET") && !answer.contains("root:"), "{path}");
    }
    line.stop().await;
}

#[tokio::test]
async fn the_page_is_strict_and_the_events_are_live() {
    let line = TestLine::start().await;
    assert_eq!(line.get("/healthz").await.text().await.unwrap(), "ok\n");
    assert_eq!(line.get("/readyz").await.text().await.unwrap(), "ready\n");
    let page = line.get("/").await;
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(page.text().await.unwrap().contains("Livery"));
    assert_eq!(line.get("/nothing").await.status(), StatusCode::NOT_FOUND);

    let events = line.get("/api/v1/events").await;
    assert_eq!(events.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut stream = events.bytes_stream();
    Device::new(8, "WT-0888").waits(&line).await;
    let seen = async {
        let mut text = String::new();
        while !text.contains("WT-0888") {
            text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
        text
    };
    let text = tokio::time::timeout(Duration::from_secs(3), seen).await.unwrap();
    assert!(text.contains("event: line"));
    // An open event stream does not keep the station from stopping.
    tokio::time::timeout(Duration::from_secs(5), line.stop()).await.unwrap();
}
