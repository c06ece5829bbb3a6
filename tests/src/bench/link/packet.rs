//! A packet as a TUN interface with `IFF_VNET_HDR` gives it: a `virtio_net_hdr` (virtio 1.2, section 5.1.6), then IP.
//!
//! The kernel hands a connection's neighbouring segments over as one packet (segmentation offload), as it does to a network
//! card; so carrying a gigabit costs a tenth of the processor time. What is lost on a wire is one segment, though: so a
//! packet is taken apart where a segment of it is lost.

/// Bytes of the `virtio_net_hdr`: flags, kind, header length (2), segment size (2), checksum start (2) and offset (2).
pub const OFFLOAD: usize = 10;
/// The largest packet with its header.
pub const LARGEST: usize = OFFLOAD + 65_535;
/// In flags: the checksum is still to be worked out; its field holds the pseudo-header's sum.
const NEEDS_CHECKSUM: u8 = 1;
/// The kind: segments of TCP over IPv4.
const TCP4: u8 = 1;
/// In TCP's flags: FIN and PSH, which belong to the last segment.
const LAST_ONLY: u8 = 0x01 | 0x08;

/// Where the segments of a packet lie. A packet that is not of several has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Bytes of the IP header.
    ip: usize,
    /// Bytes of IP's and TCP's headers, which each segment has.
    headers: usize,
    /// Payload bytes of each segment but the last.
    segment: usize,
}

impl Layout {
    fn of(packet: &[u8]) -> Option<Self> {
        let ip_packet = packet.get(OFFLOAD..)?;
        let segment = usize::from(u16::from_ne_bytes([packet[4], packet[5]]));
        // 0x80: TCP marks congestion (ECN), which changes nothing here.
        if packet[1] & 0x7f != TCP4 || segment == 0 || ip_packet.first()? >> 4 != 4 {
            return None;
        }
        let ip = usize::from(ip_packet[0] & 0x0f) * 4;
        let headers = ip + usize::from(ip_packet.get(ip + 12)? >> 4) * 4;
        (ip >= 20 && headers >= ip + 20 && ip_packet.len() > headers).then_some(Self { ip, headers, segment })
    }
}

/// Sends each segment of the packet over the wire: `wire` gets its bytes on the wire and says when it arrives, or that it is
/// lost. What arrives: neighbours that survived are one packet, due when its last segment is.
pub fn carry<T: Copy>(packet: &[u8], mut wire: impl FnMut(usize) -> Option<T>, mut arrived: impl FnMut(T, usize, Vec<u8>)) {
    let Some(layout) = Layout::of(packet) else {
        let bytes = packet.len().saturating_sub(OFFLOAD);
        if let Some(due) = wire(bytes) {
            arrived(due, bytes, packet.to_vec());
        }
        return;
    };
    let payload = packet.len() - OFFLOAD - layout.headers;
    let count = payload.div_ceil(layout.segment);
    let mut first = 0;
    let mut last = None;
    for index in 0..=count {
        let bytes = payload.saturating_sub(index * layout.segment).min(layout.segment);
        match if index < count { wire(layout.headers + bytes) } else { None } {
            Some(due) => last = Some(due),
            None => {
                if let Some(due) = last.take() {
                    let part = part(packet, layout, first, index);
                    arrived(due, part.len() - OFFLOAD + (index - first - 1) * layout.headers, part);
                }
                first = index + 1;
            }
        }
    }
}

