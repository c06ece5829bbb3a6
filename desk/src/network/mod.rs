//! NetworkManager, as far as a desk needs it: whether there is a network, and Wi-Fi. In: its objects on the system's bus. Out:
//! [`State`], [`wifi::Network`]. Fails where the bus or NetworkManager does not answer; D-Bus' policy says what it may ask for.

mod proxies;
pub(crate) mod wifi;

use futures::{StreamExt as _, stream};
use livery_contract::{Fault, Result};
use serde::Serialize;

use self::proxies::ManagerProxy;

/// What a person needs to know of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Nothing is connected.
    Away,
    /// Connected by cable.
    Wired,
    /// Connected by Wi-Fi.
    Wireless,
    /// Connected, but a sign-in page of the network's own stands before everything else.
    Portal,
}

impl State {
    /// From NetworkManager's numbers: NMState, NMConnectivityState, and the type of the primary connection.
    fn of(state: u32, connectivity: u32, kind: &str) -> Self {
        const CONNECTED_LOCAL: u32 = 50;
        const PORTAL: u32 = 2;
        match (state, connectivity, kind) {
            (..CONNECTED_LOCAL, _, _) => Self::Away,
            (_, PORTAL, _) => Self::Portal,
            (_, _, "802-11-wireless") => Self::Wireless,
            // Loopback alone counts as connected locally.
            (_, _, "") => Self::Away,
            _ => Self::Wired,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Manager {
    bus: zbus::Connection,
    proxy: ManagerProxy<'static>,
}

fn failed(error: impl Into<zbus::Error>) -> Fault {
    Fault::internal("NetworkManager does not answer").cause(error.into())
}

impl Manager {
    /// Connects to it.
    ///
    /// # Errors
    /// Exit 1 where the system's bus is not there.
    pub(crate) async fn connect() -> Result<Self> {
        let bus = zbus::Connection::system().await.map_err(failed)?;
        let proxy = ManagerProxy::new(&bus).await.map_err(failed)?;
        Ok(Self { bus, proxy })
    }

    /// The state now.
    ///
    /// # Errors
    /// Exit 1 where it does not answer.
    pub(crate) async fn state(&self) -> Result<State> {
        let state = self.proxy.state().await.map_err(failed)?;
        let connectivity = self.proxy.connectivity().await.map_err(failed)?;
        let kind = self.proxy.primary_connection_type().await.map_err(failed)?;
        Ok(State::of(state, connectivity, &kind))
    }

    /// Comes back each time when the state may have changed; ends when NetworkManager is gone from the bus.
    pub(crate) async fn changes(&self) -> impl futures::Stream<Item = ()> + Unpin + use<> {
        let state = self.proxy.receive_state_changed().await.map(drop);
        let connectivity = self.proxy.receive_connectivity_changed().await.map(drop);
        let kind = self.proxy.receive_primary_connection_type_changed().await.map(drop);
        stream::select(Box::pin(state), stream::select(Box::pin(connectivity), Box::pin(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_what_a_person_would_call_them() {
        for (state, connectivity, kind, expected) in [
            (20, 1, "", State::Away),
            (40, 1, "802-11-wireless", State::Away),
            (50, 3, "", State::Away),
            (60, 3, "802-3-ethernet", State::Wired),
            (70, 4, "802-11-wireless", State::Wireless),
            (60, 2, "802-11-wireless", State::Portal),
        ] {
            assert_eq!(State::of(state, connectivity, kind), expected, "{state} {connectivity} {kind}");
        }
    }
}
