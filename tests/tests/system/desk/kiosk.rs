//! The terminal's screen as a person meets it: closed, back within ten seconds whatever happens to the browser, sure of its network,
//! and nobody's once a session is over. The image's real root with its own systemd, in a container with a headless screen.

mod bench;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use livery_tests::{
    gateway::{MARKS, accounts::Receiver},
    screen::{
        desk::Options,
        ground,
        hotel::{self, Hotel},
        trap::Trap,
    },
    site::{Allow, Site},
};
use tokio::time::sleep;

use self::bench::Bench;

/// How soon a browser that is gone or hangs is missed: `WatchdogSec=4s`, and a heartbeat each second.
const MISSED: Duration = Duration::from_secs(5);
/// A start from nothing on a busy machine.
const START: Duration = Duration::from_secs(90);
/// What takes a moment, and must come.
const SOON: Duration = Duration::from_secs(60);
/// A whole test, perhaps with a build of the image.
const MOST: Duration = Duration::from_secs(40 * 60);
const SIGN_IN: &str = "/logon/LogonPoint/index.html";
/// What the colour of the waiting page and of the curtain is made of.
const NIGHT: [u8; 3] = [0x12, 0x35, 0x5b];

#[tokio::test]
async fn a_browser_that_is_killed_hung_or_out_of_memory_is_back_by_itself() {
    let site = Site::shared().await.unwrap();
    let Some(disk) =
        ground::inside(&site, "desk::kiosk::a_browser_that_is_killed_hung_or_out_of_memory_is_back_by_itself", MOST).await.unwrap()
    else {
        return;
    };
    let bench = Bench::start(&site, &disk, "back", &Options::default()).await;
    let first = bench.drawn_again(SIGN_IN, 0, START).await;
    eprintln!("from the start of the system to the sign-in page: {:.1} s", first.as_secs_f32());
    bench.sees("sign-in", |picture| picture.shows(&MARKS)).await;
    let main = "$(systemctl show --value --property MainPID livery-browser)";
    // The process of the page that is shown: of all content processes the one for web pages that has a page.
    let page = "$(pgrep --full 'firefox-esr -contentproc.* tab$')";
    for (what, script) in [
        ("killed", format!("kill -KILL {main}")),
        ("hung", format!("kill -STOP {main}")),
        ("its pages' processes killed", format!("kill -KILL {page}")),
        ("its pages' processes hung", format!("kill -STOP {page}")),
        ("its link killed", "pkill --signal KILL --full 'livery-desk link'".to_owned()),
        ("the compositor killed", "pkill --signal KILL --exact sway".to_owned()),
        ("out of memory", String::new()),
    ] {
        // Up for systemd too: its watchdog counts from the first heartbeat.
        bench
            .wait("the session is up", SOON, async || bench.desk.browser("ActiveState").await.is_ok_and(|state| state == "active"))
            .await;
        let before = bench.gateway.drawn(SIGN_IN);
        let since = Instant::now();
        if script.is_empty() {
            bench.desk.exhaust_memory().await.unwrap();
        } else {
            bench.desk.machine.run(&script).await.unwrap();
        }
        bench.drawn_again(SIGN_IN, before, SOON).await;
        let took = since.elapsed();
        bench.desk.relieve_memory().await;
        // Ten seconds on a terminal; how long a browser takes to start is the host's, and this one emulates devices beside it.
        eprintln!("{what}: back after {:.1} s", took.as_secs_f32());
        assert!(took < MISSED + 2 * first, "{what}: {took:?}, where the first start took {first:?}");
    }
    assert_eq!(bench.desk.browser("WatchdogUSec").await.unwrap(), "4s");
    assert_eq!(bench.desk.browser("OOMPolicy").await.unwrap(), "kill");
    assert!(bench.desk.machine.run("systemctl --failed --quiet --plain").await.unwrap().stdout.is_empty());
}

