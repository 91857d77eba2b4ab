//! A report of the sessions of a day with the servers of a domain: as JSON (RFC 8460 section 4), and as a message (section 5.3).
//! Knows neither who gets it nor how.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::day::Counted;
use super::session::Failure;

/// Octets of a line of base64 (RFC 2045 section 6.8).
const LINE_OCTETS: usize = 76;

/// A report.
pub(super) struct Report<'r> {
    /// Who sends it.
    pub(super) organization: &'r str,
    /// Who may be asked about it.
    pub(super) contact: &'r str,
    /// The server that it is of.
    pub(super) hostname: &'r str,
    pub(super) domain: &'r str,
    pub(super) date: Date,
    pub(super) policies: &'r [Counted],
}

impl Report<'_> {
    /// Its name, the same for the same day.
    pub(super) fn id(&self) -> String {
        format!("{}.{}@{}", self.date, self.domain, self.hostname)
    }

    /// RFC 8460 section 4.4.
    pub(super) fn json(&self) -> Value {
        let date = self.date;
        json!({
            "organization-name": self.organization,
            "date-range": {
                "start-datetime": format!("{date}T00:00:00Z"),
                "end-datetime": format!("{date}T23:59:59Z"),
            },
            "contact-info": self.contact,
            "report-id": self.id(),
            "policies": self.policies.iter().map(|of| policy(self.domain, of)).collect::<Vec<_>>(),
        })
    }

    /// The same, compressed.
    pub(super) fn gzip(&self) -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(self.json().to_string().as_bytes())?;
        encoder.finish()
    }

    /// The header block of a message with it.
    pub(super) fn header(&self, to: &str, date: &str, id: &str) -> String {
        let Self { contact, hostname, domain, .. } = self;
        let boundary = self.boundary(id);
        let report = self.id();
        // RFC 8460 section 3: it goes even where the TLS that it is about comes to nothing (RFC 8689 section 3).
        format!(
            "Date: {date}\r\nFrom: <{contact}>\r\nTo: <{to}>\r\nMessage-ID: <{id}.tlsrpt@{hostname}>\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {hostname}\r\n Report-ID: <{report}>\r\n\
             TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {hostname}\r\nTLS-Required: No\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{boundary}\"\r\n"
        )
    }

    /// Its body, with the empty line before it.
    pub(super) fn body(&self, id: &str, gzip: &[u8]) -> String {
        let (boundary, file) = (self.boundary(id), self.file());
        let (domain, hostname, date) = (self.domain, self.hostname, self.date);
        let mut body = format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             How TLS fared in sessions of {hostname}\r\nwith the servers of {domain}\r\non {date} (UTC), as RFC 8460 has it.\r\n\
             \r\n--{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n filename=\"{file}\"\r\n\r\n"
        );
        let text = STANDARD.encode(gzip);
        for line in text.as_bytes().chunks(LINE_OCTETS) {
            // It is ASCII.
            body.push_str(&String::from_utf8_lossy(line));
            body.push_str("\r\n");
        }
        body.push_str(&format!("\r\n--{boundary}--\r\n"));
        body
    }

    /// RFC 8460 section 5.1.
    fn file(&self) -> String {
        let start = self.date.to_zoned(jiff::tz::TimeZone::UTC);
        let start_s = start.map(|start| start.timestamp().as_second()).unwrap_or_default();
        format!("{}!{}!{start_s}!{}.json.gz", self.hostname, self.domain, start_s + 86_399)
    }

    /// Nothing in base64 begins with a `-`.
    fn boundary(&self, id: &str) -> String {
        format!("tlsrpt-{id}")
    }
}

fn policy(domain: &str, counted: &Counted) -> Value {
    let Counted { policy, successes, failures } = counted;
    let failed = counted.failed();
    let mut shown = json!({
        "policy-type": policy.kind,
        "policy-string": policy.strings,
        "policy-domain": domain,
    });
    if !policy.mx.is_empty() {
        shown["mx-host"] = json!(policy.mx);
    }
    let mut report = json!({
        "policy": shown,
        "summary": {
            "total-successful-session-count": successes,
            "total-failure-session-count": failed,
        },
    });
    if !failures.is_empty() {
        let details: Vec<Value> =
            failures.iter().map(|(failure, count)| details(failure, *count)).collect();
        report["failure-details"] = details.into();
    }
    report
}

