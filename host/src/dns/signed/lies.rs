//! Answers that say that there is nothing, as somebody would write them who can't sign.
//! Knows no zone.

use hickory_resolver::proto::op::{Metadata, ResponseCode};
use hickory_resolver::proto::rr::rdata::{NS, SOA};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use hickory_server::server::{Request, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use super::{PLAIN, name};

/// About names that end so the server lies when it is asked for TLSA or MX records: there are none by the word of another zone, by an answer
/// to something else, by one that has them in the wrong place, and by nothing.
pub(crate) const LIES: [&str; 4] = ["elsewhere.test", "aside.test", "hidden.test", "bare.test"];
/// Of names that end so nothing is said beside what was asked for.
const MUTE: &str = ".mute.plain.test.";

/// What is said in the place of an answer: the code, answers, authorities and further records.
pub(super) struct Lie(ResponseCode, Vec<Record>, Vec<Record>, Vec<Record>);

impl Lie {
    /// None: the truth.
    pub(super) fn about(kind: RecordType, below: &str) -> Option<Self> {
        use ResponseCode::{NXDomain, NoError};
        if below.ends_with(MUTE) && kind == RecordType::AAAA {
            return Some(Self(NoError, vec![], vec![], vec![]));
        }
        if !matches!(kind, RecordType::TLSA | RecordType::MX) {
            return None;
        }
        let lie = LIES.iter().position(|lie| below.ends_with(&format!(".{lie}.")))?;
        let record = |owner: &str, data| Record::from_rdata(name(owner), 60, data);
        let plain = |kind, text: &str| RData::try_from_str(kind, text).unwrap();
        let other = || record("host.plain.test.", plain(RecordType::A, "127.0.0.1"));
        let servers = || record(PLAIN, RData::NS(NS(name("ns.plain.test."))));
        let soa = SOA::new(name("ns.plain.test."), name("h.plain.test."), 1, 60, 60, 60, 60);
        let tlsa = plain(RecordType::TLSA, "1 1 1 00");
        let own = record(below.trim_start_matches('.'), tlsa);
        Some(match lie {
            0 => Self(NXDomain, vec![], vec![record(PLAIN, RData::SOA(soa))], vec![]),
            1 => Self(NoError, vec![other()], vec![servers()], vec![]),
            2 => Self(NoError, vec![other()], vec![servers()], vec![own]),
            _ => Self(NoError, vec![], vec![], vec![]),
        })
    }

    pub(super) async fn tell<R: ResponseHandler>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let Self(code, answers, authorities, further) = self;
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = *code;
        let builder = MessageResponseBuilder::from_message_request(request);
        let reply = builder.build(metadata, answers, authorities, [], further);
        response.send_response(reply).await.unwrap()
    }
}
