//! A running `livery-station`, and what a person at the line sees of it.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use livery_contract::{Fault, OrderId, Reference, Result, record::Record};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    time::timeout,
};

use crate::{
    browser::{self, Shot},
    gateway::pki,
    programs::Program,
    site::{STATION, Site},
};

/// See the module. It is killed when dropped.
pub struct Line {
    database: String,
    address: SocketAddr,
    keys: PathBuf,
    child: Child,
}

impl Line {
    /// Makes one order of each row of `roster`, and starts the station on a free port of the loopback interface.
    /// Its log is `station.log` in `folder`, its database `station.db`.
    ///
    /// # Errors
    /// Where a program fails, or the station does not listen within 30 s.
    pub async fn start(site: &Site, folder: &Path, orders: Option<(&Path, &Reference)>) -> Result<Self> {
        Self::listen(site, folder, orders, "127.0.0.1:0").await
    }

    /// The same at this address and port.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn listen(site: &Site, folder: &Path, orders: Option<(&Path, &Reference)>, at: &str) -> Result<Self> {
        let broken = |error| Fault::refused("the station's folder can't be used").cause(error).at(folder.display());
        std::fs::create_dir_all(folder).map_err(broken)?;
        let database = format!("sqlite:{}", folder.join("station.db").display());
        if let Some((roster, image)) = orders {
            import(site, &database, roster, image).await?;
        }
        let (store, trust) = (site.store().display().to_string(), site.trust().display().to_string());
        let keys = site.station_keys();
        let arguments = [
            "serve",
            "--store",
            &store,
            "--trust",
            &trust,
            "--keys",
            &keys.display().to_string(),
            "--database",
            &database,
            "--listen",
            at,
            "--json",
        ];
        let mut command = Program::Station.command(arguments)?;
        command.stderr(File::create(folder.join("station.log")).map_err(broken)?);
        let mut child = command.spawn().map_err(broken)?;
        let failed = || Fault::internal("the station did not start").at(folder.join("station.log").display());
        let mut lines = BufReader::new(child.stdout.take().ok_or_else(failed)?).lines();
        let said = match timeout(Duration::from_secs(30), lines.next_line()).await {
            Ok(Ok(Some(said))) => said,
            _ => return Err(failed()),
        };
        let event: Value = serde_json::from_str(&said).map_err(|error| failed().cause(error))?;
        let address = event["address"].as_str().and_then(|address| address.parse().ok()).ok_or_else(failed)?;
        // It must never block on a pipe that nobody reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { database, address, keys, child })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its database's URL.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// A client that trusts its authority only, and finds it by its name.
    ///
    /// # Errors
    /// Where the authority's certificate can't be read.
    pub fn client(&self) -> Result<reqwest::Client> {
        let path = self.keys.join("ca.pem");
        let broken = |error: Box<dyn std::error::Error + Send + Sync>| {
            Fault::internal("no client for the station").cause(error).at(path.display())
        };
        let pem = std::fs::read(&path).map_err(|error| broken(error.into()))?;
        let certificate = reqwest::Certificate::from_pem(&pem).map_err(|error| broken(error.into()))?;
        reqwest::Client::builder()
            .tls_certs_only([certificate])
            .resolve(STATION, self.address)
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| broken(error.into()))
    }

    /// A URL at the station.
    pub fn url(&self, path: &str) -> String {
        format!("https://{STATION}:{}{path}", self.address.port())
    }

    /// The devices of the line, as its page gets them.
    ///
    /// # Errors
    /// Where the station does not answer.
    pub async fn devices(&self) -> Result<Vec<Value>> {
        let failed = |error: reqwest::Error| Fault::source("the station does not answer").cause(error);
        let answer = self.client()?.get(self.url("/api/v1/line")).send().await.map_err(failed)?;
        let text = answer.error_for_status().map_err(failed)?.text().await.map_err(failed)?;
        let line: Value = serde_json::from_str(&text).map_err(|error| Fault::source("the line is no JSON").cause(error))?;
        Ok(line["devices"].as_array().cloned().unwrap_or_default())
    }

    /// The record of an order, as kept.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn record(&self, order: &OrderId) -> Result<Record> {
        let arguments = ["record", order.as_str(), "--payload", "--json", "--database", &self.database];
        Program::Station.run(arguments).await?.good()?.json()
    }

    /// What `livery-station orders` says of an order's device in use; `Null` while that has said nothing.
    ///
    /// # Errors
    /// Where the program fails or has no such order.
    pub async fn usage(&self, order: &OrderId) -> Result<Value> {
        usage(&self.database, order).await
    }

    /// Waits until the device of an order has said so: `in-use`, or `amiss`.
    ///
    /// # Errors
    /// Where it has not in time.
    pub async fn hears(&self, order: &OrderId, state: &str, most: Duration) -> Result<Value> {
        let begun = std::time::Instant::now();
        loop {
            let usage = self.usage(order).await?;
            if usage["state"] == state {
                return Ok(usage);
            }
            if begun.elapsed() > most {
                return Err(Fault::device(format!("after {} s the station knows of {order}: {usage}", most.as_secs())));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// A picture of its page.
    ///
    /// # Errors
    /// Where Chromium takes none.
    pub async fn picture(&self, to: &Path) -> Result<()> {
        let (url, address) = (self.url("/"), self.address.ip().to_string());
        let pin = pki::pin_of_key(&self.keys.join("tls.key"))?;
        let shot =
            Shot { url: &url, pin: &pin, resolve: Some((STATION, &address)), language: "en-GB", size: (1280, 800), settle: None };
        browser::picture(&shot, to).await
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            other => Err(Fault::internal(format!("the station ended by itself: {other:?}"))),
        }
    }
}

/// The same without a running station.
///
/// # Errors
/// As [`Line::usage`].
pub async fn usage(database: &str, order: &OrderId) -> Result<Value> {
    let all: Value = Program::Station.run(["orders", "--json", "--database", database]).await?.good()?.json()?;
    let order = all["orders"].as_array().into_iter().flatten().find(|one| one["order"] == order.as_str());
    order.map(|order| order["use"].clone()).ok_or_else(|| Fault::refused("the station does not know this order"))
}

/// `livery-station import`.
///
/// # Errors
/// Where it fails.
pub async fn import(site: &Site, database: &str, roster: &Path, image: &Reference) -> Result<()> {
    let (store, trust) = (site.store().display().to_string(), site.trust().display().to_string());
    let arguments = [
        "import",
        &roster.display().to_string(),
        "--image",
        &image.to_string(),
        "--database",
        database,
        "--store",
        &store,
        "--trust",
        &trust,
    ];
    Program::Station.run(arguments).await?.good().map(drop)
}
