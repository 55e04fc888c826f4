//! Packed elements read back, byte by byte: other bytes than ours are refused, never misread beyond their end.

use std::collections::BTreeMap;

use event::{AttributeName, Contribution, Day, EntryId, ExternalId, Partition, SourceName, TransactionId, Version};
use ledger::{Before, Bucket, Opening, Pair, Telling};

use super::{
    AFTER_ARCHIVED, AFTER_COUNTED, AFTER_HELD, AFTER_NOTHING, AFTER_VOID, EVENTS, Element, Event, HEX, NUMBER, Near,
    OPENING, RECOUNT, TEXT, UUID, WORDS, microseconds,
};

/// Reads an element; `None` if no release that we know of wrote it.
pub(in crate::archive) fn element(bytes: &[u8], bucket: Bucket, partition: Partition) -> Option<Element> {
    let (kind, bytes) = bytes.split_first()?;
    let mut unpacker = Unpacker { bytes, partition, near: Near::default(), words: Vec::new() };
    match *kind {
        OPENING => unpacker.opening(bucket),
        EVENTS => {
            let mut events = Vec::new();
            while !unpacker.bytes.is_empty() {
                events.push(unpacker.event()?);
            }
            Some(Element::Events(events))
        }
        _ => None,
    }
}

struct Unpacker<'a> {
    bytes: &'a [u8],
    partition: Partition,
    near: Near,
    words: Vec<String>,
}

impl Unpacker<'_> {
    fn opening(&mut self, bucket: Bucket) -> Option<Element> {
        let mask = self.number()?;
        let ages = (0..64).filter(|age| mask >> age & 1 == 1);
        let earlier = ages.map(|age| bucket.checked_sub(age + 1)).collect::<Option<_>>()?;
        let days = self.day()?..=self.day()?;
        let mut sums = BTreeMap::new();
        while !self.bytes.is_empty() {
            let source = SourceName::try_new(&self.word()?).ok()?;
            let attribute = AttributeName::try_new(&self.word()?).ok()?;
            for _ in 0..self.number()? {
                let pair = Pair { attribute: attribute.clone(), day: self.day()? };
                sums.insert((source.clone(), pair), self.signed()?);
            }
        }
        Some(Element::Opening { earlier, opening: Opening { days, sums } })
    }

    fn event(&mut self) -> Option<Event> {
        let what = self.number()?;
        let source = SourceName::try_new(&self.word()?).ok()?;
        if what == RECOUNT {
            return Some(Event::RecountBegun { source, generation: self.number()?, from: self.day()? });
        }
        let external_id = ExternalId::try_new(&self.id()?).ok()?;
        let telling = self.telling()?;
        let before = match what {
            AFTER_ARCHIVED => Before::Archived,
            AFTER_NOTHING => Before::Nothing,
            AFTER_COUNTED => Before::CountedBefore(self.day()?),
            AFTER_HELD => Before::Held { telling: self.telling()?, void_from: None },
            AFTER_VOID => Before::Held { telling: self.telling()?, void_from: Some(self.day()?) },
            _ => return None,
        };
        Some(Event::Told { source, external_id, telling, before })
    }

    fn telling(&mut self) -> Option<Telling> {
        let ms = self.near.ms.wrapping_add(self.signed()?.cast_unsigned());
        self.near.ms = ms;
        let seq = self.number()?;
        let generation = self.number()?;
        let told = self.signed()?;
        let version = if generation & 1 == 1 { told.checked_add(microseconds(ms))? } else { told };
        let mut contributions = Vec::new();
        for _ in 0..self.number()? {
            let attribute = AttributeName::try_new(&self.word()?).ok()?;
            contributions.push(Contribution { attribute, day: self.day()?, amount: self.signed()? });
        }
        let transaction = TransactionId { partition: self.partition, entry: EntryId { ms, seq } };
        Some(Telling { version: Version(version), transaction, contributions, generation: generation >> 1 })
    }

    fn id(&mut self) -> Option<String> {
        match self.take(1)?[0] {
            TEXT => self.text(),
            NUMBER => Some(format!("{}{}", self.word()?, self.number()?)),
            UUID => {
                let text = spelled(self.take(16)?);
                Some([&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-"))
            }
            HEX => {
                let (prefix, bytes) = (self.word()?, self.number()?);
                Some(format!("{prefix}{}", spelled(self.take(usize::try_from(bytes).ok()?)?)))
            }
            _ => None,
        }
    }

    fn word(&mut self) -> Option<String> {
        let place = usize::try_from(self.number()?).ok()?;
        if let Some(word) = WORDS.get(place) {
            return Some((*word).to_owned());
        }
        if place == WORDS.len() + self.words.len() {
            let word = self.text()?;
            self.words.push(word);
        }
        self.words.get(place - WORDS.len()).cloned()
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn day(&mut self) -> Option<Day> {
        let day = i32::try_from(i64::from(self.near.day).checked_add(self.signed()?)?).ok()?;
        self.near.day = day;
        Some(Day::from_number(day))
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0u32..64).step_by(7) {
            let byte = u64::from(self.take(1)?[0]);
            number |= (byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }
}

fn spelled(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
