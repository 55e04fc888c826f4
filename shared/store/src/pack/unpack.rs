//! Packed bytes read back, one by one: other bytes than ours are refused, never misread beyond their end.

use event::{AttributeName, Contribution, Day, EntryId, Partition, TransactionId, Version};

use super::{HEX, NUMBER, Near, TEXT, UUID, WORDS, microseconds};

pub(crate) struct Unpacker<'a> {
    bytes: &'a [u8],
    partition: Partition,
    near: Near,
    words: Vec<String>,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(bytes: &'a [u8], partition: Partition) -> Self {
        Self { bytes, partition, near: Near::default(), words: Vec::new() }
    }

    /// What [`super::Packer::near`] began.
    pub(crate) fn near(bytes: &'a [u8], partition: Partition, ms: u64) -> Self {
        Self { near: Near::to(ms), ..Self::new(bytes, partition) }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    /// What [`super::Packer::entry`] wrote, as a transaction of this partition.
    pub(crate) fn transaction(&mut self) -> Option<TransactionId> {
        let entry = EntryId { ms: self.moment()?, seq: self.number()? };
        Some(TransactionId { partition: self.partition, entry })
    }

    pub(crate) fn moment(&mut self) -> Option<u64> {
        self.near.ms = self.near.ms.wrapping_add(self.signed()?.cast_unsigned());
        Some(self.near.ms)
    }

    /// A version, and the number beside it.
    pub(crate) fn version(&mut self) -> Option<(Version, u64)> {
        let (beside, told) = (self.number()?, self.signed()?);
        let version = if beside & 1 == 1 { told.checked_add(microseconds(self.near.ms))? } else { told };
        Some((Version(version), beside >> 1))
    }

    pub(crate) fn contributions(&mut self) -> Option<Vec<Contribution>> {
        let mut contributions = Vec::new();
        for _ in 0..self.number()? {
            let attribute = AttributeName::try_new(&self.word()?).ok()?;
            contributions.push(Contribution { attribute, day: self.day()?, amount: self.signed()? });
        }
        Some(contributions)
    }

    pub(crate) fn id(&mut self) -> Option<String> {
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

    pub(crate) fn word(&mut self) -> Option<String> {
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

    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    pub(crate) fn day(&mut self) -> Option<Day> {
        let day = i32::try_from(i64::from(self.near.day).checked_add(self.signed()?)?).ok()?;
        self.near.day = day;
        Some(Day::from_number(day))
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
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