#[tokio::test]
async fn no_key_and_no_page_leads_out() {
    let site = Site::shared().await.unwrap();
    let Some(disk) = ground::inside(&site, "desk::kiosk::no_key_and_no_page_leads_out", MOST).await.unwrap() else { return };
    let trap = Trap::set(&site.authority()).await.unwrap();
    let bench = Bench::start(&site, &disk, "closed", &Options { home: Trap::url(), ..Options::default() }).await;
    let drawn = || trap.seen().iter().filter(|what| *what == "drawn").count();
    bench.wait("the page is drawn", START, async || drawn() > 0).await;
    let written = bench.desk.root.written().unwrap();
    let files = async || {
        bench
            .desk
            .machine
            .run("find / '(' -path /proc -o -path /sys ')' -prune -o -name 'livery-trap*' -print")
            .await
            .unwrap()
            .stdout
    };
    // That it is still the page in front, and answers: it is loaded anew by a key that stays.
    let still_there = async |what: &str| {
        let before = drawn();
        bench.desk.press(&[], "F5").await.unwrap();
        bench.wait(&format!("the page is in front after {what}"), SOON, async || drawn() > before).await;
        let windows = bench.desk.windows().await.unwrap();
        assert!(windows.len() == 1 && windows[0].starts_with("trap"), "{what}: {windows:?}");
        assert_eq!(trap.reached(), 0, "{what}: somebody came to a place that is not allowed");
    };
    let mut passed_on = 0;
    for (held, key) in KEYS {
        bench.desk.press(held, key).await.unwrap();
        let what = format!("{held:?} {key}");
        bench.desk.keep(&bench.folder, &format!("key-{}-{key}", held.join("-"))).await.unwrap();
        // As if that had opened an address bar.
        bench.desk.enter("10.0.0.1:8080").await.unwrap();
        still_there(&what).await;
        passed_on += usize::from(trap.seen().iter().any(|said| said.eq_ignore_ascii_case(&format!("key {key}"))));
    }
    eprintln!("{} keys lead nowhere; the page got {passed_on} of them", KEYS.len());
    for try_ in Trap::tries() {
        let before = trap.seen().len();
        bench.desk.type_text(&Trap::keys_of(try_).unwrap()).await.unwrap();
        let began = format!("try {try_}");
        bench.wait(&began, SOON, async || trap.seen()[before..].contains(&began)).await;
        bench.desk.keep(&bench.folder, &format!("try-{try_}")).await.unwrap();
        still_there(try_).await;
        assert_eq!(files().await, "", "{try_}: a file was kept");
    }
    eprintln!("{} tries of a page lead nowhere", Trap::tries().count());
    let listening = bench.desk.machine.listening().await.unwrap();
    assert!(!listening.contains("livery"), "a page could talk to the desk: {listening}");
    let programs = bench.desk.machine.run("ps -o comm= -u kiosk").await.unwrap().stdout;
    let programs: BTreeSet<&str> = programs.lines().map(str::trim).collect();
    eprintln!("the kiosk's user runs: {programs:?}");
    assert_eq!(bench.desk.browser("NRestarts").await.unwrap(), "0", "all of that in one session");
    let more: Vec<_> = bench.desk.root.written().unwrap().into_iter().filter(|path| !written.contains(path)).collect();
    assert!(more.iter().all(|path| path.starts_with("var/lib")), "files outside of the session: {more:?}");
}

/// Keys that lead out of a Firefox that is open, or to another console.
const KEYS: &[(&[&str], &str)] = &[
    (&["ctrl"], "l"),
    (&["alt"], "d"),
    (&["ctrl"], "k"),
    (&["ctrl"], "j"),
    (&[], "F6"),
    (&["ctrl"], "t"),
    (&["ctrl"], "n"),
    (&["ctrl", "shift"], "p"),
    (&["ctrl", "shift"], "t"),
    (&["ctrl", "shift"], "n"),
    (&["ctrl"], "o"),
    (&["ctrl"], "s"),
    (&["ctrl"], "p"),
    (&["ctrl"], "u"),
    (&["ctrl"], "i"),
    (&[], "F12"),
    (&["ctrl", "shift"], "k"),
    (&["ctrl", "shift"], "i"),
    (&["ctrl", "shift"], "c"),
    (&["ctrl", "shift"], "j"),
    (&["shift"], "F7"),
    (&["shift"], "F2"),
    (&["ctrl", "shift"], "a"),
    (&["ctrl", "shift"], "y"),
    (&["ctrl"], "h"),
    (&["ctrl", "shift"], "h"),
    (&["ctrl"], "b"),
    (&["ctrl", "shift"], "o"),
    (&["ctrl"], "d"),
    (&["ctrl", "shift"], "Delete"),
    (&["shift"], "Escape"),
    (&["alt"], "Home"),
    (&["alt"], "F4"),
    (&["ctrl"], "w"),
    (&["ctrl"], "q"),
    (&[], "F10"),
    (&[], "F11"),
    (&[], "Alt_L"),
    (&["alt"], "f"),
    (&[], "Menu"),
    (&["shift"], "F10"),
    (&["logo"], "Return"),
    (&["logo"], "d"),
    (&["logo", "shift"], "q"),
    (&["ctrl", "alt"], "F2"),
    (&["ctrl", "alt"], "Delete"),
    (&["ctrl", "alt"], "BackSpace"),
];

