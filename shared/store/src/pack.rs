//! Numbers, ids and words in few bytes: small numbers are short, near ones are told as a difference, and words
//! that come often have numbers.

use event::{Contribution, Day, EntryId, Partition, Version};

mod unpack; // read back

pub(crate) use unpack::Unpacker;

/// What is kept packed.
pub trait Packed: Sized {
    /// Its bytes. Moments and days are told as differences from `near_ms`, in milliseconds since 1970; ids of
    /// transactions are those of one partition. Neither is written down.
    fn pack(&self, near_ms: u64) -> Vec<u8>;

    /// Reads it back; `None` if no release that we know of wrote it.
    fn unpack(bytes: &[u8], partition: Partition, near_ms: u64) -> Option<Self>;
}

const DAY_MS: u64 = 86_400_000;

/// What an id's first byte says of the part behind its prefix.
const TEXT: u8 = 0;
const NUMBER: u8 = 1;
const UUID: u8 = 2;
const HEX: u8 = 3;

/// Words that come often. What is stored knows them by their place: new ones go to the end.
pub(crate) const WORDS: [&str; 35] = [
    "",
    "whatpulse",
    "trakt",
    "toggl",
    "ynab",
    "github",
    "keystrokes",
    "mouse_clicks",
    "download_mb",
    "upload_mb",
    "uptime_min",
    "tv_min",
    "movies_min",
    "episodes_watched",
    "movies_watched",
    "productive_min",
    "neutral_min",
    "distracting_min",
    "gaming_min",
    "meditation_min",
    "money_spent",
    "money_earned",
    "money_saved",
    "issues_opened",
    "issues_closed",
    "comments_written",
    "pull_requests_opened",
    "pull_requests_merged",
    "commits",
    "issue:",
    "comment:",
    "pr:",
    "commit:",
    "Pulse-",
    "row:",
];

/// Writes one after the other.
#[derive(Default)]
pub(crate) struct Packer {
    bytes: Vec<u8>,
    near: Near,
    words: Vec<String>,
}

/// What differences are told from.
#[derive(Default)]
struct Near {
    ms: u64,
    day: i32,
}

impl Near {
    fn to(ms: u64) -> Self {
        Self { ms, day: i32::try_from(ms / DAY_MS).unwrap_or(0) }
    }
}

impl Packer {
    /// Tells moments and days as differences from a moment, in milliseconds since 1970.
    pub(crate) fn near(ms: u64) -> Self {
        Self { near: Near::to(ms), ..Self::default() }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// What an entry's id says.
    pub(crate) fn entry(&mut self, entry: EntryId) {
        self.moment(entry.ms);
        self.number(entry.seq);
    }

    /// A moment in milliseconds, near the one before.
    pub(crate) fn moment(&mut self, ms: u64) {
        self.signed(ms.wrapping_sub(self.near.ms).cast_signed());
        self.near.ms = ms;
    }

    /// A version, with some number told beside it, below 2⁶³. A time in microseconds is near the moment told before;
    /// a sequence number is small by itself.
    pub(crate) fn version(&mut self, version: Version, beside: u64) {
        let (version, near) = (version.0, microseconds(self.near.ms));
        let is_near = version.checked_sub(near).is_some_and(|apart| apart.unsigned_abs() < version.unsigned_abs());
        self.number(beside << 1 | u64::from(is_near));
        self.signed(if is_near { version - near } else { version });
    }

    pub(crate) fn contributions(&mut self, contributions: &[Contribution]) {
        self.number(contributions.len() as u64);
        for adds in contributions {
            self.word(adds.attribute.as_str());
            self.day(adds.day);
            self.signed(adds.amount);
        }
    }

    pub(crate) fn id(&mut self, id: &str) {
        if let Some(bytes) = uuid(id) {
            self.bytes.push(UUID);
            return self.bytes.extend(bytes);
        }
        let (prefix, rest) = id.split_at(id.rfind([':', '-']).map_or(0, |at| at + 1));
        let number = rest.parse::<u64>().ok().filter(|number| number.to_string() == rest);
        match (number, hex(rest)) {
            (Some(number), _) => {
                self.bytes.push(NUMBER);
                self.word(prefix);
                self.number(number);
            }
            (None, Some(bytes)) => {
                self.bytes.push(HEX);
                self.word(prefix);
                self.number(bytes.len() as u64);
                self.bytes.extend(bytes);
            }
            (None, None) => {
                self.bytes.push(TEXT);
                self.text(id);
            }
        }
    }

    pub(crate) fn word(&mut self, word: &str) {
        let known = WORDS.iter().copied().chain(self.words.iter().map(String::as_str)).position(|known| known == word);
        match known {
            Some(place) => self.number(place as u64),
            None => {
                self.number((WORDS.len() + self.words.len()) as u64);
                self.text(word);
                self.words.push(word.to_owned());
            }
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    pub(crate) fn day(&mut self, day: Day) {
        self.signed(i64::from(day.number()) - i64::from(self.near.day));
        self.near.day = day.number();
    }

    pub(crate) fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63).cast_unsigned());
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.bytes.push(number.to_le_bytes()[0]);
    }
}

fn microseconds(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(0).saturating_mul(1000)
}

/// The bytes of a UUID in small letters.
fn uuid(id: &str) -> Option<Vec<u8>> {
    let places = [8, 13, 18, 23];
    let is_dashed = id.len() == 36 && places.iter().all(|&place| id.as_bytes()[place] == b'-');
    hex(&id.replace('-', "")).filter(|bytes| is_dashed && bytes.len() == 16)
}

/// The bytes that small hexadecimal digits spell.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect();
    bytes.filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::WORDS;

    #[test]
    fn a_word_keeps_its_place_for_ever() {
        // What is kept while a new release takes over knows words by their place.
        assert_eq!([WORDS[1], WORDS[15], WORDS[28], WORDS[33]], ["whatpulse", "productive_min", "commits", "Pulse-"]);
    }
}
