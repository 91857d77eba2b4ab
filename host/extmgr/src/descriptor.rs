//! The descriptor as read from a file's octets, checked member by member before any code of the file runs.
//! Knows neither the file's path nor how it is loaded.

use stagepost_abi as abi;

/// The section that holds the descriptor in an ELF file.
pub(crate) const SECTION: &str = ".stagepost";

/// A checked descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The plug-in's name.
    pub name: String,
    /// The plug-in's version.
    pub version: String,
    /// The ABI version it was built with (major) and the least minor that it needs.
    pub abi: (u16, u16),
    /// Whether its handlers may block.
    pub class: Class,
    /// Who keeps its side of the contract.
    pub language: Language,
    /// EM_STAGE_... bits: what it may register for.
    pub stages: u64,
    /// EM_EDIT_... bits: what it may change.
    pub edits: u64,
}

/// Whether handlers may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// They may.
    Blocking,
    /// They promise not to.
    Inline,
}

/// Who keeps the plug-in's side of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The author, in C or anything like it.
    C,
    /// stagepost-sdk; layouts are compared at load.
    Rust,
}

/// Why a descriptor is refused: each names the field, what was wanted and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// The section is shorter than a descriptor.
    #[error("descriptor: wanted {wanted} octets in section .stagepost, found {found}")]
    Short {
        /// The descriptor's size here.
        wanted: usize,
        /// The section's size.
        found: usize,
    },
    /// A number differs.
    #[error("{field}: wanted {wanted}, found {found}")]
    Field {
        /// The member's name.
        field: &'static str,
        /// What this host takes.
        wanted: String,
        /// What the file has.
        found: String,
    },
}

impl Class {
    /// The word for it in logs and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Inline => "inline",
        }
    }
}

impl Language {
    /// The word for it in logs and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::Rust => "Rust (stagepost-sdk)",
        }
    }
}

/// Takes a descriptor's members from the front of its octets, in the order of `EmDescriptor`.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        // `parse` has made sure that a whole descriptor is there; zeros beyond it are refused as values.
        let Some((head, rest)) = self.0.split_first_chunk() else {
            return [0; N];
        };
        self.0 = rest;
        *head
    }

    fn u16(&mut self) -> u16 {
        u16::from_ne_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.take())
    }
}

impl Descriptor {
    /// The words for the stages it may register for.
    pub fn stage_names(&self) -> Vec<&'static str> {
        names(self.stages, &STAGES)
    }

    /// The words for what it may change.
    pub fn edit_names(&self) -> Vec<&'static str> {
        names(self.edits, EDITS)
    }

    /// Parses and checks the octets of a `.stagepost` section.
    ///
    /// # Errors
    /// The first member that this host can't take.
    pub fn parse(section: &[u8]) -> Result<Self, DescriptorError> {
        let wanted = size_of::<abi::EmDescriptor>();
        if section.len() < wanted {
            return Err(DescriptorError::Short { wanted, found: section.len() });
        }
        let mut reader = Reader(section);
        let magic: [u8; 8] = reader.take();
        if magic != abi::EM_DESCRIPTOR_MAGIC {
            return Err(refused(
                "magic",
                "\"STAGEPST\"",
                &format!("{:?}", magic.escape_ascii().to_string()),
            ));
        }
        let size = reader.u32() as usize;
        // A longer descriptor of a newer minor version is a longer section; its known members stand first.
        if size < wanted || size != section.len() {
            return Err(refused(
                "size",
                &format!("{wanted}"),
                &format!("{size} in {} octets", section.len()),
            ));
        }
        let abi = (reader.u16(), reader.u16());
        check_version(abi)?;
        let digest = reader.u64();
        if digest != abi::EM_BASE_DIGEST {
            return Err(refused(
                "base_digest",
                &format!("{:#018x}", abi::EM_BASE_DIGEST),
                &format!("{digest:#018x} (built with the header of another host)"),
            ));
        }
        let stages = known_bits("stages", reader.u64(), STAGES_ALL)?;
        let edits = known_bits("edits", reader.u64(), EDITS_ALL)?;
        let class = match reader.u32() {
            abi::EM_CLASS_BLOCKING => Class::Blocking,
            abi::EM_CLASS_INLINE => Class::Inline,
            other => return Err(refused("plugin_class", "0 or 1", &other.to_string())),
        };
        let language = match reader.u32() {
            abi::EM_LANGUAGE_C => Language::C,
            abi::EM_LANGUAGE_RUST => Language::Rust,
            other => return Err(refused("language", "0 or 1", &other.to_string())),
        };
        let name = text("name", &reader.take::<64>(), is_name_octet)?;
        let version = text("version", &reader.take::<32>(), |octet| matches!(octet, b' '..=b'~'))?;
        if reader.take::<32>() != [0; 32] {
            return Err(refused("reserved", "zeros", "other octets"));
        }
        Ok(Self { name, version, abi, class, language, stages, edits })
    }
}