#[tokio::test]
async fn the_network_goes_and_comes_and_the_screen_says_so() {
    let site = Site::shared().await.unwrap();
    let Some(disk) = ground::inside(&site, "desk::kiosk::the_network_goes_and_comes_and_the_screen_says_so", MOST).await.unwrap()
    else {
        return;
    };
    // A device that is switched on without a cable.
    let bench = Bench::start(&site, &disk, "network", &Options { cable: false, ..Options::default() }).await;
    let night = |picture: &livery_tests::picture::Picture| picture.count(NIGHT, 3) * 10 > 1280 * 720 * 7 && !picture.shows(&MARKS);
    bench
        .wait("the screen is up", START, async || bench.desk.browser("ActiveState").await.is_ok_and(|state| state == "active"))
        .await;
    bench.sees("waiting", night).await;
    assert_eq!(bench.gateway.beacons().len(), 0);
    bench.desk.machine.cable(true).await.unwrap();
    let took = bench.drawn_again(SIGN_IN, 0, SOON).await;
    eprintln!("network there: the sign-in page after {:.1} s", took.as_secs_f32());
    bench.sees("sign-in", |picture| picture.shows(&MARKS)).await;
    // It goes while a page is there: the page stays, under a curtain.
    let session = bench.session().await;
    bench.desk.type_text("marie").await.unwrap();
    bench.desk.machine.cable(false).await.unwrap();
    let took = bench.sees("curtain", |picture| !picture.shows(&MARKS)).await;
    eprintln!("network away: said after {:.1} s", took.as_secs_f32());
    bench.desk.machine.cable(true).await.unwrap();
    let took = bench.sees("no-curtain", |picture| picture.shows(&MARKS)).await;
    eprintln!("network back: the page after {:.1} s", took.as_secs_f32());
    // It goes, and somebody loads the page anew.
    bench.desk.machine.cable(false).await.unwrap();
    bench.sees("curtain", |picture| !picture.shows(&MARKS)).await;
    bench.desk.press(&[], "F5").await.unwrap();
    let waits = bench.waiting_page("the waiting page is there", "").await;
    bench.sees("waiting-again", night).await;
    let before = bench.gateway.drawn(SIGN_IN);
    bench.desk.machine.cable(true).await.unwrap();
    let took = bench.drawn_again(SIGN_IN, before, SOON).await;
    eprintln!("network back: the sign-in page after {:.1} s", took.as_secs_f32());
    // The Gateway goes, and nothing else.
    bench.gateway_answers(false).await;
    bench.desk.press(&[], "F5").await.unwrap();
    let silent = bench.waiting_page("the waiting page does not blame the network", &waits).await;
    eprintln!("network away: {waits:?}; Gateway away: {silent:?}");
    let before = bench.gateway.drawn(SIGN_IN);
    bench.gateway_answers(true).await;
    bench.drawn_again(SIGN_IN, before, SOON).await;
    assert_eq!(bench.session().await.0, session.0, "all of that in one session");
}

