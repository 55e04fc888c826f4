//! What one block of the audit says, in few bytes.

use std::io::Read;

use event::{
    Direction, Ended, ExternalId, Partition, Reason, SourceName, State, TransactionId, TransactionLine, UserId, Version,
};

use super::Block;
use crate::pack::{Packed, Packer, Unpacker};

/// Beside a line's state in its first byte: what else it has.
const OUTBOUND: u8 = 1 << 3;
const HAS_CAUSE: u8 = 1 << 4;
const HAS_CONTRIBUTIONS: u8 = 1 << 5;
const HAS_DETAIL: u8 = 1 << 6;
const HAS_VERSION: u8 = 1 << 7;
const STATE: u8 = 0b111;

/// How a block is kept, its first byte.
const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;
/// Below so many bytes there is nothing in a block that comes twice.
const COMPRESSED_MIN: usize = 200;
/// The most bytes that a block may unpack to.
const BLOCK_BYTES_MAX: u64 = 1 << 24;
/// Fast, and hardly larger than the next.
const LEVEL: i32 = 1;

impl Packed for Block {
    fn pack(&self, near_ms: u64) -> Vec<u8> {
        let (mut packer, mut near) = (Packer::near(near_ms), Near::to(near_ms));
        packer.number(self.lines.len() as u64);
        self.lines.iter().for_each(|line| packer.line(line, &mut near));
        packer.number(self.ended.len() as u64);
        self.ended.iter().for_each(|ended| packer.ended(ended, &mut near));
        let bytes = packer.into_bytes();
        let compressed = if bytes.len() < COMPRESSED_MIN { None } else { zstd::bulk::compress(&bytes, LEVEL).ok() };
        match compressed.filter(|compressed| compressed.len() < bytes.len()) {
            Some(compressed) => [vec![COMPRESSED], compressed].concat(),
            None => [vec![PLAIN], bytes].concat(),
        }
    }

    fn unpack(bytes: &[u8], partition: Partition, near_ms: u64) -> Option<Self> {
        let (kind, bytes) = bytes.split_first()?;
        match *kind {
            PLAIN => Self::unpack_plain(bytes, partition, near_ms),
            COMPRESSED => {
                let mut plain = Vec::new();
                zstd::Decoder::new(bytes).ok()?.take(BLOCK_BYTES_MAX).read_to_end(&mut plain).ok()?;
                Self::unpack_plain(&plain, partition, near_ms)
            }
            _ => None,
        }
    }
}

impl Block {
    fn unpack_plain(bytes: &[u8], partition: Partition, near_ms: u64) -> Option<Self> {
        let (mut unpacker, mut near) = (Unpacker::near(bytes, partition, near_ms), Near::to(near_ms));
        let mut block = Self::default();
        for _ in 0..unpacker.number()? {
            block.lines.push(unpacker.line(&mut near)?);
        }
        for _ in 0..unpacker.number()? {
            block.ended.push(unpacker.ended(&mut near)?);
        }
        unpacker.is_done().then_some(block)
    }
}

/// The moments of the line before: those of a block are near each other.
struct Near {
    read_at_ms: i64,
    at_ms: i64,
}

impl Near {
    fn to(ms: u64) -> Self {
        let ms = i64::try_from(ms).unwrap_or(0);
        Self { read_at_ms: ms, at_ms: ms }
    }
}

impl Packer {
    fn line(&mut self, line: &TransactionLine, near: &mut Near) {
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let has_version = line.version != Version(0);
        self.byte(
            u8::from(line.state)
                | flag(line.direction == Direction::Outbound, OUTBOUND)
                | flag(line.cause.is_some(), HAS_CAUSE)
                | flag(!line.contributions.is_empty(), HAS_CONTRIBUTIONS)
                | flag(!line.detail.is_empty(), HAS_DETAIL)
                | flag(has_version, HAS_VERSION),
        );
        self.byte(u8::from(line.reason));
        self.word(line.user.as_str());
        self.word(line.source.as_str());
        self.id(line.external_id.as_str());
        self.entry(line.id.entry);
        if has_version {
            self.version(line.version, 0);
        }
        self.apart(line.read_at_ms, &mut near.read_at_ms);
        self.apart(line.at_ms, &mut near.at_ms);
        line.cause.iter().for_each(|cause| self.entry(cause.entry));
        if !line.contributions.is_empty() {
            self.contributions(&line.contributions);
        }
        if !line.detail.is_empty() {
            self.word(&line.detail);
        }
    }

    fn ended(&mut self, ended: &Ended, near: &mut Near) {
        self.byte(u8::from(ended.state));
        self.byte(u8::from(ended.reason));
        self.word(ended.user.as_str());
        self.apart(ended.at_ms, &mut near.at_ms);
        self.number(ended.transactions.len() as u64);
        ended.transactions.iter().for_each(|transaction| self.entry(transaction.entry));
    }

    fn apart(&mut self, moment: i64, near: &mut i64) {
        self.signed(moment.wrapping_sub(*near));
        *near = moment;
    }
}