/// The packet of segments `first` up to `end`.
fn part(packet: &[u8], Layout { ip, headers, segment }: Layout, first: usize, end: usize) -> Vec<u8> {
    let payload = &packet[OFFLOAD + headers..];
    let whole = payload.len().div_ceil(segment) == end;
    if first == 0 && whole {
        return packet.to_vec();
    }
    let payload = &payload[first * segment..(end * segment).min(payload.len())];
    let mut part = packet[..OFFLOAD + headers].to_vec();
    part.extend_from_slice(payload);
    if end - first == 1 {
        // Its kind and size: no longer several.
        (part[1], part[4], part[5]) = (0, 0, 0);
    }
    let needs_checksum = part[0] & NEEDS_CHECKSUM != 0;
    let packet = &mut part[OFFLOAD..];
    // All below 2^16, since the whole packet is.
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX);
    packet[2..4].copy_from_slice(&length(headers + payload.len()).to_be_bytes());
    let identification = u16::from_be_bytes([packet[4], packet[5]]).wrapping_add(length(first));
    packet[4..6].copy_from_slice(&identification.to_be_bytes());
    packet[10..12].fill(0);
    let checksum = !sum(&packet[..ip]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    let sequence = u32::from_be_bytes([packet[ip + 4], packet[ip + 5], packet[ip + 6], packet[ip + 7]]);
    let sequence = sequence.wrapping_add(u32::try_from(first * segment).unwrap_or_default());
    packet[ip + 4..ip + 8].copy_from_slice(&sequence.to_be_bytes());
    if !whole {
        packet[ip + 13] &= !LAST_ONLY;
    }
    if needs_checksum {
        // RFC 9293, section 3.1: addresses, protocol and TCP's length.
        let mut pseudo = packet[12..20].to_vec();
        pseudo.extend_from_slice(&[0, packet[9]]);
        pseudo.extend_from_slice(&length(headers - ip + payload.len()).to_be_bytes());
        packet[ip + 16..ip + 18].copy_from_slice(&sum(&pseudo).to_be_bytes());
    }
    part
}

/// The Internet checksum (RFC 1071) before it is turned over.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)])));
    let mut sum = words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Never more than 16 bits now.
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three segments of 1000, 1000 and 500 bytes, with PSH.
    fn three() -> Vec<u8> {
        let mut packet = vec![NEEDS_CHECKSUM, TCP4, 40, 0, 0, 0, 20, 0, 16, 0];
        packet[4..6].copy_from_slice(&1000_u16.to_ne_bytes());
        packet.extend([0x45, 0, 0, 0, 0, 7, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet[OFFLOAD + 2..OFFLOAD + 4].copy_from_slice(&2540_u16.to_be_bytes());
        packet.extend([0, 80, 0, 80, 0, 0, 0, 100, 0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
        packet.extend((0..2500).map(|index| u8::try_from(index / 1000).unwrap_or_default()));
        packet
    }

    fn carried(lost: &[usize]) -> Vec<(usize, usize, Vec<u8>)> {
        let (mut index, mut seen) = (0, Vec::new());
        let wire = |_| {
            index += 1;
            (!lost.contains(&(index - 1))).then_some(index - 1)
        };
        carry(&three(), wire, |due, bytes, packet| seen.push((due, bytes, packet)));
        seen
    }

    #[test]
    fn whole_where_nothing_is_lost() {
        assert_eq!(carried(&[]), [(2, 2500 + 3 * 40, three())]);
        assert!(carried(&[0, 1, 2]).is_empty());
    }

    #[test]
    fn a_lost_segment_takes_nothing_else_with_it() {
        let parts = carried(&[1]);
        assert_eq!(parts.iter().map(|(due, bytes, _)| (*due, *bytes)).collect::<Vec<_>>(), [(0, 1040), (2, 540)]);
        let (head, tail) = (&parts[0].2[OFFLOAD..], &parts[1].2[OFFLOAD..]);
        assert_eq!((&head[24..28], head[33]), (&[0, 0, 0, 100][..], 0x10), "no PSH but on the last");
        assert_eq!((&tail[24..28], tail[33], &tail[4..6]), (&2100_u32.to_be_bytes()[..], 0x18, &[0, 9][..]));
        assert!(tail[40..].iter().all(|byte| *byte == 2) && tail.len() == 540);
        assert_eq!(sum(&tail[..20]), 0xffff, "the IP header's checksum holds");
        assert_eq!(parts[1].2[1], 0, "one segment is not several");
        let both = &carried(&[2])[0].2;
        assert_eq!((both[1], both.len()), (TCP4, OFFLOAD + 2040));
    }
}