#[tokio::test]
async fn a_network_with_a_sign_in_page_of_its_own_shows_it_first() {
    let site = Site::shared().await.unwrap();
    let name = "desk::kiosk::a_network_with_a_sign_in_page_of_its_own_shows_it_first";
    let Some(disk) = ground::inside(&site, name, MOST).await.unwrap() else { return };
    let hotel = Hotel::open().unwrap();
    let bench = Bench::start(&site, &disk, "hotel", &Options { cable: false, ..Options::default() }).await;
    bench
        .wait("the screen is up", START, async || bench.desk.browser("ActiveState").await.is_ok_and(|state| state == "active"))
        .await;
    let welcome = async || bench.desk.windows().await.unwrap().iter().any(|title| title.contains(hotel::TITLE));
    bench.sees("waiting", |picture| picture.count(NIGHT, 3) > 200_000).await;
    hotel.lock().await.unwrap();
    bench.desk.machine.cable(true).await.unwrap();
    let took = bench.wait("the network's own page", START, async || welcome().await).await;
    eprintln!("the hotel's page after {:.1} s", took.as_secs_f32());
    bench.sees("hotel", |picture| picture.count([0x6a, 0x3d, 0x9a], 3) > 100_000).await;
    // A browser of its own: nothing of the session's is in it, and it goes when it is not needed.
    assert_ne!(
        bench.desk.machine.read("/etc/firefox/policies/policies.json").unwrap(),
        bench.desk.machine.read("/etc/livery/portal-policies.json").unwrap()
    );
    assert_eq!(bench.gateway.drawn(SIGN_IN), 0, "the Gateway is not reached before");
    bench.desk.press(&[], "Return").await.unwrap();
    bench.wait("somebody has accepted", SOON, async || hotel.is_through()).await;
    let took = bench.wait("the network's own page is gone", START, async || !welcome().await).await;
    eprintln!("accepted: the hotel's page is gone after {:.1} s", took.as_secs_f32());
    let took = bench.drawn_again(SIGN_IN, 0, START).await;
    eprintln!("and the sign-in page is there {:.1} s later", took.as_secs_f32());
    bench.sees("sign-in", |picture| picture.shows(&MARKS)).await;
}

#[tokio::test]
async fn a_session_that_is_over_leaves_nothing() {
    let site = Site::shared().await.unwrap();
    let Some(disk) = ground::inside(&site, "desk::kiosk::a_session_that_is_over_leaves_nothing", MOST).await.unwrap() else {
        return;
    };
    let bench = Bench::start(&site, &disk, "sessions", &Options { idle: 25, ..Options::default() }).await;
    bench.drawn_again(SIGN_IN, 0, START).await;
    bench.sign_in(0).await;
    let first = bench.session().await;
    assert!(first.1.contains("cookies.sqlite"), "{first:?}");
    // Signs out as a person does: by the page's second link, after the desktop's.
    for _ in 0..2 {
        bench.desk.press(&[], "Tab").await.unwrap();
    }
    bench.desk.press(&[], "Return").await.unwrap();
    let took = bench.another_session(&first.0, SOON).await;
    eprintln!("signed out: a new session after {:.1} s", took.as_secs_f32());
    let second = bench.session().await;
    assert!(first.0 != second.0 && first.1.lines().next() != second.1.lines().next(), "{first:?} {second:?}");
    assert_eq!(bench.signed_out(), 1);
    // Nobody is there: the Gateway is told, and the next person finds the sign-in page.
    bench.sign_in(1).await;
    let took = bench.another_session(&second.0, Duration::from_secs(60)).await;
    eprintln!("nobody there for 25 s: a new session after {:.1} s", took.as_secs_f32());
    let third = bench.session().await;
    assert!(second.0 != third.0 && second.1.lines().next() != third.1.lines().next(), "{second:?} {third:?}");
    assert_eq!(bench.signed_out(), 2, "the Gateway was not told");
    let left = bench
        .desk
        .machine
        .run("grep -rlF -e marie.durand -e paul.petit /run/browser /run/kiosk /tmp /var /etc /home 2>/dev/null")
        .await
        .unwrap();
    assert_eq!(left.stdout, "", "something of the person is left");
}