fn details(failure: &Failure, count: u64) -> Value {
    let mut details = json!({ "result-type": failure.kind, "failed-session-count": count });
    if let Some(from) = failure.from {
        details["sending-mta-ip"] = json!(from);
    }
    if let Some(host) = &failure.host {
        details["receiving-mx-hostname"] = json!(host);
    }
    if let Some(to) = failure.to {
        details["receiving-ip"] = json!(to);
    }
    details
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::session::{FailureKind, PolicyFound, PolicyKind};
    use super::*;

    fn counted() -> Vec<Counted> {
        use FailureKind as F;
        let failure = |kind, host: bool| Failure {
            kind,
            from: host.then(|| "192.0.2.1".parse().unwrap()),
            host: host.then(|| "mx.x.test".to_owned()),
            to: host.then(|| "2001:db8::1".parse().unwrap()),
        };
        let kinds = [
            F::StarttlsNotSupported,
            F::CertificateHostMismatch,
            F::CertificateExpired,
            F::CertificateNotTrusted,
            F::ValidationFailure,
            F::TlsaInvalid,
            F::DnssecInvalid,
            F::DaneRequired,
            F::StsPolicyFetchError,
            F::StsPolicyInvalid,
            F::StsWebpkiInvalid,
        ];
        let sts = PolicyFound {
            kind: PolicyKind::Sts,
            strings: vec!["version: STSv1".to_owned(), "mode: testing".to_owned()],
            mx: vec!["*.x.test".to_owned()],
        };
        let failures = kinds.map(|kind| (failure(kind, kind == F::CertificateExpired), 2)).to_vec();
        let nothing = |kind| PolicyFound { kind, strings: Vec::new(), mx: Vec::new() };
        vec![
            Counted { policy: sts, successes: 5326, failures },
            Counted { policy: nothing(PolicyKind::Tlsa), successes: 1, failures: Vec::new() },
            Counted { policy: nothing(PolicyKind::Nothing), successes: 0, failures: Vec::new() },
        ]
    }

    fn report(policies: &[Counted]) -> Report<'_> {
        Report {
            organization: "Us Inc.",
            contact: "tls@us.test",
            hostname: "mx.us.test",
            domain: "x.test",
            date: jiff::civil::date(2016, 4, 1),
            policies,
        }
    }

    #[test]
    fn a_report_has_the_fields_of_the_rfc_and_no_others() {
        let policies = counted();
        let found = report(&policies).json();
        // In the order of RFC 8460 section 4.3, with what section 4.4 has.
        let named = [
            "starttls-not-supported",
            "certificate-host-mismatch",
            "certificate-expired",
            "certificate-not-trusted",
            "validation-failure",
            "tlsa-invalid",
            "dnssec-invalid",
            "dane-required",
            "sts-policy-fetch-error",
            "sts-policy-invalid",
            "sts-webpki-invalid",
        ];
        let mut details: Vec<Value> = named
            .iter()
            .map(|name| json!({ "result-type": name, "failed-session-count": 2 }))
            .collect();
        details[2] = json!({
            "result-type": "certificate-expired",
            "sending-mta-ip": "192.0.2.1",
            "receiving-mx-hostname": "mx.x.test",
            "receiving-ip": "2001:db8::1",
            "failed-session-count": 2,
        });
        let counts = |good: u64, bad: u64| json!({ "total-successful-session-count": good, "total-failure-session-count": bad });
        let wanted = json!({
            "organization-name": "Us Inc.",
            "date-range": {
                "start-datetime": "2016-04-01T00:00:00Z",
                "end-datetime": "2016-04-01T23:59:59Z",
            },
            "contact-info": "tls@us.test",
            "report-id": "2016-04-01.x.test@mx.us.test",
            "policies": [
                {
                    "policy": {
                        "policy-type": "sts",
                        "policy-string": ["version: STSv1", "mode: testing"],
                        "policy-domain": "x.test",
                        "mx-host": ["*.x.test"],
                    },
                    "summary": counts(5326, 22),
                    "failure-details": details,
                },
                {
                    "policy": { "policy-type": "tlsa", "policy-string": [], "policy-domain": "x.test" },
                    "summary": counts(1, 0),
                },
                {
                    "policy": {
                        "policy-type": "no-policy-found",
                        "policy-string": [],
                        "policy-domain": "x.test",
                    },
                    "summary": counts(0, 0),
                },
            ],
        });
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_message_has_it_compressed_behind_words_for_people() {
        let policies = counted();
        let report = report(&policies);
        let gzip = report.gzip().unwrap();
        let (header, body) = (report.header("r@x.test", "DATE", "ID"), report.body("ID", &gzip));
        for field in [
            "From: <tls@us.test>\r\n",
            "To: <r@x.test>\r\n",
            "TLS-Report-Domain: x.test\r\n",
            "TLS-Report-Submitter: mx.us.test\r\n",
            "TLS-Required: No\r\n",
            "Subject: Report Domain: x.test\r\n Submitter: mx.us.test\r\n Report-ID: <2016-04-01.x.test@mx.us.test>\r\n",
            "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"tlsrpt-ID\"\r\n",
        ] {
            assert!(header.contains(field), "{field} is not in {header}");
        }
        assert!(
            body.contains("filename=\"mx.us.test!x.test!1459468800!1459555199.json.gz\""),
            "{body}"
        );
        let parts: Vec<&str> = body.split("\r\n--tlsrpt-ID").collect();
        assert_eq!((parts.len(), parts[0], parts[3]), (4, "", "--\r\n"));
        let (head, text) = parts[2].split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Type: application/tlsrpt+gzip\r\n"), "{head}");
        assert!(text.lines().all(|line| line.len() <= LINE_OCTETS));
        let octets = STANDARD.decode(text.replace("\r\n", "")).unwrap();
        let mut json = String::new();
        flate2::read::GzDecoder::new(&octets[..]).read_to_string(&mut json).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), report.json());
    }
}
