//! Events in few bytes: small numbers are short, near ones are told as a difference, and words that come
//! often have numbers.

use std::collections::BTreeMap;

use event::{AttributeName, Day, EntryId, ExternalId, SourceName};
use ledger::{Before, Bucket, Opening, Telling};

mod unpack; // read back

pub(super) use unpack::element;

/// Kinds of elements, their first byte.
const OPENING: u8 = 1;
const EVENTS: u8 = 2;

/// What an event's first byte says: what stood before, or that it is a recount.
const AFTER_ARCHIVED: u64 = 0;
const AFTER_NOTHING: u64 = 1;
const AFTER_COUNTED: u64 = 2;
const AFTER_HELD: u64 = 3;
const AFTER_VOID: u64 = 4;
const RECOUNT: u64 = 5;

/// What an id's first byte says of the part behind its prefix.
const TEXT: u8 = 0;
const NUMBER: u8 = 1;
const UUID: u8 = 2;
const HEX: u8 = 3;

/// Words that come often. Stored archives know them by their place: new ones go to the end.
const WORDS: [&str; 35] = [
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

/// What one element of a list says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Element {
    Opening { earlier: Vec<Bucket>, opening: Opening },
    Events(Vec<Event>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Told { source: SourceName, external_id: ExternalId, telling: Telling, before: Before },
    RecountBegun { source: SourceName, generation: u64, from: Day },
}

/// The first element of a bucket. `earlier` are the buckets that exist as it begins, none older than 64.
pub(super) fn opening(bucket: Bucket, earlier: &[Bucket], opening: &Opening) -> Vec<u8> {
    let mut packer = Packer { bytes: vec![OPENING], ..Packer::default() };
    let ages = earlier.iter().filter_map(|earlier| bucket.checked_sub(*earlier + 1)).filter(|age| *age < 64);
    packer.number(ages.fold(0, |mask, age| mask | 1 << age));
    packer.day(*opening.days.start());
    packer.day(*opening.days.end());
    let mut rows: BTreeMap<(&SourceName, &AttributeName), Vec<(Day, i64)>> = BTreeMap::new();
    for ((source, pair), amount) in &opening.sums {
        rows.entry((source, &pair.attribute)).or_default().push((pair.day, *amount));
    }
    for ((source, attribute), days) in rows {
        packer.word(source.as_str());
        packer.word(attribute.as_str());
        packer.number(days.len() as u64);
        for (day, amount) in days {
            packer.day(day);
            packer.signed(amount);
        }
    }
    packer.bytes
}

/// Writes events one after the other.
#[derive(Default)]
pub(super) struct Packer {
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

impl Packer {
    pub(super) fn told(&mut self, source: &SourceName, external_id: &ExternalId, telling: &Telling, before: &Before) {
        self.number(match before {
            Before::Archived => AFTER_ARCHIVED,
            Before::Nothing => AFTER_NOTHING,
            Before::CountedBefore(_) => AFTER_COUNTED,
            Before::Held { void_from: None, .. } => AFTER_HELD,
            Before::Held { void_from: Some(_), .. } => AFTER_VOID,
        });
        self.word(source.as_str());
        self.id(external_id.as_str());
        self.telling(telling);
        match before {
            Before::Archived | Before::Nothing => {}
            Before::CountedBefore(day) => self.day(*day),
            Before::Held { telling, void_from } => {
                self.telling(telling);
                void_from.iter().for_each(|day| self.day(*day));
            }
        }
    }

    pub(super) fn recount_begun(&mut self, source: &SourceName, generation: u64, from: Day) {
        self.number(RECOUNT);
        self.word(source.as_str());
        self.number(generation);
        self.day(from);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        [vec![EVENTS], self.bytes].concat()
    }

    fn telling(&mut self, telling: &Telling) {
        let EntryId { ms, seq } = telling.transaction.entry;
        self.signed(ms.wrapping_sub(self.near.ms).cast_signed());
        self.near.ms = ms;
        self.number(seq);
        // A time in microseconds is near the arrival; a sequence number is small by itself.
        let (version, near) = (telling.version.0, microseconds(ms));
        let is_near = version.checked_sub(near).is_some_and(|apart| apart.unsigned_abs() < version.unsigned_abs());
        self.number(telling.generation << 1 | u64::from(is_near));
        self.signed(if is_near { version - near } else { version });
        self.number(telling.contributions.len() as u64);
        for adds in &telling.contributions {
            self.word(adds.attribute.as_str());
            self.day(adds.day);
            self.signed(adds.amount);
        }
    }

    fn id(&mut self, id: &str) {
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

    fn word(&mut self, word: &str) {
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

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    fn day(&mut self, day: Day) {
        self.signed(i64::from(day.number()) - i64::from(self.near.day));
        self.near.day = day.number();
    }

    fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63).cast_unsigned());
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn number(&mut self, mut number: u64) {
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
mod tests;