#[tokio::test]
async fn a_desktop_for_citrix_client_opens_in_it_and_ends_with_the_session() {
    let site = Site::shared().await.unwrap();
    let name = "desk::kiosk::a_desktop_for_citrix_client_opens_in_it_and_ends_with_the_session";
    let Some(disk) = ground::inside(&site, name, MOST).await.unwrap() else { return };
    let bench = Bench::start(&site, &disk, "client", &Options { receiver: Receiver::Native, ..Options::default() }).await;
    bench.drawn_again(SIGN_IN, 0, START).await;
    bench.sign_in(0).await;
    bench.desk.press(&[], "Tab").await.unwrap();
    bench.desk.press(&[], "Return").await.unwrap();
    // The client's window bears the ticket that the file held.
    let window = async || {
        let windows = bench.desk.windows().await.unwrap();
        windows.into_iter().find_map(|title| Some(title.strip_prefix("Bureau Assurance ")?.to_owned()))
    };
    let took = bench.wait("the client's window", SOON, async || window().await.is_some()).await;
    eprintln!("from a key on the page to the client's window: {:.1} s", took.as_secs_f32());
    // Over the page, not beside it; the bar stays.
    bench.sees("client", |picture| picture.count([0x6a, 0x3d, 0x9a], 3) > 1280 * 680).await;
    let ticket = window().await.unwrap();
    assert_eq!(bench.gateway.redeem(&ticket).as_deref(), Some("marie.durand"), "the ticket opens the desktop");
    assert_eq!(bench.gateway.redeem(&ticket), None, "and only once");
    let left = "find / -xdev -name '*.ica' 2>/dev/null; grep -rlF LogonTicket /run /tmp /var 2>/dev/null";
    assert_eq!(bench.desk.machine.run(left).await.unwrap().stdout, "", "the file is still there");
    // Whoever comes next finds no desktop of somebody else's.
    let session = bench.session().await;
    bench.desk.run_at_the_screen("livery-desk leave").await.unwrap();
    bench.another_session(&session.0, SOON).await;
    assert_eq!(window().await, None, "the client outlived its session");
    assert_eq!(bench.desk.machine.run("pidof wfica").await.unwrap().stdout, "");
}

#[tokio::test]
async fn the_settings_open_and_a_session_can_be_ended() {
    let site = Site::shared().await.unwrap();
    let Some(disk) = ground::inside(&site, "desk::kiosk::the_settings_open_and_a_session_can_be_ended", MOST).await.unwrap() else {
        return;
    };
    // On two screens: the browser on the first, a bar on each.
    let bench = Bench::start(&site, &disk, "bar", &Options { screens: 2, ..Options::default() }).await;
    bench.drawn_again(SIGN_IN, 0, START).await;
    bench.sees("two-screens", |picture| picture.width == 2560 && picture.count(MARKS[0], 3) > 1000).await;
    assert_eq!(bench.desk.windows().await.unwrap().len(), 1);
    // As the bar does when it is clicked (a seat of sway's without a screen has no pointer): one word to the link's socket, for which
    // systemd's own tool will do.
    bench.desk.run_at_the_screen("NOTIFY_SOCKET=/run/kiosk/livery-link systemd-notify --no-block settings").await.unwrap();
    let open = async || bench.desk.windows().await.unwrap().iter().any(|title| title.starts_with("Livery: "));
    bench.wait("the settings are open", SOON, open).await;
    bench.desk.look(&bench.folder, "settings").await.unwrap();
    // What the kiosk's user may ask of NetworkManager.
    let ask = "busctl call org.freedesktop.NetworkManager /org/freedesktop/NetworkManager org.freedesktop.NetworkManager";
    assert!(bench.desk.run_at_the_screen(&format!("{ask} GetDevices")).await.is_ok());
    for forbidden in ["Sleep b true", "Enable b false", "GetPermissions", "Reload u 0"] {
        let refused = bench.desk.run_at_the_screen(&format!("{ask} {forbidden}")).await.unwrap_err().to_string();
        assert!(refused.contains("denied") || refused.contains("refused") || refused.contains("policy"), "{forbidden}: {refused}");
    }
    let session = bench.session().await;
    bench.desk.run_at_the_screen("livery-desk leave").await.unwrap();
    let took = bench.another_session(&session.0, SOON).await;
    eprintln!("ended by hand: a new session after {:.1} s", took.as_secs_f32());
}

