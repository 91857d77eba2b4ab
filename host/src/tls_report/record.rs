//! Where a domain wants reports to go: the record that says so (RFC 8460 section 3).
//! Knows no network.

use percent_encoding::percent_decode_str;
use stagepost_smtp::Address;

/// So many places of a record are used.
const PLACES_MAX: usize = 5;

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To somebody by mail.
    Mail(Address),
    /// To a server over HTTPS: its name, its port and a path.
    Https { host: String, port: u16, path: String },
}

/// The places of TXT records; none: the domain wants no reports, or has more than one record that says so.
pub(super) fn places<'r>(records: impl Iterator<Item = &'r [u8]>) -> Vec<Place> {
    let mut own = records.filter_map(|record| {
        let text = std::str::from_utf8(record).ok()?;
        let (version, rest) = text.split_once(';')?;
        (version.trim_end() == "v=TLSRPTv1").then_some(rest)
    });
    let (Some(fields), None) = (own.next(), own.next()) else { return Vec::new() };
    let rua = fields.split(';').find_map(|field| field.trim().strip_prefix("rua="));
    rua.unwrap_or_default()
        .split(',')
        .take(PLACES_MAX)
        .filter_map(|uri| place(uri.trim()))
        .collect()
}

fn place(uri: &str) -> Option<Place> {
    let (scheme, rest) = uri.split_once(':')?;
    if scheme.eq_ignore_ascii_case("mailto") {
        let address = rest.split('?').next()?;
        let address = percent_decode_str(address).decode_utf8().ok()?;
        return Address::parse(&address)
            .ok()
            .filter(|address| !address.domain().is_empty())
            .map(Place::Mail);
    }
    let rest = rest.strip_prefix("//").filter(|_| scheme.eq_ignore_ascii_case("https"))?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (authority, 443),
    };
    let sound = |text: &str, also: &[u8]| {
        text.bytes().all(|octet| octet.is_ascii_alphanumeric() || also.contains(&octet))
    };
    // Names alone: numbers would lead to who has none, in our own network for example.
    let named =
        !host.is_empty() && sound(host, b"-._") && host.parse::<std::net::IpAddr>().is_err();
    let path_is_sound =
        path.len() <= 1000 && path.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'#');
    (named && path_is_sound).then(|| Place::Https {
        host: host.to_ascii_lowercase(),
        port,
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_places() {
        let of = |records: &[&str]| {
            let places = places(records.iter().map(|record| record.as_bytes()));
            let shown = |place| match place {
                Place::Mail(address) => address.to_string(),
                Place::Https { host, port, path } => format!("{host} {port} {path}"),
            };
            places.into_iter().map(shown).collect::<Vec<_>>().join(", ")
        };
        for (records, wanted) in [
            (&["v=TLSRPTv1; rua=mailto:reports@x.test"][..], "reports@x.test"),
            (&["v=TLSRPTv1;rua=mailto:a%2Bb@x.test?subject=c;"], "a+b@x.test"),
            (
                &["v=TLSRPTv1; x=y; rua=https://R.x.test/v1/tlsrpt?a=b,mailto:a@x.test"],
                "r.x.test 443 /v1/tlsrpt?a=b, a@x.test",
            ),
            (&["v=TLSRPTv1; rua=https://r.x.test:8443"], "r.x.test 8443 /"),
            (&["other", "v=TLSRPTv1; rua=mailto:a@x.test"], "a@x.test"),
            (&["v=TLSRPTv1; rua=mailto:a@x.test", "v=TLSRPTv1; rua=mailto:a@x.test"], ""),
            (&["v=TLSRPTv2; rua=mailto:a@x.test"], ""),
            (&[" v=TLSRPTv1; rua=mailto:a@x.test"], ""),
            (&["v=TLSRPTv1 ; rua=mailto:a@x.test , mailto:b@x.test ;"], "a@x.test, b@x.test"),
            (&["v=TLSRPTv1; rua=mailto:a@x.test%0d%0aBcc:%20b@x.test"], ""),
            (&["v=TLSRPTv1; rua=https://r.x.test:25x/"], ""),
            (&["v=TLSRPTv1; rua=https://[::1]/"], ""),
            (&["v=TLSRPTv1; rua=http://r.x.test/"], ""),
            (&["v=TLSRPTv1; rua=https://127.0.0.1/"], ""),
            (&["v=TLSRPTv1; rua=https://a@r.x.test/"], ""),
            (&["v=TLSRPTv1; rua=https://r.x.test/a b"], ""),
            (&["v=TLSRPTv1; rua=mailto:nobody"], ""),
            (&["v=TLSRPTv1"], ""),
            (&[], ""),
        ] {
            assert_eq!(of(records), wanted, "{records:?}");
        }
        let many = format!("v=TLSRPTv1; rua={}", ["mailto:a@x.test"; 9].join(","));
        assert_eq!(of(&[&many]).matches('@').count(), PLACES_MAX);
    }
}
