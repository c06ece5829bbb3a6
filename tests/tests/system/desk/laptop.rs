//! A laptop at home, flashed by the agent: SaaS goes out by the home's network, what is internal through the tunnel, and neither the
//! other way. Packets and names are counted where they pass.

use std::time::{Duration, Instant};

use livery_tests::{
    fixtures::{flashed, order::LAPTOP},
    netns::{self, CABLE},
    programs::Program,
    qemu::Guest,
    site::Site,
    traces::Traces,
    tunnel::{
        ground::{Ground, SAAS, packets},
        peer::{self, Peer},
        word::Word,
    },
};

/// What the laptop tries: no tool in it is made for tests.
const TRY: &str = r#"
get() {
    timeout 4 bash -c 'exec 3<>/dev/tcp/$0/80 && printf "GET / HTTP/1.0\r\nHost: $0\r\n\r\n" >&3 && tail -n 1 <&3' "$1" 2>/dev/null | grep -owE "$2" || echo none
}
echo "saas=$(get tenant.sharepoint.com saas) intranet=$(get intranet.corp.assurance.example intranet) address=$(get 10.0.0.80 intranet)"
"#;

/// Has the laptop try until it says this; how long it took.
async fn until(guest: &mut Guest, wanted: &str, most: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let said = guest.ask(TRY, most).await.unwrap().stdout;
        if said.trim() == wanted {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < most, "not within {} s: {said}", most.as_secs());
    }
}

#[tokio::test]
async fn qemu_saas_goes_out_and_internal_goes_in() {
    let site = Site::shared().await.unwrap();
    if std::env::var_os(netns::MARK).is_none() {
        // What needs this host's network.
        flashed::laptop(&site).await.unwrap();
    }
    let name = "desk::laptop::qemu_saas_goes_out_and_internal_goes_in";
    if !netns::inside(name, "192.168.77.1/24", Duration::from_secs(1600)).await.unwrap() {
        return;
    }
    let folder = Traces::new("laptop");
    let (flashed, keys) = (flashed::laptop(&site).await.unwrap(), peer::keys(&site.folder).await.unwrap());
    let device = flashed.copy(&folder.join("device")).await.unwrap();
    flashed.station(&folder.join("station")).await.unwrap();
    let made = flashed.record().unwrap().keys.unwrap();
    let public = made.tunnel.unwrap().to_string();
    assert!(made.sealed, "by its TPM");
    // What the concentrator is told.
    let database = format!("sqlite:{}", folder.join("station/station.db").display());
    let peers = Program::Station.run(["peers", "--database", &database]).await.unwrap().good().unwrap().stdout;
    let (order, address) = (LAPTOP.order, LAPTOP.address);
    assert_eq!(peers, format!("# {order} lt-lyon-0002\n[Peer]\nPublicKey = {public}\nAllowedIPs = {address}\n"));

    let ground = Ground::lay(&folder).await.unwrap();
    let _saas = Word::start(format!("{SAAS}:80").parse().unwrap(), "saas").await.unwrap();
    let peer = Peer::start(&keys, &public, address, &folder).await.unwrap();
    let mut machine = device.machine("home").unwrap().with_probe();
    machine.memory = 3072;
    machine.cable = Some(CABLE.into());
    let mut guest = machine.start().await.unwrap();
    let patience = guest.accel().patience();
    let most = Duration::from_secs(120) * patience;
    guest.until("nmcli -t general status | grep -q ^connected", most).await.unwrap();
    let active = "nmcli -t -f NAME,DEVICE,STATE connection show --active";
    guest.until(&format!("{active} | grep -qx corporate:corporate:activated"), most).await.unwrap();
    assert_eq!(guest.facts(most).await.unwrap().hostname, "lt-lyon-0002");
    until(&mut guest, "saas=saas intranet=intranet address=intranet", most).await;
    let up = packets().await.unwrap();
    println!("tunnel up: {up:?}");
    assert!(up["saas_at_home"] > 0 && up["internal_in_tunnel"] > 0 && up["tunnel_at_home"] > 0, "{up:?}");

    // The organisation's end goes away: SaaS goes on, what is internal fails and leaves by no other way.
    peer.stop().await.unwrap();
    until(&mut guest, "saas=saas intranet=none address=none", most).await;
    until(&mut guest, "saas=saas intranet=none address=none", most).await;
    let down = packets().await.unwrap();
    println!("tunnel down: {down:?}");
    assert!(down["saas_at_home"] > up["saas_at_home"], "{down:?}");

    let peer = Peer::start(&keys, &public, address, &folder).await.unwrap();
    let back = until(&mut guest, "saas=saas intranet=intranet address=intranet", Duration::from_secs(10) * patience).await;
    println!("back after {:.1} s", back.as_secs_f64());

    // The laptop's own end is taken away: names and packets have no other way either.
    guest.ask("nmcli -t connection down corporate", most).await.unwrap().good().unwrap();
    for _ in 0..3 {
        until(&mut guest, "saas=saas intranet=none address=none", most).await;
    }
    guest.ask("nmcli -t connection up corporate", most).await.unwrap().good().unwrap();
    until(&mut guest, "saas=saas intranet=intranet address=intranet", most).await;

    let end = packets().await.unwrap();
    println!("at the end: {end:?}");
    for counter in ["internal_at_home", "other_in_tunnel"] {
        assert_eq!(end[counter], 0, "{counter}: {end:?}");
    }
    let (home, corporate) = (ground.names_at_home().unwrap(), peer.names().unwrap());
    println!("{} names asked at home, {} in the tunnel", home.len(), corporate.len());
    assert!(home.iter().any(|name| name == "tenant.sharepoint.com"), "{home:?}");
    assert!(corporate.iter().any(|name| name == "intranet.corp.assurance.example"), "{corporate:?}");
    let leaked: Vec<&String> = home.iter().filter(|name| name.ends_with("corp.assurance.example")).collect();
    assert!(leaked.is_empty(), "internal names at home: {leaked:?}");
    let detour: Vec<&String> = corporate.iter().filter(|name| !name.ends_with("corp.assurance.example")).collect();
    assert!(detour.is_empty(), "other names in the tunnel: {detour:?}");
    guest.screenshot(&folder.join("home.png")).await.unwrap();
    guest.cut_power().await.unwrap();
}
