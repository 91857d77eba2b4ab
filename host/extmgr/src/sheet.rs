//! The sheet that one handler call writes to: its verdict and its edits, each checked when it is written.
//! What `EmEdits` is about; applies nothing itself.

use std::sync::Arc;

use stagepost_abi as abi;
use stagepost_smtp::{
    Ask, Attribute, ClaimError, Claims, Decision, Detail, Draft, Edit, Enhanced, EnvelopeError,
    Event, Facts, Reply, ReplyError, Stage, prepare_name,
};

use crate::event::{takes_discard, takes_header_edits, takes_hold, takes_message_edits};
use crate::host::Host;
use crate::writing::{Place, Writing};

/// The most edits of one call.
const EDITS_MAX: usize = 256;
/// The most octets of all edits of one call.
const OCTETS_MAX: usize = 1 << 20;
/// The most attributes of one session.
const ATTRIBUTES_MAX: usize = 64;

/// The longest next hop.
const NEXT_HOP_OCTETS_MAX: usize = 512;

/// The most tags of one message.
const TAGS_MAX: usize = 64;

/// The edits that are kept with a message.
const OF_MESSAGE: u64 = abi::EM_EDIT_HEADER
    | abi::EM_EDIT_BODY
    | abi::EM_EDIT_SENDER
    | abi::EM_EDIT_RECIPIENT
    | abi::EM_EDIT_HOLD
    | abi::EM_EDIT_TAG;

/// One call's edits.
pub(crate) struct Sheet<'a> {
    plugin: &'static Host,
    event: Event,
    stage: Stage,
    facts: &'a Facts,
    /// After: the reply that the handler was shown.
    reply: Option<&'a Reply>,
    /// Where there is one to be written to.
    message: Option<&'a Draft>,
    claims: &'a Claims,
    octets: usize,
    verdict: Option<Decision>,
    edits: Vec<Edit>,
    writing: Option<Box<Writing>>,
}

/// What a handler has left on its sheet.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) verdict: Option<Decision>,
    /// In the order in which they are carried out.
    pub(crate) edits: Vec<Edit>,
    /// Why its text for the body is not among them.
    pub(crate) lost: Option<Box<str>>,
}

/// What a setter of the sheet answers.
type Answer = Result<(), abi::STATUS>;

impl<'a> Sheet<'a> {
    /// A fresh sheet for a call of `plugin` about `ask`.
    pub(crate) fn new(plugin: &'static Host, ask: &'a Ask, claims: &'a Claims) -> Self {
        Self {
            plugin,
            event: ask.question.event(),
            stage: ask.stage,
            facts: &ask.facts,
            claims,
            reply: ask.reply.as_ref(),
            message: ask.message.as_ref(),
            octets: 0,
            verdict: None,
            edits: Vec::new(),
            writing: None,
        }
    }

    /// Takes what was written to it.
    pub(crate) fn take(&mut self) -> Written {
        let (verdict, mut edits) = (self.verdict.take(), std::mem::take(&mut self.edits));
        let writing = self.writing.take();
        let lost = writing.as_ref().and_then(|writing| writing.lost()).map(Into::into);
        edits.extend(writing.into_iter().flat_map(|writing| writing.into_edits()));
        Written { verdict, edits, lost }
    }

    /// Whether an edit of the message can be asked for: declared by the plug-in, and allowed here.
    pub(crate) fn may_change_message(plugin: &Host, event: Event, stage: Stage) -> bool {
        plugin.descriptor.edits & OF_MESSAGE != 0 && takes_header_edits(event, stage)
    }

