//! What one element of an archive's list says, in few bytes.

use std::collections::BTreeMap;

use event::{AttributeName, Day, ExternalId, Partition, SourceName};
use ledger::{Before, Bucket, Opening, Pair, Telling};

use crate::pack::{Packer, Unpacker};

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
    let mut packer = Packer::default();
    packer.byte(OPENING);
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
    packer.into_bytes()
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

    /// What was told as one element.
    pub(super) fn into_element(self) -> Vec<u8> {
        [vec![EVENTS], self.into_bytes()].concat()
    }

    pub(crate) fn telling(&mut self, telling: &Telling) {
        self.entry(telling.transaction.entry);
        self.version(telling.version, telling.generation);
        self.contributions(&telling.contributions);
    }
}

/// Reads an element; `None` if no release that we know of wrote it.
pub(super) fn element(bytes: &[u8], bucket: Bucket, partition: Partition) -> Option<Element> {
    let (kind, bytes) = bytes.split_first()?;
    let mut unpacker = Unpacker::new(bytes, partition);
    match *kind {
        OPENING => unpacker.opening(bucket),
        EVENTS => {
            let mut events = Vec::new();
            while !unpacker.is_done() {
                events.push(unpacker.event()?);
            }
            Some(Element::Events(events))
        }
        _ => None,
    }
}

impl Unpacker<'_> {
    fn opening(&mut self, bucket: Bucket) -> Option<Element> {
        let mask = self.number()?;
        let ages = (0..64).filter(|age| mask >> age & 1 == 1);
        let earlier = ages.map(|age| bucket.checked_sub(age + 1)).collect::<Option<_>>()?;
        let days = self.day()?..=self.day()?;
        let mut sums = BTreeMap::new();
        while !self.is_done() {
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

    pub(crate) fn telling(&mut self) -> Option<Telling> {
        let transaction = self.transaction()?;
        let (version, generation) = self.version()?;
        Some(Telling { version, transaction, contributions: self.contributions()?, generation })
    }
}

#[cfg(test)]
mod tests;
