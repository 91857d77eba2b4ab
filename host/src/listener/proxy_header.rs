//! The header that a proxy puts before what its client sends (the PROXY protocol, versions 1 and 2): who the client is.
//! Knows no socket: it is given octets, and says how many of them are the header's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, with its CRLF (section 2.1).
const V1_OCTETS_MAX: usize = 107;
/// What version 2 begins with (section 2.2).
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const V2_FIXED_OCTETS: usize = 16;
/// The longest header: room for addresses and a few dozen further fields. 16 bits would allow for 64 KB of each stranger.
pub(crate) const OCTETS_MAX: usize = 2048;
/// Type of the checksum (section 2.2.3).
const V2_TYPE_CRC32C: u8 = 0x03;

/// Whom a header tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyHeader {
    /// The proxy speaks for itself, or does not know its client: the connection is what it is.
    Local,
    /// A client, and the address that it connected to.
    Client {
        /// The client.
        remote: SocketAddr,
        /// Where it connected to.
        local: SocketAddr,
    },
}

/// Octets that are no header. The proxy's fault, or the operator's who named its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    /// Neither version begins so.
    #[error("it does not begin with a header of the PROXY protocol")]
    None,
    /// A line of version 1 that has not its form.
    #[error("the line of version 1 is malformed")]
    Line,
    /// A command or version that version 2 does not have.
    #[error("version and command 0x{0:02x} are not known")]
    Command(u8),
    /// Neither TCP over IPv4 nor over IPv6.
    #[error("family and protocol 0x{0:02x} are not TCP")]
    Family(u8),
    /// More than is taken.
    #[error("it has {0} octets, more than {OCTETS_MAX}")]
    Long(usize),
    /// Less than the addresses need, or a field that goes beyond the end.
    #[error("a field goes beyond its end")]
    Short,
    /// The checksum is another one.
    #[error("its checksum is wrong")]
    Checksum,
}

/// What is found in the first octets of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// All of them are the header's, and more is to come.
    More,
    /// The header, which has so many octets.
    Whole(ProxyHeader, usize),
}

/// Looks for the header at the beginning of `octets`.
///
/// # Errors
/// Why there is none, as soon as that is sure.
pub(crate) fn find(octets: &[u8]) -> Result<Found, HeaderError> {
    if begins(octets, &V2_SIGNATURE) {
        version_2(octets)
    } else if begins(octets, b"PROXY ") {
        version_1(octets)
    } else {
        Err(HeaderError::None)
    }
}

/// Whether what is there is the beginning of something, or begins with it.
fn begins(octets: &[u8], with: &[u8]) -> bool {
    octets.iter().zip(with).all(|(one, other)| one == other)
}

/// `PROXY TCP4 192.0.2.1 192.0.2.25 4000 25` CRLF
fn version_1(octets: &[u8]) -> Result<Found, HeaderError> {
    let here = &octets[..octets.len().min(V1_OCTETS_MAX)];
    let Some(lf) = here.iter().position(|&octet| octet == b'\n') else {
        return if here.len() < V1_OCTETS_MAX { Ok(Found::More) } else { Err(HeaderError::Line) };
    };
    let line = here[..lf].strip_suffix(b"\r").ok_or(HeaderError::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| HeaderError::Line)?;
    let words: Vec<&str> = line.split(' ').collect();
    let header = match words[..] {
        // What follows is for nobody (section 2.1).
        ["PROXY", "UNKNOWN", ..] => ProxyHeader::Local,
        ["PROXY", family @ ("TCP4" | "TCP6"), remote, local, remote_port, local_port] => {
            let end = |address: &str, port: &str| {
                let address: IpAddr = match family {
                    "TCP4" => address.parse::<Ipv4Addr>().ok()?.into(),
                    _ => address.parse::<Ipv6Addr>().ok()?.into(),
                };
                Some(SocketAddr::new(address, decimal(port)?))
            };
            let ends = end(remote, remote_port).zip(end(local, local_port));
            let (remote, local) = ends.ok_or(HeaderError::Line)?;
            ProxyHeader::Client { remote, local }
        }
        _ => return Err(HeaderError::Line),
    };
    Ok(Found::Whole(header, lf + 1))
}

/// A port without sign and without zeros in front.
fn decimal(text: &str) -> Option<u16> {
    let sound =
        text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| sound)
}

