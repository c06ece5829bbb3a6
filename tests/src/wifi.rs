//! A home's Wi-Fi inside a device: two simulated radios (mac80211_hwsim), one of which is an access point with WPA2, made by the
//! device's own wpa_supplicant and systemd-networkd. The other one is what the device finds. Handed over as a credential, like every
//! probe: nothing of it is in the image, but for the kernel's module, which QEMU's hardware brings.

/// The network's name.
pub const NETWORK: &str = "Maison";
/// Its password: with letters that lie elsewhere on a French keyboard.
pub const PASSWORD: &str = "moquette";

/// A part of a shell script, as root, in which `say KEY VALUE` tells: `wifi` is `in reach`, and later `joined`.
pub fn script() -> String {
    format!(
        r#"mkdir -p /run/systemd/network /run/NetworkManager/conf.d
# The access point is nobody's but networkd's, and nothing else is networkd's.
printf '[keyfile]\nunmanaged-devices=interface-name:wlan1\n' > /run/NetworkManager/conf.d/90-point.conf
nmcli general reload conf
printf '[Match]\nName=wlan1\n[Network]\nAddress=192.168.50.1/24\nDHCPServer=yes\n' > /run/systemd/network/70-point.network
ln -sf /dev/null /run/systemd/network/80-livery-ethernet.network
modprobe mac80211_hwsim radios=2
printf 'network={{\nssid="{NETWORK}"\nmode=2\nfrequency=2412\nkey_mgmt=WPA-PSK\nproto=RSN\npairwise=CCMP\npsk="{PASSWORD}"\n}}\n' > /run/point.conf
# A laptop has it running already.
systemctl restart systemd-networkd
systemd-run --quiet --unit=point wpa_supplicant -i wlan1 -D nl80211 -c /run/point.conf
# An access point gives a handshake some four seconds, and an emulated desktop that comes up keeps programs waiting for longer: these two go first.
for i in $(seq 60); do pidof wpa_supplicant | grep -q ' ' && break; sleep 1; done
for pid in $(pidof wpa_supplicant); do chrt --fifo --pid 20 "$pid"; done
for i in $(seq 60); do nmcli -t -f SSID device wifi list --rescan auto | grep -qx '{NETWORK}' && break; sleep 1; done
say wifi "in reach: $(nmcli -t -f SSID device wifi list --rescan no | tr '\n' ' ')"
for i in $(seq 600); do nmcli -t -f DEVICE,STATE device | grep -qx 'wlan0:connected' && break; sleep 1; done
say wifi "joined: $(nmcli -t -f NAME,DEVICE connection show --active | tr '\n' ' ')"
"#
    )
}