    pub(crate) fn set_verdict(
        &mut self,
        verdict: u32,
        code: u16,
        enhanced: &str,
        text: &str,
    ) -> Answer {
        self.declared(abi::EM_EDIT_VERDICT)?;
        // The session is over at DISCONNECT: nothing is left to decide.
        self.allowed(self.stage == Stage::Before && self.event != Event::Disconnect)?;
        let classes: &[u16] = match verdict {
            abi::EM_VERDICT_HANDLED => &[2],
            abi::EM_VERDICT_REJECT => &[5],
            abi::EM_VERDICT_DEFER => &[4],
            abi::EM_VERDICT_DISCONNECT => &[4, 5],
            _ => return Err(abi::ERR_MISC_INVALID_ARGS),
        };
        if verdict == abi::EM_VERDICT_HANDLED && code == 0 && enhanced.is_empty() && text.is_empty()
        {
            self.verdict = Some(Decision::Handled(None));
            return Ok(());
        }
        if !classes.contains(&(code / 100)) {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let reply = reply(code, enhanced, text)?;
        self.verdict = Some(match verdict {
            abi::EM_VERDICT_HANDLED => Decision::Handled(Some(reply)),
            abi::EM_VERDICT_REJECT => Decision::Reject(reply),
            abi::EM_VERDICT_DEFER => Decision::Defer(reply),
            _ => Decision::Disconnect(reply),
        });
        Ok(())
    }

    pub(crate) fn reply_text(&mut self, text: &str) -> Answer {
        self.declared(abi::EM_EDIT_REPLY_TEXT)?;
        let mute = matches!(self.event, Event::StartTls | Event::Disconnect);
        let replies = !mute && !self.event.is_behind_session();
        self.allowed(self.stage == Stage::After && replies)?;
        // Any code does to check the words: the reply's own code stays.
        Reply::checked(250, None, text).map_err(|_| abi::ERR_MISC_INVALID_ARGS)?;
        self.push(text.len(), Edit::ReplyText(text.into()))
    }

    pub(crate) fn reply_change(&mut self, code: u16, enhanced: &str, text: &str) -> Answer {
        self.declared(abi::EM_EDIT_REPLY_CODE)?;
        self.allowed(self.stage == Stage::After)?;
        let mut reply = self.reply.ok_or(abi::EM_ERR_STAGE)?.clone();
        let enhanced = match enhanced {
            "" => None,
            given => Some(Enhanced::parse(given).ok_or(abi::ERR_MISC_INVALID_ARGS)?),
        };
        let code = if code == 0 { reply.code() } else { code };
        let refuse = |error: ReplyError| match error {
            ReplyError::Class { .. } | ReplyError::Fixed { .. } => abi::EM_ERR_CLASS,
            _ => abi::ERR_MISC_INVALID_ARGS,
        };
        let detail = Detail::of(reply.class(), code, enhanced).map_err(refuse)?;
        reply.refine(detail).map_err(refuse)?;
        let text = (!text.is_empty()).then_some(text);
        text.map_or(Ok(()), |text| reply.reword(text)).map_err(refuse)?;
        let edit = Edit::ReplyDetail { detail, text: text.map(Into::into) };
        self.push(text.map_or(0, str::len), edit)
    }

    pub(crate) fn attribute(&mut self, name: &str, value: &str) -> Answer {
        self.declared(abi::EM_EDIT_ATTRIBUTE)?;
        self.allowed(self.event != Event::Disconnect)?;
        if !is_name(name) || value.len() > 1024 || value.contains('\0') {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        if !self.has_room_for(name) {
            return Err(abi::EM_ERR_LIMIT);
        }
        let plugin = self.plugin.name.clone();
        let attribute = Attribute { name: Arc::from(name), value: Arc::from(value), plugin };
        self.push(name.len() + value.len(), Edit::Attribute(attribute))
    }

    /// Whether the session can have an attribute of this name: a known one always, to be changed.
    fn has_room_for(&self, name: &str) -> bool {
        let known = |name: &str| self.facts.attribute(name).is_some();
        let mut fresh: Vec<&str> = Vec::new();
        for edit in &self.edits {
            if let Edit::Attribute(attribute) = edit
                && !known(&attribute.name)
                && !fresh.contains(&&*attribute.name)
            {
                fresh.push(&attribute.name);
            }
        }
        let room = self.facts.attributes.len() + fresh.len() < ATTRIBUTES_MAX;
        room || known(name) || fresh.contains(&name)
    }

    pub(crate) fn header_add(&mut self, name: &str, value: &[u8]) -> Answer {
        self.check_header(name, Some(value))?;
        let edit = Edit::AddHeader { name: name.into(), value: value.into() };
        self.push(name.len() + value.len(), edit)
    }

    pub(crate) fn header_insert(&mut self, position: u32, name: &str, value: &[u8]) -> Answer {
        self.check_header(name, Some(value))?;
        let edit = Edit::InsertHeader { position, name: name.into(), value: value.into() };
        self.push(name.len() + value.len(), edit)
    }

    pub(crate) fn header_change(&mut self, name: &str, index: u32, value: &[u8]) -> Answer {
        self.check_header(name, Some(value))?;
        if index == 0 {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let edit = Edit::ChangeHeader { name: name.into(), index, value: value.into() };
        self.push(name.len() + value.len(), edit)
    }

    pub(crate) fn header_delete(&mut self, name: &str, index: u32) -> Answer {
        self.check_header(name, None)?;
        if index == 0 {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        self.push(name.len(), Edit::DeleteHeader { name: name.into(), index })
    }

    /// Whether a header edit may be made here, of a field of this name and body.
    fn check_header(&self, name: &str, value: Option<&[u8]>) -> Answer {
        self.declared(abi::EM_EDIT_HEADER)?;
        self.allowed(takes_header_edits(self.event, self.stage))?;
        let sound = |octet: u8| octet.is_ascii_graphic() && octet != b':';
        let named = (1..=76).contains(&name.len()) && name.bytes().all(sound);
        if named && value.is_none_or(|value| is_field_body(name.len(), value)) {
            Ok(())
        } else {
            Err(abi::ERR_MISC_INVALID_ARGS)
        }
    }

    /// Adds octets to a text for the body.
    pub(crate) fn body(&mut self, place: Place, octets: &[u8]) -> Answer {
        self.declared(abi::EM_EDIT_BODY)?;
        self.allowed(self.event == Event::MessageAccept && self.stage == Stage::Before)?;
        let message = self.message.ok_or(abi::EM_ERR_STAGE)?;
        self.writing.get_or_insert_default().write(message, place, octets)
    }

    pub(crate) fn sender(&mut self, path: &str, parameters: &str) -> Answer {
        let events = [Event::Mail, Event::Headers, Event::MessageAccept];
        self.check_envelope(abi::EM_EDIT_SENDER, &events)?;
        self.push_envelope(
            path.len() + parameters.len(),
            Edit::sender(path, parameters, self.claims),
        )
    }

    pub(crate) fn recipient_add(&mut self, path: &str, parameters: &str) -> Answer {
        let events = [Event::Rcpt, Event::Data, Event::Headers, Event::MessageAccept];
        self.check_envelope(abi::EM_EDIT_RECIPIENT, &events)?;
        self.push_envelope(
            path.len() + parameters.len(),
            Edit::add_recipient(path, parameters, self.claims),
        )
    }

    pub(crate) fn recipient_remove(&mut self, path: &str) -> Answer {
        let events = [Event::Data, Event::Headers, Event::MessageAccept];
        self.check_envelope(abi::EM_EDIT_RECIPIENT, &events)?;
        self.push_envelope(path.len(), Edit::remove_recipient(path))
    }

    pub(crate) fn recipient_replace(
        &mut self,
        replaced: &str,
        path: &str,
        parameters: &str,
    ) -> Answer {
        let events = [Event::Rcpt, Event::Data, Event::Headers, Event::MessageAccept];
        self.check_envelope(abi::EM_EDIT_RECIPIENT, &events)?;
        // At RCPT there is one in hand, elsewhere there is none.
        if replaced.is_empty() != (self.event == Event::Rcpt) {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let octets = replaced.len() + path.len() + parameters.len();
        let replaced = (!replaced.is_empty()).then_some(replaced);
        let edit = Edit::replace_recipient(replaced, path, parameters, self.claims);
        self.push_envelope(octets, edit)
    }

    pub(crate) fn recipient_verdict(
        &mut self,
        path: &str,
        verdict: u32,
        code: u16,
        enhanced: &str,
        text: &str,
    ) -> Answer {
        self.check_envelope(abi::EM_EDIT_VERDICT, &[Event::MessageAccept])?;
        let class = match verdict {
            abi::EM_VERDICT_REJECT => 5,
            abi::EM_VERDICT_DEFER => 4,
            _ => return Err(abi::ERR_MISC_INVALID_ARGS),
        };
        if code / 100 != class {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let octets = path.len() + text.len();
        self.push_envelope(octets, Edit::refuse_recipient(path, reply(code, enhanced, text)?))
    }

    /// Whether an edit of the envelope may be made here: before one of `events`.
    fn check_envelope(&self, edit: u64, events: &[Event]) -> Answer {
        self.declared(edit)?;
        self.allowed(self.stage == Stage::Before && events.contains(&self.event))
    }

    fn push_envelope(&mut self, octets: usize, edit: Result<Edit, EnvelopeError>) -> Answer {
        self.push(octets, edit.map_err(|_| abi::ERR_MISC_INVALID_ARGS)?)
    }

    pub(crate) fn keyword_add(&mut self, keyword: &str, parameters: &str) -> Answer {
        self.check_keyword()?;
        let edit = Edit::add_keyword(keyword, parameters).map_err(|error| match error {
            ClaimError::Form => abi::ERR_MISC_INVALID_ARGS,
            ClaimError::Core => abi::EM_ERR_CLAIMED,
        })?;
        self.push(keyword.len() + parameters.len(), edit)
    }

    pub(crate) fn keyword_remove(&mut self, keyword: &str) -> Answer {
        self.check_keyword()?;
        let edit = Edit::remove_keyword(keyword).map_err(|_| abi::ERR_MISC_INVALID_ARGS)?;
        self.push(keyword.len(), edit)
    }

    fn check_keyword(&self) -> Answer {
        self.declared(abi::EM_EDIT_KEYWORD)?;
        self.allowed(self.stage == Stage::Before && self.event == Event::Ehlo)
    }

    pub(crate) fn command_replace(&mut self, line: &[u8]) -> Answer {
        self.declared(abi::EM_EDIT_COMMAND)?;
        self.allowed(self.stage == Stage::Before && self.event == Event::Command)?;
        let edit = Edit::replace_command(line).map_err(|_| abi::ERR_MISC_INVALID_ARGS)?;
        self.push(line.len(), edit)
    }

    pub(crate) fn identity(&mut self, identity: &str) -> Answer {
        self.declared(abi::EM_EDIT_CREDENTIALS)?;
        self.allowed(self.stage == Stage::Before && self.event == Event::Auth)?;
        // The name as it is kept, so it must be in its prepared form already.
        if prepare_name(identity).is_none_or(|prepared| *prepared != *identity) {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        self.push(identity.len(), Edit::Identity(identity.into()))
    }

    pub(crate) fn reverse(&mut self, destinations: &str) -> Answer {
        self.declared(abi::EM_EDIT_QUEUE)?;
        self.allowed(self.stage == Stage::Before && self.event == Event::Atrn)?;
        let lines: Vec<&str> = destinations.split('\n').collect();
        let edit = Edit::reverse(&lines).map_err(|_| abi::ERR_MISC_INVALID_ARGS)?;
        self.push(destinations.len(), edit)
    }

    pub(crate) fn hold(&mut self, reason: &str) -> Answer {
        self.declared(abi::EM_EDIT_HOLD)?;
        self.allowed(takes_hold(self.event, self.stage))?;
        let printable = reason.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        if !(1..=256).contains(&reason.len()) || !printable {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        self.push(reason.len(), Edit::Hold { reason: reason.into() })
    }

    pub(crate) fn tag(&mut self, name: &str) -> Answer {
        self.declared(abi::EM_EDIT_TAG)?;
        self.allowed(takes_message_edits(self.event, self.stage))?;
        if !is_name(name) {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let asked = self.edits.iter().filter(|edit| matches!(edit, Edit::Tag { .. })).count();
        if self.facts.tags.len() + asked >= TAGS_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        self.push(name.len(), Edit::Tag { name: name.into() })
    }

    pub(crate) fn discard(&mut self) -> Answer {
        self.declared(abi::EM_EDIT_DISCARD)?;
        self.allowed(takes_discard(self.event, self.stage))?;
        self.push(0, Edit::Discard)
    }

    pub(crate) fn route(&mut self, next_hop: &str) -> Answer {
        self.declared(abi::EM_EDIT_ROUTE)?;
        self.allowed(self.stage == Stage::Before && self.event == Event::Route)?;
        let printable = next_hop.bytes().all(|octet| octet.is_ascii_graphic());
        if !(1..=NEXT_HOP_OCTETS_MAX).contains(&next_hop.len()) || !printable {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        self.push(next_hop.len(), Edit::Route(next_hop.into()))
    }

    fn declared(&self, edit: u64) -> Answer {
        if self.plugin.descriptor.edits & edit == 0 {
            Err(abi::ERR_EM_NOTAUTHORIZED)
        } else {
            Ok(())
        }
    }

    fn allowed(&self, allowed: bool) -> Answer {
        if allowed { Ok(()) } else { Err(abi::EM_ERR_STAGE) }
    }

    fn push(&mut self, octets: usize, edit: Edit) -> Answer {
        if self.edits.len() >= EDITS_MAX || self.octets + octets > OCTETS_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        self.octets += octets;
        self.edits.push(edit);
        Ok(())
    }
}

/// Whether an attribute or a tag may be called so.
fn is_name(name: &str) -> bool {
    let sound = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(sound)
}

/// A plug-in's reply; without words it gets plain ones of its class.
fn reply(code: u16, enhanced: &str, text: &str) -> Result<Reply, abi::STATUS> {
    let enhanced = match enhanced {
        "" => None,
        given => Some(Enhanced::parse(given).ok_or(abi::ERR_MISC_INVALID_ARGS)?),
    };
    let text = match (text, code / 100) {
        ("", 2) => "Ok",
        ("", 4) => "Try again later",
        ("", _) => "Refused by policy",
        (given, _) => given,
    };
    Reply::checked(code, enhanced, text).map_err(|_| abi::ERR_MISC_INVALID_ARGS)
}

/// Whether octets can stand behind a field name: no NUL, line breaks only as CRLF before white space, no line over 998
/// octets (RFC 5322 section 2.1.1), no line of white space alone (section 3.2.2).
fn is_field_body(name_octets: usize, value: &[u8]) -> bool {
    let mut lines = value.split(|&octet| octet == b'\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let last = lines.peek().is_none();
        let text = match (line.split_last(), last) {
            (Some((b'\r', text)), false) => text,
            (_, true) => line,
            _ => return false,
        };
        let folded = number == 0
            || (matches!(text.first(), Some(b' ' | b'\t')) && !text.trim_ascii().is_empty());
        let octets = text.len() + if number == 0 { name_octets + 2 } else { 0 };
        if !folded || octets > 998 || text.contains(&b'\r') || text.contains(&0) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_bodies_can_not_end_the_header_block() {
        let long = vec![b'x'; 990];
        let longer = vec![b'x'; 999];
        let cases: [(&[u8], bool); 13] = [
            (b"", true),
            (b"plain", true),
            (b"folded\r\n here", true),
            (b"folded\r\n\there", true),
            (b"8-bit \xff", true),
            (b"two\r\nX-Other: field", false),
            (b"end\r\n", false),
            (b"end\r\n\r\nbody", false),
            (b"blank\r\n \r\n x", false),
            (b"bare\n lf", false),
            (b"bare\r cr", false),
            (b"nul\0", false),
            (&longer, false),
        ];
        for (value, wanted) in cases {
            assert_eq!(is_field_body(4, value), wanted, "{:?}", value.escape_ascii().to_string());
        }
        assert!(is_field_body(6, &long) && !is_field_body(7, &long));
    }

    #[test]
    fn replies_without_words_get_plain_ones() {
        assert_eq!(
            reply(550, "5.7.1", "").map(|reply| reply.text().to_owned()),
            Ok("Refused by policy".into())
        );
        assert_eq!(reply(550, "4.7.1", "x"), Err(abi::ERR_MISC_INVALID_ARGS));
        assert_eq!(reply(550, "junk", "x"), Err(abi::ERR_MISC_INVALID_ARGS));
        assert_eq!(reply(550, "", "a\rb"), Err(abi::ERR_MISC_INVALID_ARGS));
    }
}
