//! What systemd says of the running system, over D-Bus (org.freedesktop.systemd1(5), org.freedesktop.locale1(5)).

use std::{collections::HashMap, time::Duration};

use livery_contract::{Fault, Result};
use tokio::time::{Instant, sleep};
use zbus::{
    proxy,
    zvariant::{OwnedObjectPath, OwnedValue},
};

/// How long a start may take, on an emulated processor too, before what is not up counts as not up.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A unit as `ListUnits` has it: name, description, load, active and sub state, what it follows, path, job's number, type and path.
type Listed = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1",
    gen_blocking = false
)]
trait Manager {
    fn list_units_filtered(&self, states: &[&str]) -> zbus::Result<Vec<Listed>>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn system_state(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn environment(&self) -> zbus::Result<Vec<String>>;
}

#[proxy(interface = "org.freedesktop.DBus.Properties", default_service = "org.freedesktop.systemd1", gen_blocking = false)]
trait Properties {
    fn get_all(&self, interface: &str) -> zbus::Result<HashMap<String, OwnedValue>>;
}

#[proxy(
    interface = "org.freedesktop.locale1",
    default_service = "org.freedesktop.locale1",
    default_path = "/org/freedesktop/locale1",
    gen_blocking = false
)]
trait Locale {
    #[zbus(property(emits_changed_signal = "false"), name = "X11Layout")]
    fn x11_layout(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"), name = "X11Variant")]
    fn x11_variant(&self) -> zbus::Result<String>;
}

#[derive(Clone, Debug)]
pub(crate) struct Bus {
    connection: zbus::Connection,
    manager: ManagerProxy<'static>,
}

fn failed(error: impl Into<zbus::Error>) -> Fault {
    Fault::internal("systemd does not answer").cause(error.into())
}

impl Bus {
    /// Connects to it.
    ///
    /// # Errors
    /// Exit 1 where the system's bus is not there.
    pub(crate) async fn connect() -> Result<Self> {
        let connection = zbus::Connection::system().await.map_err(failed)?;
        let manager = ManagerProxy::new(&connection).await.map_err(failed)?;
        Ok(Self { connection, manager })
    }

    /// Comes back when the system's start has ended, well or not.
    ///
    /// # Errors
    /// Exit 1 where systemd does not answer.
    pub(crate) async fn settled(&self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let state = self.manager.system_state().await.map_err(failed)?;
            if !matches!(state.as_str(), "initializing" | "starting") {
                return Ok(());
            }
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// A variable that every service is started with.
    pub(crate) async fn variable(&self, name: &str) -> Option<String> {
        let all = self.manager.environment().await.ok()?;
        all.iter().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    }

    /// The services that failed, sorted.
    ///
    /// # Errors
    /// Exit 1 where systemd does not answer.
    pub(crate) async fn failures(&self) -> Result<Vec<String>> {
        let failures = self.manager.list_units_filtered(&["failed"]).await.map_err(failed)?;
        let mut names: Vec<String> = failures.into_iter().map(|unit| unit.0).collect();
        names.sort();
        Ok(names)
    }

    async fn properties(&self, unit: &str, interface: &str) -> Option<HashMap<String, OwnedValue>> {
        let path = self.manager.load_unit(unit).await.ok()?;
        let proxy = PropertiesProxy::builder(&self.connection).path(path).ok()?.build().await.ok()?;
        proxy.get_all(interface).await.ok()
    }

    /// The same as [`state`](Self::state), when the unit is not on its way from one state to another: a session of the browser that
    /// ends is followed by the next one, and what is between them is no finding. Waits for it only so long.
    pub(crate) async fn settled_state(&self, unit: &str) -> Option<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let state = self.state(unit).await?;
            if !matches!(state.as_str(), "activating" | "deactivating" | "reloading") || Instant::now() > end {
                return Some(state);
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// `active`, `failed`, `activating`…; `None` where systemd does not know.
    async fn state(&self, unit: &str) -> Option<String> {
        let mut all = self.properties(unit, "org.freedesktop.systemd1.Unit").await?;
        all.remove("ActiveState")?.try_into().ok()
    }

    /// The process that a service runs as.
    pub(crate) async fn process(&self, unit: &str) -> Option<u32> {
        let mut all = self.properties(unit, "org.freedesktop.systemd1.Service").await?;
        all.remove("MainPID")?.try_into().ok().filter(|process| *process > 0)
    }

    /// Layout and variant of the X server's keyboard.
    pub(crate) async fn keyboard(&self) -> Option<(String, String)> {
        let locale = LocaleProxy::new(&self.connection).await.ok()?;
        Some((locale.x11_layout().await.ok()?, locale.x11_variant().await.ok()?))
    }
}
