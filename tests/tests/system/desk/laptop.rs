//! A laptop at home, flashed by the agent: SaaS goes out by the home's network, what is internal through the tunnel, and neither the
//! other way. Packets and names are counted where they pass.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use livery_tests::{
    device::Device,
    line::Line,
    netns::{self, CABLE},
    programs::Program,
    qemu::{Credential, Guest},
    site::Site,
    tunnel::{
        ground::{Ground, SAAS, packets},
        peer::{self, Peer},
        word::Word,
    },
};

const ADDRESS: &str = "10.200.0.17/32";
const SERIAL: &str = "LAT5440-0001";
/// A hash of no code that anybody knows: nobody signs in here.
const NOBODYS: &str = "$y$j9T$LdJMENpBABJJ3hIHjB1Bi.$HboGM6qPrsK.StKYGt6KErmUYtioHreJd98oIugoNB6";
/// What the laptop tries, again and again, and says on its serial console: no tool in it is made for tests.
const TRY: &str = r#"
get() {
    timeout 4 bash -c 'exec 3<>/dev/tcp/$0/80 && printf "GET / HTTP/1.0\r\nHost: $0\r\n\r\n" >&3 && tail -n 1 <&3' "$1" 2>/dev/null | grep -owE "$2" || echo none
}
echo
until nmcli -t general status | grep -q ^connected; do sleep 1; done
echo "LIVERY-ABOUT $(hostname) $(nmcli -t -f NAME,DEVICE,STATE connection show --active | tr '\n' ' ')"
told=no
for i in $(seq 200); do
    grep -qs 'ne s.est pas ouvert' /etc/xdg/lightdm/lightdm-gtk-greeter.conf.d/90-no-data.conf && told=yes && break
    sleep 1
done
echo "LIVERY-DATA told=$told accounts=$(homectl list --no-legend 2> /dev/null | wc -l) homed=$(systemctl is-active systemd-homed)"
i=0
while :; do
    i=$((i + 1))
    saas=$(get tenant.sharepoint.com 'saas|cut')
    case $saas in
        cut) nmcli -t connection down corporate >&2 ;;
        saas) [ -e /sys/class/net/corporate ] || nmcli -t connection up corporate >&2 ;;
    esac
    internal=$(get intranet.corp.assurance.example intranet)
    address=$(get 10.0.0.80 intranet)
    echo "LIVERY-ROUND $i saas=$saas intranet=$internal address=$address"
    sleep 1
done
"#;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../out/tests/laptop")
}

/// Waits for a round that says this; how long it took.
async fn until(guest: &mut Guest, wanted: &str, most: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let round = guest.wait_for(&format!("a round with {wanted}"), "LIVERY-ROUND", most).await.unwrap();
        if round.contains(wanted) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < most, "not within {} s: {round}", most.as_secs());
    }
}

#[tokio::test]
async fn qemu_saas_goes_out_and_internal_goes_in() {
    let site = Site::shared().await.unwrap();
    let keys = peer::keys(&site.folder).await.unwrap();
    if std::env::var_os(netns::MARK).is_none() {
        // What needs this host's network.
        site.medium().await.unwrap();
        site.build_laptop(&keys.public).await.unwrap();
    }
    if !netns::inside("desk::laptop::qemu_saas_goes_out_and_internal_goes_in", "192.168.77.1/24", Duration::from_secs(1600))
        .await
        .unwrap()
    {
        return;
    }
    let folder = folder();
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let master = site.build_laptop(&keys.public).await.unwrap();
    let roster = folder.join("roster.csv");
    fs::write(
        &roster,
        format!(
            "order,serial,user,name,hostname,locale,keyboard,timezone,tunnel-address,first-password\n\
             ORD-2001,{SERIAL},lea.martin,Léa Martin,lt-lyon-0001,fr_FR.UTF-8,fr,Europe/Paris,{ADDRESS},{NOBODYS}\n"
        ),
    )
    .unwrap();
    site.personalise(&master, &roster).await.unwrap();
    let line = Line::start(&site, &folder.join("station"), Some((&roster, &master))).await.unwrap();
    let device = Device::new(&folder.join("device"), SERIAL, 40 << 30).unwrap();
    let (record, _) = device.flash_well(&site.stick(), &line, &"ORD-2001".parse().unwrap()).await.unwrap();
    let peers = Program::Station.run(["peers", "--database", line.database()]).await.unwrap().good().unwrap().stdout;
    drop(line);
    let made = record.keys.unwrap();
    let public = made.tunnel.unwrap();
    assert!(!made.sealed, "there is no TPM in it");
    // What the concentrator is told.
    assert_eq!(peers, format!("# ORD-2001 lt-lyon-0001\n[Peer]\nPublicKey = {public}\nAllowedIPs = {ADDRESS}\n"));

    let ground = Ground::lay(&folder).await.unwrap();
    let saas = Word::start(format!("{SAAS}:80").parse().unwrap(), "saas").await.unwrap();
    let peer = Peer::start(&keys, &public, ADDRESS, &folder).await.unwrap();
    let mut machine = device.machine("home").unwrap();
    machine.memory = 3072;
    machine.cable = Some(CABLE.into());
    machine.credentials.extend([
        Credential::new("probe.script", TRY),
        Credential::new(
            "systemd.extra-unit.livery-probe.service",
            "[Unit]\nDescription=Probe\nAfter=NetworkManager.service\n\
             [Service]\nType=exec\nStandardOutput=file:/dev/ttyS0\nStandardError=null\nImportCredential=probe.*\n\
             ExecStart=/bin/bash ${CREDENTIALS_DIRECTORY}/probe.script\n",
        ),
        Credential::new("systemd.unit-dropin.multi-user.target", "[Unit]\nWants=livery-probe.service\n"),
    ]);
    let mut guest = machine.start().await.unwrap();
    let patience = guest.accel().patience();
    let most = Duration::from_secs(120) * patience;
    let about = guest.wait_for("a network", "LIVERY-ABOUT", most).await.unwrap();
    println!("{about}");
    assert!(about.contains("lt-lyon-0001") && about.contains("corporate:corporate:activated"), "{about}");
    // It has no TPM, so no data partition: nobody can sign in and lose what he does, and the sign-in page says so in French.
    let data = guest.wait_for("its word on the data partition", "LIVERY-DATA", most).await.unwrap();
    assert!(data.contains("told=yes accounts=0 homed=inactive"), "{data}");
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

    let peer = Peer::start(&keys, &public, ADDRESS, &folder).await.unwrap();
    let back = until(&mut guest, "saas=saas intranet=intranet", Duration::from_secs(10) * patience).await;
    println!("back after {:.1} s", back.as_secs_f64());

    // The laptop's own end is taken away: names and packets have no other way either.
    saas.says("cut");
    for _ in 0..3 {
        until(&mut guest, "saas=cut intranet=none address=none", most).await;
    }
    saas.says("saas");
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
