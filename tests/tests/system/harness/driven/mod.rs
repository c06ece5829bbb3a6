//! A real browser, driven as a person would drive it: headless Chromium with a fresh profile, told what to do by WebDriver (W3C)
//! through chromedriver. All that waits has a bound, and says what it saw when it is over.
//!
//! The server's own certificate is pinned by its key, as in [`browser`](livery_tests::browser).
//!
//! | module | what it is |
//! |---|---|
//! | [`program`] | chromedriver, started and ended |
//! | [`security_key`] | a virtual FIDO2 key in the browser |

pub mod program;
pub mod security_key;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use livery_contract::{Fault, Result};
use serde_json::{Value, json};
use thirtyfour::{By, Capabilities, WebDriver, WebElement, error::WebDriverError};
use tokio::time::{Instant, sleep};

use self::program::Chromedriver;
use livery_tests::browser;

/// How long a page may take to show what it should.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(100);

/// What browser to start.
pub struct Setup<'a> {
    /// Base64 SHA-256 of the server's SubjectPublicKeyInfo.
    pub pin: &'a str,
    /// Name and address where the name is not in the DNS.
    pub resolve: Option<(&'a str, &'a str)>,
    /// `Accept-Language`.
    pub language: &'a str,
    /// Window in pixels.
    pub size: (u32, u32),
}

/// A running one. [`close`](Self::close) ends it cleanly; dropped, it is killed.
pub struct Browser {
    driver: Option<WebDriver>,
    downloads: PathBuf,
    // In this order: the profile goes when nothing writes to it any more.
    _program: Chromedriver,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it, with an empty page.
    ///
    /// # Errors
    /// Where Chromium or chromedriver is absent or does not start.
    pub async fn start(setup: &Setup<'_>) -> Result<Self> {
        let chromium = browser::find()?;
        let profile = tempfile::tempdir().map_err(|error| Fault::refused("no temporary folder").cause(error))?;
        let downloads = profile.path().join("downloads");
        fs::create_dir(&downloads).map_err(|error| Fault::refused("no folder for downloads").cause(error))?;
        let program = Chromedriver::start(profile.path()).await?;

        let mut flags: Vec<String> = browser::FLAGS.map(str::to_owned).to_vec();
        flags.extend([
            // Over pipes, the browser ends when chromedriver does, however that comes about.
            "--remote-debugging-pipe".into(),
            format!("--user-data-dir={}", profile.path().join("profile").display()),
            format!("--ignore-certificate-errors-spki-list={}", setup.pin),
            format!("--accept-lang={}", setup.language),
            format!("--lang={}", setup.language.split(',').next().unwrap_or("en")),
            format!("--window-size={},{}", setup.size.0, setup.size.1),
        ]);
        flags.extend(setup.resolve.map(|(name, address)| format!("--host-resolver-rules=MAP {name} {address}")));
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {
                "binary": chromium,
                "args": flags,
                "prefs": { "download.default_directory": downloads, "download.prompt_for_download": false },
            },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object was written above") };
        let driver = WebDriver::new(program.url(), Capabilities::from(capabilities)).await.map_err(said("a session"))?;
        Ok(Self { driver: Some(driver), downloads, _program: program, _profile: profile })
    }

    /// WebDriver itself, for what is not here.
    pub fn driver(&self) -> &WebDriver {
        self.driver.as_ref().unwrap_or_else(|| unreachable!("only close takes it"))
    }