/// As IPP printers are found: by DNS-SD.
const PRINTER: &str = "ippeveprinter -p 8631 -f application/pdf -k -d /run/printed Bureau";

#[tokio::test]
async fn what_the_profile_allows_works_printing_and_a_larger_scale() {
    let site = Site::shared().await.unwrap();
    let name = "desk::kiosk::what_the_profile_allows_works_printing_and_a_larger_scale";
    let Some(disk) = ground::inside_of(&site, Allow::All, name, MOST).await.unwrap() else { return };
    let trap = Trap::set(&site.authority()).await.unwrap();
    let bench = Bench::start(&site, &disk, "allowed", &Options { home: Trap::url(), ..Options::default() }).await;
    bench.wait("the page is drawn", START, async || trap.seen().iter().any(|what| what == "drawn")).await;
    let scale = bench.desk.run_at_the_screen("swaymsg -r -t get_outputs").await.unwrap().json::<serde_json::Value>().unwrap();
    assert_eq!(scale[0]["scale"], 1.25, "{scale:#}");
    bench.desk.machine.run(&format!("mkdir -p /run/printed; systemd-run --unit printer {PRINTER}")).await.unwrap().good().unwrap();
    let known = async || bench.desk.machine.run("lpstat -e").await.is_ok_and(|done| done.stdout.contains("Bureau"));
    bench.wait("CUPS finds the printer", SOON, known).await;
    let dialog = async |name: &str| {
        bench.desk.type_text(&Trap::keys_of("print").unwrap()).await.unwrap();
        // White paper, where the page was green.
        bench.sees(name, |picture| picture.count([0xff; 3], 3) > 200_000).await;
        // It asks for printers when it is there already; nothing outside the dialog knows when it has them.
        sleep(Duration::from_secs(6)).await;
    };
    dialog("print").await;
    // The first choice is a file, the second one the printer.
    bench.desk.press(&[], "Down").await.unwrap();
    // GTK asks the printer for its choices and draws them; nothing outside the dialog knows when.
    sleep(Duration::from_secs(2)).await;
    bench.desk.look(&bench.folder, "printer").await.unwrap();
    bench.desk.press(&[], "Return").await.unwrap();
    let printed = async || bench.desk.machine.run("head -c 5 /run/printed/*.pdf").await.is_ok_and(|done| done.stdout == "%PDF-");
    let took = bench.wait("the printer has the page", SOON, async || printed().await).await;
    eprintln!("from a key in the dialog to the printer: {:.1} s", took.as_secs_f32());
    // A file is none of the kiosk's business, also where printing is.
    bench
        .wait("the dialog is gone", SOON, async || {
            bench.desk.look(&bench.folder, "printed").await.unwrap().count([0xff; 3], 3) < 200_000
        })
        .await;
    dialog("print-again").await;
    bench.desk.press(&[], "Return").await.unwrap();
    // What must not come has no state; a page of this size took less than a second above.
    sleep(Duration::from_secs(5)).await;
    bench.desk.look(&bench.folder, "no-file").await.unwrap();
    let files = r"find /run /tmp /var /home /root -path /run/printed -prune -o -name '*.pdf' -print";
    assert_eq!(bench.desk.machine.run(files).await.unwrap().stdout, "");
    assert_eq!(bench.desk.windows().await.unwrap().len(), 1);
    a_session_that_ends_is_when_a_newer_image_is_taken(bench).await;
}

/// Nobody is in the middle of anything then. Where nothing is ready, another session begins; where a newer image is, the terminal starts
/// again.
async fn a_session_that_ends_is_when_a_newer_image_is_taken(bench: Bench) {
    let session = bench.session().await.0;
    bench.desk.run_at_the_screen("livery-desk leave").await.unwrap();
    bench.begins_another_session(&session, SOON).await;
    let up = async || bench.desk.browser("ActiveState").await.is_ok_and(|state| state == "active");
    bench.wait("another session is up", START, up).await;
    bench.desk.machine.has_a_newer_image("terminal@2").await.unwrap();
    bench.desk.run_at_the_screen("livery-desk leave").await.unwrap();
    bench.desk.machine.ended(SOON).await.unwrap();
}