impl Unpacker<'_> {
    fn line(&mut self, near: &mut Near) -> Option<TransactionLine> {
        let flags = self.byte()?;
        let has = |flag: u8| flags & flag != 0;
        let state = State::try_from(flags & STATE).ok()?;
        let reason = Reason::try_from(self.byte()?).ok()?;
        let user = UserId::try_new(&self.word()?).ok()?;
        let source = SourceName::try_new(&self.word()?).ok()?;
        let external_id = ExternalId::try_new(&self.id()?).ok()?;
        let id = self.transaction()?;
        Some(TransactionLine {
            id,
            direction: if has(OUTBOUND) { Direction::Outbound } else { Direction::Inbound },
            user,
            source,
            external_id,
            version: if has(HAS_VERSION) { self.version()?.0 } else { Version(0) },
            state,
            reason,
            read_at_ms: self.apart(&mut near.read_at_ms)?,
            at_ms: self.apart(&mut near.at_ms)?,
            cause: if has(HAS_CAUSE) { Some(self.transaction()?) } else { None },
            contributions: if has(HAS_CONTRIBUTIONS) { self.contributions()? } else { Vec::new() },
            detail: if has(HAS_DETAIL) { self.word()? } else { String::new() },
        })
    }

    fn ended(&mut self, near: &mut Near) -> Option<Ended> {
        let state = State::try_from(self.byte()?).ok()?;
        let reason = Reason::try_from(self.byte()?).ok()?;
        let user = UserId::try_new(&self.word()?).ok()?;
        let at_ms = self.apart(&mut near.at_ms)?;
        let mut transactions: Vec<TransactionId> = Vec::new();
        for _ in 0..self.number()? {
            transactions.push(self.transaction()?);
        }
        Some(Ended { user, state, reason, at_ms, transactions })
    }

    fn apart(&mut self, near: &mut i64) -> Option<i64> {
        *near = near.wrapping_add(self.signed()?);
        Some(*near)
    }
}

#[cfg(test)]
mod tests {
    use event::{AttributeName, Contribution, Day, EntryId, PartitionCount};
    use proptest::prelude::*;

    use super::*;

    fn partition() -> Partition {
        PartitionCount::try_new(64).unwrap().get_partition(7).unwrap()
    }

    fn any_transaction() -> impl Strategy<Value = TransactionId> {
        let entry = prop_oneof![(any::<u64>(), any::<u64>()), (1_795_000_000_000u64..1_795_000_009_000, 0u64..50)];
        entry.prop_map(|(ms, seq)| TransactionId { partition: partition(), entry: EntryId { ms, seq } })
    }

    fn any_state() -> impl Strategy<Value = (State, Reason)> {
        let reason = (0u8..19).prop_map(|byte| Reason::try_from(byte).unwrap());
        (prop::sample::select(State::ALL.to_vec()), reason)
    }

    fn any_line() -> impl Strategy<Value = TransactionLine> {
        let adds = ("[a-z_]{1,12}|tv_min", -800_000i32..800_000, any::<i64>()).prop_map(|(name, day, amount)| {
            Contribution { attribute: AttributeName::try_new(&name).unwrap(), day: Day::from_number(day), amount }
        });
        let what = ("[a-z]{1,5}", "[a-z]{1,5}", "[0-9]{1,22}|[a-z]{1,9}@2026-11-21|issue:[0-9a-f]{1,20}");
        let when = (any::<i64>(), any::<i64>(), prop_oneof![Just(0i64), any::<i64>()]);
        let rest = (prop::option::of(any_transaction()), prop::collection::vec(adds, 0..3), "(request 7)?|.{0,20}");
        (any_transaction(), any::<bool>(), any_state(), what, when, rest).prop_map(
            |(id, is_outbound, (state, reason), (user, source, external_id), when, (cause, contributions, detail))| {
                TransactionLine {
                    id,
                    direction: if is_outbound { Direction::Outbound } else { Direction::Inbound },
                    user: UserId::try_new(&user).unwrap(),
                    source: SourceName::try_new(&source).unwrap(),
                    external_id: ExternalId::try_new(&external_id).unwrap(),
                    version: Version(when.2),
                    state,
                    reason,
                    cause,
                    read_at_ms: when.0,
                    at_ms: when.1,
                    contributions,
                    detail,
                }
            },
        )
    }

    fn any_ended() -> impl Strategy<Value = Ended> {
        let transactions = prop::collection::vec(any_transaction(), 0..5);
        ("[a-z]{1,5}", any_state(), any::<i64>(), transactions).prop_map(
            |(user, (state, reason), at_ms, transactions)| Ended {
                user: UserId::try_new(&user).unwrap(),
                state,
                reason,
                at_ms,
                transactions,
            },
        )
    }

    proptest! {
        #[test]
        fn a_block_comes_back_as_it_was(
            lines in prop::collection::vec(any_line(), 0..12),
            ended in prop::collection::vec(any_ended(), 0..4),
            near_ms in prop_oneof![Just(0u64), any::<u64>(), Just(1_795_000_000_000)],
        ) {
            let block = Block { lines, ended };
            prop_assert_eq!(Block::unpack(&block.pack(near_ms), partition(), near_ms), Some(block));
        }

        #[test]
        fn other_bytes_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _refused = Block::unpack(&bytes, partition(), 0);
        }

        #[test]
        fn what_was_cut_off_is_refused(lines in prop::collection::vec(any_line(), 1..4), cut in 1usize..9) {
            let bytes = Block { lines, ended: Vec::new() }.pack(0);
            prop_assert_eq!(Block::unpack(&bytes[..bytes.len().saturating_sub(cut)], partition(), 0), None);
        }
    }
}