/// Every stage bit this host knows, with its word for the operator.
const STAGES: [(u64, &str); 27] = [
    (abi::EM_STAGE_CONNECT, "connect"),
    (abi::EM_STAGE_COMMAND, "command"),
    (abi::EM_STAGE_EHLO, "ehlo"),
    (abi::EM_STAGE_STARTTLS, "starttls"),
    (abi::EM_STAGE_AUTH, "auth"),
    (abi::EM_STAGE_MAIL, "mail"),
    (abi::EM_STAGE_RCPT, "rcpt"),
    (abi::EM_STAGE_DATA, "data"),
    (abi::EM_STAGE_HEADERS, "headers"),
    (abi::EM_STAGE_BODY, "body"),
    (abi::EM_STAGE_MESSAGEACCEPT, "message accept"),
    (abi::EM_STAGE_ETRN, "etrn"),
    (abi::EM_STAGE_ATRN, "atrn"),
    (abi::EM_STAGE_VRFY, "vrfy"),
    (abi::EM_STAGE_RSET, "rset"),
    (abi::EM_STAGE_VERB, "verb"),
    (abi::EM_STAGE_QUIT, "quit"),
    (abi::EM_STAGE_TIMEOUT, "timeout"),
    (abi::EM_STAGE_DISCONNECT, "disconnect"),
    (abi::EM_STAGE_QUEUE, "queue"),
    (abi::EM_STAGE_ROUTE, "route"),
    (abi::EM_STAGE_DELIVER, "deliver"),
    (abi::EM_STAGE_BOUNCE, "bounce"),
    (abi::EM_STAGE_EXPIRE, "expire"),
    (abi::EM_STAGE_START, "start"),
    (abi::EM_STAGE_CONFIG, "config"),
    (abi::EM_STAGE_STOP, "stop"),
];

/// Every edit bit this host knows, with its word for the operator.
const EDITS: &[(u64, &str)] = &[
    (abi::EM_EDIT_VERDICT, "verdict"),
    (abi::EM_EDIT_REPLY_TEXT, "reply text"),
    (abi::EM_EDIT_ATTRIBUTE, "attribute"),
    (abi::EM_EDIT_HEADER, "header"),
    (abi::EM_EDIT_BODY, "body"),
    (abi::EM_EDIT_HOLD, "hold"),
    (abi::EM_EDIT_DISCARD, "discard"),
    (abi::EM_EDIT_SENDER, "sender"),
    (abi::EM_EDIT_RECIPIENT, "recipient"),
    (abi::EM_EDIT_COMMAND, "command"),
    (abi::EM_EDIT_TAG, "tag"),
    (abi::EM_EDIT_KEYWORD, "keyword"),
    (abi::EM_EDIT_QUEUE, "queue"),
    (abi::EM_EDIT_SUBMIT, "submit"),
    (abi::EM_EDIT_REPLY_CODE, "reply code"),
    (abi::EM_EDIT_OUTBOUND, "outbound"),
    (abi::EM_EDIT_CREDENTIALS, "credentials"),
    (abi::EM_EDIT_ROUTE, "route"),
];

const STAGES_ALL: u64 = union(&STAGES);
const EDITS_ALL: u64 = union(EDITS);

const fn union(mut bits: &[(u64, &str)]) -> u64 {
    let mut all = 0;
    while let [(bit, _), rest @ ..] = bits {
        all |= *bit;
        bits = rest;
    }
    all
}