fn version_2(octets: &[u8]) -> Result<Found, HeaderError> {
    let Some(fixed) = octets.first_chunk::<V2_FIXED_OCTETS>() else {
        return Ok(Found::More);
    };
    let [.., command, family, high, low] = *fixed;
    if !matches!(command, 0x20 | 0x21) {
        return Err(HeaderError::Command(command));
    }
    let end = V2_FIXED_OCTETS + usize::from(u16::from_be_bytes([high, low]));
    if end > OCTETS_MAX {
        return Err(HeaderError::Long(end));
    }
    let Some(header) = octets.get(..end) else {
        return Ok(Found::More);
    };
    let body = &header[V2_FIXED_OCTETS..];
    let (found, fields) = match (command, family) {
        // What follows is for nobody (section 2.2).
        (0x20, _) => return Ok(Found::Whole(ProxyHeader::Local, end)),
        (_, 0x00) => (ProxyHeader::Local, body),
        (_, 0x11) => ends::<4>(body)?,
        (_, 0x21) => ends::<16>(body)?,
        _ => return Err(HeaderError::Family(family)),
    };
    check_fields(header, end - fields.len())?;
    Ok(Found::Whole(found, end))
}

/// Two addresses and two ports; what follows them.
fn ends<const OCTETS: usize>(body: &[u8]) -> Result<(ProxyHeader, &[u8]), HeaderError>
where
    IpAddr: From<[u8; OCTETS]>,
{
    let (remote, rest) = body.split_first_chunk::<OCTETS>().ok_or(HeaderError::Short)?;
    let (local, rest) = rest.split_first_chunk::<OCTETS>().ok_or(HeaderError::Short)?;
    let (remote_port, rest) = rest.split_first_chunk::<2>().ok_or(HeaderError::Short)?;
    let (local_port, rest) = rest.split_first_chunk::<2>().ok_or(HeaderError::Short)?;
    let end = |address: [u8; OCTETS], port: [u8; 2]| {
        SocketAddr::new(address.into(), u16::from_be_bytes(port))
    };
    let (remote, local) = (end(*remote, *remote_port), end(*local, *local_port));
    Ok((ProxyHeader::Client { remote, local }, rest))
}

