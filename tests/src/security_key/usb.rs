//! A USB device that exists in this process only, in a guest's port: QEMU's `usb-redir` at one end, and at the other the protocol of
//! spice-space.org's usbredir (version 0.7), of which this is the part that a device of one interrupt endpoint each way needs.
//! All numbers are little-endian.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
};

use super::hid::{DESCRIPTOR, REPORT, Report};

/// Types of packets.
const HELLO: u32 = 0;
const DEVICE_CONNECT: u32 = 1;
const INTERFACE_INFO: u32 = 4;
const EP_INFO: u32 = 5;
const SET_CONFIGURATION: u32 = 6;
const GET_CONFIGURATION: u32 = 7;
const CONFIGURATION_STATUS: u32 = 8;
const SET_ALT_SETTING: u32 = 9;
const GET_ALT_SETTING: u32 = 10;
const ALT_SETTING_STATUS: u32 = 11;
const START_INTERRUPT_RECEIVING: u32 = 15;
const STOP_INTERRUPT_RECEIVING: u32 = 16;
const INTERRUPT_RECEIVING_STATUS: u32 = 17;
const CONTROL_PACKET: u32 = 100;
const INTERRUPT_PACKET: u32 = 103;

/// What both ends can do, as bits: `device_connect` with a version; then what QEMU demands in a port of USB 3: `ep_info` with packet
/// sizes, IDs of 64 bits, bulk packets with lengths of 32 bits (of which this device has none).
const CAPABILITIES: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6;
/// Bytes of the version in the first packet.
const VERSION: usize = 64;
/// The longest packet that is read.
const LONGEST: u32 = 1 << 16;

/// Statuses.
const SUCCESS: u8 = 0;
const STALL: u8 = 4;

/// The two endpoints.
const IN: u8 = 0x81;
const OUT: u8 = 0x01;
/// A maker of test devices, and one of them (pid.codes).
const IDS: [u8; 4] = [0x09, 0x12, 0x01, 0x00];
/// Its version in BCD.
const RELEASE: [u8; 2] = [0x00, 0x01];
/// Milliseconds between two questions for a report.
const INTERVAL: u8 = 5;

/// What a guest asks the device.
#[derive(Debug)]
pub enum Asked {
    /// Nothing that the device hears of.
    Nothing,
    /// A report, sent to it.
    Report(Vec<u8>),
}

/// What is written to the guest.
#[derive(Debug)]
pub struct Port(OwnedWriteHalf);

/// One packet.
#[derive(Debug)]
pub struct Packet {
    kind: u32,
    id: u64,
    body: Vec<u8>,
}

impl Packet {
    /// Reads one.
    ///
    /// # Errors
    /// Where the guest is gone, or sends what is too long.
    pub async fn read(from: &mut OwnedReadHalf) -> io::Result<Self> {
        let (kind, length) = (from.read_u32_le().await?, from.read_u32_le().await?);
        // The first one tells what the other end can do, so its ID is as short as it ever was.
        let id = if kind == HELLO { from.read_u32_le().await?.into() } else { from.read_u64_le().await? };
        if length > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a packet of {length} bytes")));
        }
        let mut body = vec![0; length as usize];
        from.read_exact(&mut body).await?;
        Ok(Self { kind, id, body })
    }
}

impl Port {
    /// Plugs the device in.
    ///
    /// # Errors
    /// Where the guest is gone.
    pub async fn plug_in(to: OwnedWriteHalf) -> io::Result<Self> {
        let mut port = Self(to);
        let mut hello = b"a security key".to_vec();
        hello.resize(VERSION, 0);
        hello.extend(CAPABILITIES.to_le_bytes());
        port.send(HELLO, 0, &hello).await?;
        // One interface: HID.
        let mut interfaces = 1u32.to_le_bytes().to_vec();
        for (first, others) in [(0, 0), (3, 0), (0, 0), (0, 0)] {
            interfaces.push(first);
            interfaces.extend([others; 31]);
        }
        port.send(INTERFACE_INFO, 0, &interfaces).await?;
        port.send(EP_INFO, 0, &endpoints()).await?;
        // Full speed; its class is its interface's.
        port.send(DEVICE_CONNECT, 0, &[&[1, 0, 0, 0][..], &IDS, &RELEASE].concat()).await?;
        Ok(port)
    }

