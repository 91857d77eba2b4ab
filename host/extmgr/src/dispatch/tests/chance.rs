//! Edits of chance, through the contract: whatever plug-ins ask for, what is taken does what it says, what is not taken does
//! nothing, and the message stays a message.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// One call of a setter.
#[derive(Clone, Debug)]
struct Wish {
    what: u8,
    name: Vec<u8>,
    number: u32,
    octets: Vec<u8>,
}

/// The message as a list of fields and a text: what one would write down on paper.
#[derive(Clone, Debug, Default)]
struct Model {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Behind the empty line; none: there is no such line either.
    text: Option<Vec<u8>>,
}

/// What one call has written for the body.
#[derive(Default)]
struct Written {
    front: Vec<u8>,
    whole: Option<Vec<u8>>,
    back: Vec<u8>,
}

impl Model {
    fn find(&self, name: &[u8], number: u32) -> Option<usize> {
        let named = |(_, field): &(usize, &(Vec<u8>, Vec<u8>))| field.0.eq_ignore_ascii_case(name);
        let mut of_name = self.fields.iter().enumerate().filter(named);
        of_name.nth(number as usize - 1).map(|(at, _)| at)
    }

    /// Does what a setter has taken.
    fn edit(&mut self, wish: &Wish, written: &mut Written) {
        let Wish { what, name, number, octets } = wish;
        let body = octets.clone();
        match what {
            0 => self.fields.push((name.clone(), body)),
            1 => {
                let at = (*number as usize).min(self.fields.len());
                self.fields.insert(at, (name.clone(), body));
            }
            2 => {
                if let Some(at) = self.find(name, *number) {
                    self.fields[at].1 = body;
                }
            }
            3 => {
                if let Some(at) = self.find(name, *number) {
                    self.fields.remove(at);
                }
            }
            4 => written.front.extend(octets),
            5 => written.back.extend(octets),
            _ => written.whole.get_or_insert_default().extend(octets),
        }
    }

    /// Ends a call.
    fn write(&mut self, written: Written) {
        let ended = |mut text: Vec<u8>| {
            if text.ends_with(b"\r") {
                text.push(b'\n');
            } else if !text.is_empty() && !text.ends_with(b"\r\n") {
                text.extend_from_slice(b"\r\n");
            }
            text
        };
        let Written { front, whole, back } = written;
        if whole.is_some() || !front.is_empty() || !back.is_empty() {
            let text = whole.map_or_else(|| self.text.take().unwrap_or_default(), ended);
            self.text = Some([ended(front), text, ended(back)].concat());
        }
    }

    fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for (name, body) in &self.fields {
            octets.extend([&name[..], b": ", body, b"\r\n"].concat());
        }
        if let Some(text) = &self.text {
            octets.extend([b"\r\n", &text[..]].concat());
        }
        octets
    }
}

/// Asks for an edit as a plug-in does.
fn ask_for(wish: &Wish, sheet: *mut abi::EmEdits) -> abi::STATUS {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let lent =
        |octets: &[u8]| abi::EmText { data: octets.as_ptr().cast(), len: octets.len() as u64 };
    let (name, octets, number) = (lent(&wish.name), lent(&wish.octets), wish.number);
    // SAFETY: the sheet is the running call's; name and octets live as long as the wish.
    unsafe {
        match wish.what {
            0 => (edits.header_add)(sheet, name, octets),
            1 => (edits.header_insert)(sheet, number, name, octets),
            2 => (edits.header_change)(sheet, name, number, octets),
            3 => (edits.header_delete)(sheet, name, number),
            4 => (edits.body_prepend)(sheet, octets),
            5 => (edits.body_append)(sheet, octets),
            _ => (edits.body_replace)(sheet, octets),
        }
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let name = prop_oneof![
        4 => proptest::sample::select(vec![&b"A"[..], b"a", b"Subject", b"X-B"]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..6),
    ];
    let octets = prop_oneof![
        3 => "[ -~]{0,12}".prop_map(String::into_bytes),
        3 => vec(proptest::sample::select(&b"a\r\n \t\xFF:."[..]), 0..8),
        1 => vec(any::<u8>(), 0..12),
        1 => Just(b"folded\r\n here".to_vec()),
        1 => Just(b"a\r\n\r\nb\r\n".to_vec()),
    ];
    (0..7u8, name, 0..4u32, octets).prop_map(|(what, name, number, octets)| Wish {
        what,
        name,
        number,
        octets,
    })
}

/// Whether octets are a message: fields, then nothing or an empty line and text, all lines whole.
fn is_message(octets: &[u8]) -> bool {
    let text = String::from_utf8_lossy(octets).replace("\r\n", "");
    let whole = octets.is_empty() || octets.ends_with(b"\r\n");
    let mut lines =
        octets.split_inclusive(|&octet| octet == b'\n').take_while(|line| *line != b"\r\n");
    let is_field = |line: &[u8]| {
        line.split(|&octet| octet == b':').next().is_some_and(|name| {
            !name.is_empty() && name.len() < line.len() && name.iter().all(u8::is_ascii_graphic)
        })
    };
    let first = lines.next().is_none_or(is_field);
    let fields =
        lines.all(|line| is_field(line) || line.starts_with(b" ") || line.starts_with(b"\t"));
    whole && first && fields && !text.contains(['\r', '\n', '\0'])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_message_is_what_was_taken_makes_of_it(
        received in proptest::sample::select(vec![&b""[..], b"\r\n", b"\r\nold\r\n"]),
        calls in vec((vec(wish(), 0..7), any::<bool>()), 0..4),
    ) {
        let mut rig = Rig::default();
        let model = Arc::new(Mutex::new(Model {
            fields: vec![(b"A".to_vec(), b"1".to_vec())],
            text: received.strip_prefix(b"\r\n").map(<[u8]>::to_vec),
        }));
        for (wishes, fails) in calls {
            rig.plugin_with("p", Run::Inline, |config, _| {
                config.contracts = FaultContracts::everywhere(contract(20_000, OnFault::Continue));
            });
            let model = model.clone();
            rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
                let mut known = model.lock().unwrap();
                let (mut edited, mut written) = (known.clone(), Written::default());
                for wish in &wishes {
                    match ask_for(wish, sheet(record)) {
                        abi::NOERROR => edited.edit(wish, &mut written),
                        status => assert_eq!(status, abi::ERR_MISC_INVALID_ARGS, "{wish:?}"),
                    }
                }
                if fails {
                    return abi::EM_FAULT;
                }
                edited.write(written);
                *known = edited;
                abi::ERR_EM_CONTINUE
            });
        }
        let question = bodies::filled(received, 1 << 20, usize::MAX);
        let mut message = question.message.clone().unwrap();
        for known in now(rig.dispatch().ask(question)).edits {
            message.edit(&known.edit);
        }
        let mut found = message.header().to_vec();
        let (mut offset, mut buffer) = (0, Vec::new());
        while let piece @ [_, ..] = message.body(offset, &mut buffer).unwrap() {
            found.extend_from_slice(piece);
            offset += piece.len() as u64;
        }
        let wanted = model.lock().unwrap().octets();
        prop_assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&wanted));
        prop_assert!(found == wanted && is_message(&found), "{:?}", String::from_utf8_lossy(&found));
    }
}
