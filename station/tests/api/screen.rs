//! The live page in a real browser, over real TLS: its own policy lets it run, and what devices send stays text.
//! `LIVERY_SCREENSHOT=FILE` stores the picture.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::{
    Digest, Exit,
    fault::FaultReport,
    wire::{Failure, Phase, Progress},
};
use rcgen::PublicKeyData as _;

use crate::common::{Device, TestLine, sealed};

/// Has Chromium load the page, trusting only this station's key; gives what the document became.
async fn browse(line: &TestLine, screenshot: Option<PathBuf>) -> String {
    let profile = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(line.keys.join("tls.key")).unwrap()).unwrap();
    let pin = BASE64_STANDARD.encode(Digest::of(&key.subject_public_key_info()).as_bytes());
    let mut command = tokio::process::Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--window-size=1280,800", "--timeout=4000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--ignore-certificate-errors-spki-list={pin}"))
        .kill_on_drop(true);
    match &screenshot {
        Some(path) => command.arg(format!("--screenshot={}", path.display())),
        None => command.arg("--dump-dom"),
    };
    let output = tokio::time::timeout(Duration::from_secs(60), command.arg(&line.url).output())
        .await
        .unwrap()
        .expect("chromium starts: scripts/setup installs it");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The document once the page has heard from the station. Chromium gives what is there when the page itself is loaded, and on a
/// busy machine the station's first answer comes after that: then the page is loaded again.
async fn live(line: &TestLine) -> String {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let document = browse(line, None).await;
        if document.contains("id=\"link\" class=\"link\" data-link=\"live\"") {
            return document;
        }
        assert!(Instant::now() < patience, "neither the event stream nor the first question reached the station:\n{document}");
    }
}

/// A line with a device in each state, one of which sends markup as text.
async fn busy() -> TestLine {
    let line = TestLine::start().await;
    let working = Device::new(1, "WT-0001");
    let at_work = working.job(&line).await;
    let failed = Device::new(2, "WT-0002");
    let job = failed.job(&line).await;
    let fault = FaultReport {
        exit: Exit::Device,
        what: "<img src=x onerror=\"document.title='owned'\">bytes read back are not those that were written".into(),
        at: Some("/dev/nvme0n1, bytes 81920-90111".into()),
        fix: Some("the disk is faulty: replace it and start the device again".into()),
    };
    let failure = Failure { job: Some(job.id), serial: "WT-0002".into(), phase: Phase::Verify, fault };
    line.post("/api/v1/failures", sealed(&failure, &failed.key)).await;
    Device::new(3, "WT-0777").waits(&line).await;
    Device::new(4, "To be filled by O.E.M.").waits(&line).await;
    livery_station::orders::operator::assign(&line.station.database, &"ORD-3".parse().unwrap(), "WT-0003").await.unwrap();
    let done = Device::new(5, "WT-0003");
    let job = done.job(&line).await;
    done.send(&line, &done.record(&job)).await;
    // Last, so that it is not silent for long when it is looked at.
    let progress = Progress { job: at_work.id, phase: Phase::Verify, done: 1_200_000_000, total: 2_700_000_000, rate: 310_000_000 };
    line.post("/api/v1/progress", sealed(&progress, &working.key)).await;
    line
}

/// What everybody must see of [`busy`], as text and nothing else.
fn shows_it(document: &str) {
    for text in ["Marie Durand", "Reading back", "44 %", "SHIP", "record #1", "no order for serial WT-0777 yet", "FAILED"] {
        assert!(document.contains(text), "{text:?} is not in\n{document}");
    }
    assert!(!document.contains("<img") && !document.contains("owned</title>"));
}

#[tokio::test]
async fn the_page_shows_the_line_and_only_as_text() {
    let line = busy().await;
    let document = live(&line).await;
    shows_it(&document);
    assert!(document.contains("&lt;img src=x"), "{document}");
    if let Some(path) = std::env::var_os("LIVERY_SCREENSHOT") {
        browse(&line, Some(path.into())).await;
    }
    line.stop().await;
}

#[tokio::test]
async fn the_first_picture_needs_no_script() {
    let line = busy().await;
    let page = line.get("/").await.text().await.unwrap();
    // Up to here nothing could have run.
    let (html, _) = page.split_once("<script>").unwrap();
    shows_it(html);
    for text in [
        // Counts and figures, formatted.
        "<p id=\"orders\">2 open orders</p>",
        "<b id=\"n-failed\" class=\"some\">1</b>",
        "<b id=\"n-waiting\" class=\"some\">2</b>",
        "<b id=\"n-done\" class=\"some\">1</b>",
        "1.2 of 2.7 GB",
        "310 MB/s",
        ">5 s<",
        "<progress max=\"1000\" value=\"444\" aria-label=\"Reading back WT-0001\">",
        "02:00:00:00:00:03",
        "no serial",
        // For screen readers, and for browsers without JavaScript.
        "<html lang=\"en\">",
        "<th scope=\"col\">Device</th>",
        "<th scope=\"row\"><div class=\"main\">WT-0001</div>",
        "aria-live=\"polite\"",
        "<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>",
        "<noscript><p class=\"note\">JavaScript is off",
    ] {
        assert!(html.contains(text), "{text:?} is not in\n{html}");
    }
    // What the script takes over later is the same document.
    let update = line.get("/line/picture").await;
    assert!(update.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let update = update.text().await.unwrap();
    assert!(!update.contains("<script") && update.contains("<tbody id=\"rows\">"));
    line.stop().await;
}