fn names(bits: u64, known: &[(u64, &'static str)]) -> Vec<&'static str> {
    known.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect()
}

fn refused(field: &'static str, wanted: &str, found: &str) -> DescriptorError {
    DescriptorError::Field { field, wanted: wanted.to_owned(), found: found.to_owned() }
}

fn check_version((major, minor): (u16, u16)) -> Result<(), DescriptorError> {
    if major != abi::EM_ABI_MAJOR {
        return Err(refused("abi_major", &abi::EM_ABI_MAJOR.to_string(), &major.to_string()));
    }
    if minor > abi::EM_ABI_MINOR {
        return Err(refused(
            "abi_minor",
            &format!("at most {}", abi::EM_ABI_MINOR),
            &minor.to_string(),
        ));
    }
    Ok(())
}

fn known_bits(field: &'static str, found: u64, known: u64) -> Result<u64, DescriptorError> {
    if found & !known == 0 {
        return Ok(found);
    }
    Err(refused(field, &format!("bits of {known:#x}"), &format!("{found:#x}")))
}

fn is_name_octet(octet: &u8) -> bool {
    matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}

/// Text in a fixed field: at least one octet, all of them acceptable, ended and filled up by zeros.
fn text(
    field: &'static str,
    octets: &[u8],
    accepts: fn(&u8) -> bool,
) -> Result<String, DescriptorError> {
    let end = octets.iter().position(|&octet| octet == 0).unwrap_or(octets.len());
    let (value, filling) = octets.split_at(end);
    let sound = !value.is_empty() && !filling.is_empty();
    if sound && value.iter().all(accepts) && filling.iter().all(|&octet| octet == 0) {
        return Ok(String::from_utf8_lossy(value).into_owned());
    }
    let found = format!("\"{}\"", octets.trim_ascii_end().escape_ascii());
    Err(refused(field, "a short name ended by a zero octet", found.trim_end_matches("\\x00")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Vec<u8> {
        let mut octets = Vec::new();
        octets.extend_from_slice(b"STAGEPST");
        octets.extend_from_slice(&(size_of::<abi::EmDescriptor>() as u32).to_ne_bytes());
        octets.extend_from_slice(&abi::EM_ABI_MAJOR.to_ne_bytes());
        octets.extend_from_slice(&0u16.to_ne_bytes());
        octets.extend_from_slice(&abi::EM_BASE_DIGEST.to_ne_bytes());
        octets.extend_from_slice(&abi::EM_STAGE_MAIL.to_ne_bytes());
        octets.extend_from_slice(&abi::EM_EDIT_VERDICT.to_ne_bytes());
        octets.extend_from_slice(&abi::EM_CLASS_INLINE.to_ne_bytes());
        octets.extend_from_slice(&abi::EM_LANGUAGE_C.to_ne_bytes());
        octets.extend_from_slice(b"filter");
        octets.resize(octets.len() + 58, 0);
        octets.extend_from_slice(b"1.0 beta");
        octets.resize(octets.len() + 24, 0);
        octets.resize(octets.len() + 32, 0);
        octets
    }

    #[test]
    fn every_event_has_its_bit() {
        for event in stagepost_smtp::Event::ALL {
            let (_, bit) = crate::event::by_number(crate::event::number(event)).unwrap();
            assert_eq!(names(bit, &STAGES).len(), 1, "{event:?}");
        }
    }

    #[test]
    fn every_capability_of_the_header_is_known() {
        let header = include_str!("../../../include/extmgr.h");
        for (prefix, all) in [("#define EM_STAGE_", STAGES_ALL), ("#define EM_EDIT_", EDITS_ALL)] {
            let mut declared = 0;
            for line in header.lines().filter_map(|line| line.strip_prefix(prefix)) {
                let value = line.split_once(" 0x").unwrap().1.trim_end_matches("ULL");
                declared |= u64::from_str_radix(value, 16).unwrap();
            }
            assert_eq!(declared, all, "{prefix}");
        }
    }

    #[test]
    fn capabilities_have_words() {
        let descriptor = Descriptor::parse(&sound()).unwrap();
        assert_eq!(descriptor.stage_names(), ["mail"]);
        assert_eq!(descriptor.edit_names(), ["verdict"]);
    }

    #[test]
    fn a_sound_descriptor_is_read() {
        let octets = sound();
        assert_eq!(octets.len(), size_of::<abi::EmDescriptor>());
        let descriptor = Descriptor::parse(&octets).unwrap();
        assert_eq!((&*descriptor.name, &*descriptor.version), ("filter", "1.0 beta"));
        assert_eq!(descriptor.class, Class::Inline);
    }

    #[test]
    fn every_member_is_checked() {
        let cases: [(usize, u8, &str); 11] = [
            (0, b'X', "magic"),
            (8, 1, "size"),
            (12, 9, "abi_major"),
            (14, 99, "abi_minor"),
            (16, 0xff, "base_digest"),
            (31, 0x80, "stages"),
            (39, 0x80, "edits"),
            (40, 7, "plugin_class"),
            (44, 7, "language"),
            (48, b'F', "name"),
            (144, 1, "reserved"),
        ];
        for (at, octet, wanted) in cases {
            let mut octets = sound();
            octets[at] = octet;
            match Descriptor::parse(&octets) {
                Err(DescriptorError::Field { field, .. }) => assert_eq!(field, wanted),
                other => panic!("{wanted}: {other:?}"),
            }
        }
        let mut unended = sound();
        unended[48..112].fill(b'a');
        assert!(Descriptor::parse(&unended).is_err());
        let mut unnamed = sound();
        unnamed[48..54].fill(0);
        assert!(Descriptor::parse(&unnamed).is_err());
    }

    #[test]
    fn every_shorter_section_is_refused() {
        let octets = sound();
        for end in 0..octets.len() {
            assert!(matches!(
                Descriptor::parse(&octets[..end]),
                Err(DescriptorError::Short { .. })
            ));
        }
    }
}