/// Passes over the further fields, which begin at `at`, and holds the header to its checksum, if it has one.
fn check_fields(header: &[u8], mut at: usize) -> Result<(), HeaderError> {
    while let Some((&[kind, high, low], rest)) = header[at..].split_first_chunk::<3>() {
        let value =
            rest.get(..usize::from(u16::from_be_bytes([high, low]))).ok_or(HeaderError::Short)?;
        let value_at = at + 3;
        at = value_at + value.len();
        if kind == V2_TYPE_CRC32C {
            let told = <[u8; 4]>::try_from(value).map_err(|_| HeaderError::Short)?;
            // Computed with zeros in its own place.
            let sum = crc32c::crc32c(&header[..value_at]);
            let sum = crc32c::crc32c_append(sum, &[0; 4]);
            let sum = crc32c::crc32c_append(sum, &header[at..]);
            if sum != u32::from_be_bytes(told) {
                return Err(HeaderError::Checksum);
            }
        }
    }
    if at == header.len() { Ok(()) } else { Err(HeaderError::Short) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 25, 0x0f, 0xa0, 0, 25];

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&V2_SIGNATURE[..], &[command, family], &length, body].concat()
    }

    fn client(remote: &str, local: &str) -> ProxyHeader {
        ProxyHeader::Client { remote: remote.parse().unwrap(), local: local.parse().unwrap() }
    }

    fn summed() -> Vec<u8> {
        let mut header =
            v2(0x21, 0x11, &[&TCP4[..], &[3, 0, 4, 0, 0, 0, 0], &[4, 0, 1, 9]].concat());
        let sum = crc32c::crc32c(&header).to_be_bytes();
        header[31..35].copy_from_slice(&sum);
        header
    }

    #[test]
    fn headers_are_found_however_they_arrive() {
        let tcp6 =
            [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 15], &[1], &[0, 9, 0, 25]].concat();
        let unix = [b'x'; 216];
        let cases: Vec<(Vec<u8>, ProxyHeader)> = vec![
            (
                b"PROXY TCP4 192.0.2.1 192.0.2.25 4000 25\r\n".to_vec(),
                client("192.0.2.1:4000", "192.0.2.25:25"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 9 25\r\n".to_vec(),
                client("[2001:db8::1]:9", "[::1]:25"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), ProxyHeader::Local),
            (b"PROXY UNKNOWN ffff::1 ffff::2 x\r\n".to_vec(), ProxyHeader::Local),
            (v2(0x21, 0x11, &TCP4), client("192.0.2.1:4000", "192.0.2.25:25")),
            (v2(0x21, 0x21, &tcp6), client("[2001:db8::1]:9", "[::1]:25")),
            (
                v2(0x21, 0x11, &[&TCP4[..], &[4, 0, 0], &[0xe0, 0, 2, 1, 2]].concat()),
                client("192.0.2.1:4000", "192.0.2.25:25"),
            ),
            (v2(0x20, 0x00, &[]), ProxyHeader::Local),
            (v2(0x20, 0x31, &unix), ProxyHeader::Local),
            (v2(0x21, 0x00, &[]), ProxyHeader::Local),
            (summed(), client("192.0.2.1:4000", "192.0.2.25:25")),
        ];
        for (header, wanted) in cases {
            let followed = [&header[..], b"EHLO a\r\n"].concat();
            for end in 0..=followed.len() {
                let found = find(&followed[..end]);
                let wanted = match end < header.len() {
                    true => Ok(Found::More),
                    false => Ok(Found::Whole(wanted, header.len())),
                };
                assert_eq!(found, wanted, "{end} of {header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_sure() {
        use HeaderError::{Checksum, Command, Family, Line, Long, None, Short};
        let mut wrong = summed();
        wrong[34] ^= 1;
        let mut changed = summed();
        changed[16] ^= 1;
        let long = format!("PROXY UNKNOWN {}", "x".repeat(93));
        let cases: Vec<(Vec<u8>, HeaderError)> = vec![
            (b"EHLO a\r\n".to_vec(), None),
            (b"\r\n\r\nx".to_vec(), None),
            (b"proxy TCP4".to_vec(), None),
            (b"PROXY\tTCP4".to_vec(), None),
            (b"PROXY TCP4 192.0.2.1 192.0.2.25 4000 25\n".to_vec(), Line),
            (b"PROXY TCP4 192.0.2.1 192.0.2.25 4000 25 \r\n".to_vec(), Line),
            (b"PROXY TCP4  192.0.2.1 192.0.2.25 4000 25\r\n".to_vec(), Line),
            (b"PROXY TCP4 192.0.2.1 192.0.2.25 4000\r\n".to_vec(), Line),
            (b"PROXY TCP4 192.0.2.1 192.0.2.25 65536 25\r\n".to_vec(), Line),
            (b"PROXY TCP4 192.0.2.1 192.0.2.25 +1 25\r\n".to_vec(), Line),
            (b"PROXY TCP4 192.0.2.1 192.0.2.25 01 25\r\n".to_vec(), Line),
            (b"PROXY TCP4 192.0.2.256 192.0.2.25 1 25\r\n".to_vec(), Line),
            (b"PROXY TCP4 2001:db8::1 ::1 9 25\r\n".to_vec(), Line),
            (b"PROXY TCP6 192.0.2.1 192.0.2.25 1 25\r\n".to_vec(), Line),
            (b"PROXY UDP4 192.0.2.1 192.0.2.25 1 25\r\n".to_vec(), Line),
            (b"PROXY UNKNOWN \xff\r\n".to_vec(), Line),
            (long.into_bytes(), Line),
            (v2(0x11, 0x11, &TCP4), Command(0x11)),
            (v2(0x22, 0x11, &TCP4), Command(0x22)),
            (v2(0x21, 0x12, &TCP4), Family(0x12)),
            (v2(0x21, 0x31, &[0; 216]), Family(0x31)),
            (v2(0x21, 0x11, &TCP4[..11]), Short),
            (v2(0x21, 0x21, &[0; 35]), Short),
            (v2(0x21, 0x11, &[&TCP4[..], &[4, 0, 2, 1]].concat()), Short),
            (v2(0x21, 0x11, &[&TCP4[..], &[4, 0]].concat()), Short),
            (v2(0x21, 0x11, &[&TCP4[..], &[3, 0, 1, 1]].concat()), Short),
            (v2(0x21, 0x00, &[1]), Short),
            (v2(0x21, 0x00, &vec![0; OCTETS_MAX - 15]), Long(OCTETS_MAX + 1)),
            (wrong, Checksum),
            (changed, Checksum),
        ];
        for (octets, wanted) in cases {
            assert_eq!(find(&octets), Err(wanted), "{octets:?}");
        }
    }
}