    /// Goes to a page, as by the address bar.
    ///
    /// # Errors
    /// Where it does not load.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.driver().goto(url).await.map_err(said(url))
    }

    /// The Back button.
    ///
    /// # Errors
    /// Where the browser does not answer.
    pub async fn back(&self) -> Result<()> {
        self.driver().back().await.map_err(said("Back"))
    }

    /// The page's path.
    ///
    /// # Errors
    /// Where the browser does not answer.
    pub async fn path(&self) -> Result<String> {
        self.driver().current_url().await.map(|url| url.path().to_owned()).map_err(said("the page's URL"))
    }

    /// All that the page's source says.
    ///
    /// # Errors
    /// Where the browser does not answer.
    pub async fn source(&self) -> Result<String> {
        self.driver().source().await.map_err(said("the page's source"))
    }

    /// Waits until this is on the page and can be seen.
    ///
    /// # Errors
    /// Where that takes over 30 seconds.
    pub async fn shown(&self, css: &str) -> Result<WebElement> {
        let wanted = format!("{css} on the page");
        self.wait(&wanted, async || {
            let found = self.driver().find(By::Css(css)).await.ok()?;
            found.is_displayed().await.is_ok_and(|shown| shown).then_some(found)
        })
        .await
    }

    /// Waits until the page is at this path.
    ///
    /// # Errors
    /// Where that takes over 30 seconds.
    pub async fn arrives(&self, path: &str) -> Result<()> {
        self.wait(&format!("the page {path}"), async || (self.path().await.ok()? == path).then_some(())).await
    }

    /// The text of what this selects, once it can be seen.
    ///
    /// # Errors
    /// Where it does not appear.
    pub async fn text(&self, css: &str) -> Result<String> {
        self.shown(css).await?.text().await.map_err(said(css))
    }

    /// Types into a field, once it can be seen; what was in it goes.
    ///
    /// # Errors
    /// Where it does not appear or is no field.
    pub async fn fill(&self, css: &str, text: &str) -> Result<()> {
        let field = self.shown(css).await?;
        field.clear().await.map_err(said(css))?;
        field.send_keys(text).await.map_err(said(css))
    }

    /// Clicks, once it can be seen.
    ///
    /// # Errors
    /// Where it does not appear, or something lies over it.
    pub async fn click(&self, css: &str) -> Result<()> {
        self.shown(css).await?.click().await.map_err(said(css))
    }

    /// Types on the keyboard, into whatever has the focus.
    ///
    /// # Errors
    /// Where the browser does not answer.
    pub async fn press(&self, keys: &str) -> Result<()> {
        self.driver().action_chain().send_keys(keys).perform().await.map_err(said("the keyboard"))
    }

    /// Runs a script's body in the page; gives what it returns.
    ///
    /// # Errors
    /// Where it throws.
    pub async fn script(&self, body: &str) -> Result<Value> {
        self.driver().execute(body, Vec::new()).await.map(|returned| returned.json().clone()).map_err(said(body))
    }

    /// A picture of the window, as PNG.
    ///
    /// # Errors
    /// Where it can't be taken or written.
    pub async fn picture(&self, to: &Path) -> Result<()> {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)
                .map_err(|error| Fault::refused("no folder for pictures").cause(error).at(folder.display()))?;
        }
        self.driver().screenshot(to).await.map_err(said("a picture"))
    }

    /// Waits for a complete file of this extension among the downloads.
    ///
    /// # Errors
    /// Where none comes within 30 seconds.
    pub async fn download(&self, extension: &str) -> Result<PathBuf> {
        self.wait(&format!("a download .{extension}"), async || {
            let entries = fs::read_dir(&self.downloads).ok()?;
            entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|is| is == extension))
        })
        .await
    }

    /// Looks again and again until there is something.
    ///
    /// # Errors
    /// Where there is nothing for 30 seconds, with the page at which that was.
    pub async fn wait<T>(&self, wanted: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return Ok(found);
            }
            if Instant::now() > end {
                let (path, source) = (self.path().await.unwrap_or_default(), self.source().await.unwrap_or_default());
                return Err(Fault::device(format!("the browser never came to {wanted}; at {path} it shows {source:.2000}")));
            }
            sleep(LOOK).await;
        }
    }

    /// Closes it.
    ///
    /// # Errors
    /// Where the browser does not answer.
    pub async fn close(mut self) -> Result<()> {
        match self.driver.take() {
            Some(driver) => driver.quit().await.map_err(said("its end")),
            None => Ok(()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Else its own drop waits for an answer. The program's end is the browser's.
        if let Some(driver) = self.driver.take() {
            let _ = driver.leak();
        }
    }
}

/// What came of asking the browser for something.
fn said(what: &str) -> impl FnOnce(WebDriverError) -> Fault {
    let what = what.to_owned();
    move |error| Fault::device(format!("the browser does not do as it is told: {what}")).cause(error)
}