    /// Answers a packet; what is the device's to hear is returned.
    ///
    /// # Errors
    /// Where the guest is gone.
    pub async fn answer(&mut self, packet: Packet) -> io::Result<Asked> {
        let Packet { kind, id, body } = packet;
        match (kind, &body[..]) {
            (SET_CONFIGURATION | GET_CONFIGURATION, _) => self.send(CONFIGURATION_STATUS, id, &[SUCCESS, 1]).await?,
            (SET_ALT_SETTING | GET_ALT_SETTING, _) => self.send(ALT_SETTING_STATUS, id, &[SUCCESS, 0, 0]).await?,
            (START_INTERRUPT_RECEIVING | STOP_INTERRUPT_RECEIVING, [endpoint, ..]) => {
                self.send(INTERRUPT_RECEIVING_STATUS, id, &[SUCCESS, *endpoint]).await?;
            }
            (CONTROL_PACKET, [endpoint, request, kind, _, v0, v1, i0, i1, l0, l1, ..]) => {
                let most = usize::from(u16::from_le_bytes([*l0, *l1]));
                let answer = control(*kind, *request, [*v0, *v1]);
                let status = if answer.is_some() { SUCCESS } else { STALL };
                let mut data = answer.unwrap_or_default();
                data.truncate(most);
                let [d0, d1] = length(data.len());
                let head = [*endpoint, *request, *kind, status, *v0, *v1, *i0, *i1, d0, d1];
                self.send(CONTROL_PACKET, id, &[&head[..], &data].concat()).await?;
            }
            (INTERRUPT_PACKET, [OUT, _, l0, l1, report @ ..]) => {
                self.send(INTERRUPT_PACKET, id, &[OUT, SUCCESS, *l0, *l1]).await?;
                return Ok(Asked::Report(report.to_vec()));
            }
            _ => {}
        }
        Ok(Asked::Nothing)
    }

    /// Sends the guest a report.
    ///
    /// # Errors
    /// Where the guest is gone.
    pub async fn report(&mut self, report: &Report) -> io::Result<()> {
        let [l0, l1] = length(REPORT);
        self.send(INTERRUPT_PACKET, 0, &[&[IN, SUCCESS, l0, l1][..], report].concat()).await
    }

    async fn send(&mut self, kind: u32, id: u64, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let id = &id.to_le_bytes()[..if kind == HELLO { 4 } else { 8 }];
        let packet = [&kind.to_le_bytes()[..], &length.to_le_bytes(), id, body].concat();
        self.0.write_all(&packet).await
    }
}

/// What a control request gives; none where the device does not know it (USB 2.0, section 9.4; HID 1.11, section 7).
fn control(kind: u8, request: u8, value: [u8; 2]) -> Option<Vec<u8>> {
    match (kind, request, value[1], value[0]) {
        // GET_DESCRIPTOR: device, configuration, languages, names, report.
        (0x80, 6, 1, _) => Some([&[18, 1, 0x00, 0x02, 0, 0, 0, 64][..], &IDS, &RELEASE, &[1, 2, 0, 1]].concat()),
        (0x80, 6, 2, _) => Some(configuration()),
        (0x80, 6, 3, 0) => Some(vec![4, 3, 0x09, 0x04]),
        (0x80, 6, 3, 1) => Some(name("Livery")),
        (0x80, 6, 3, 2) => Some(name("Security key of the tests")),
        (0x81, 6, 0x22, _) => Some(DESCRIPTOR.to_vec()),
        // GET_STATUS.
        (0x80..=0x82, 0, ..) => Some(vec![0, 0]),
        // SET_IDLE.
        (0x21, 0x0a, ..) => Some(Vec::new()),
        _ => None,
    }
}

/// Configuration, interface, HID, the two endpoints.
fn configuration() -> Vec<u8> {
    let [s0, s1] = length(REPORT);
    let [d0, d1] = length(DESCRIPTOR.len());
    let all = [
        &[9, 4, 0, 0, 2, 3, 0, 0, 0][..],
        &[9, 0x21, 0x11, 0x01, 0, 1, 0x22, d0, d1],
        &[7, 5, IN, 3, s0, s1, INTERVAL],
        &[7, 5, OUT, 3, s0, s1, INTERVAL],
    ]
    .concat();
    let [t0, t1] = length(9 + all.len());
    [&[9, 2, t0, t1, 1, 1, 0, 0x80, 50][..], &all].concat()
}

/// A string descriptor.
fn name(text: &str) -> Vec<u8> {
    let letters: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [&[u8::try_from(letters.len() + 2).unwrap_or(u8::MAX), 3][..], &letters].concat()
}

/// Types, intervals and interfaces of all endpoints, 16 out and 16 in, and how large a packet may be.
fn endpoints() -> Vec<u8> {
    const NONE: u8 = 255;
    const INTERRUPT: u8 = 3;
    const PLACES: [usize; 2] = [1, 17];
    let (mut types, mut intervals, mut sizes) = ([NONE; 32], [0u8; 32], [0u16; 32]);
    // Control requests, both ways.
    (types[0], types[16]) = (0, 0);
    for place in PLACES {
        (types[place], intervals[place], sizes[place]) = (INTERRUPT, INTERVAL, 64);
    }
    let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
    [&types[..], &intervals, &[0; 32], &sizes].concat()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_le_bytes()
}
