//! Protobuf's wire format, read by hand: the collector is written from OTLP's specification, not with our exporter.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    /// A varint.
    Number(u64),
    /// Eight or four bytes, little end first.
    Fixed(u64),
    /// A text, bytes, or another message.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Field::Bytes(bytes) => bytes,
            other => panic!("{other:?} is no message"),
        }
    }

    pub(crate) fn text(self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("texts are UTF-8")
    }

    pub(crate) fn number(self) -> u64 {
        match self {
            Field::Number(number) | Field::Fixed(number) => number,
            other @ Field::Bytes(_) => panic!("{other:?} is no number"),
        }
    }
}

/// The fields of a message with their numbers, in their order.
pub(crate) fn fields(mut message: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut message)),
            1 => Field::Fixed(fixed(&mut message, 8)),
            2 => {
                let length = usize::try_from(varint(&mut message)).expect("a length");
                let (bytes, rest) = message.split_at(length);
                message = rest;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed(fixed(&mut message, 4)),
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, field));
    }
    found
}

/// All fields of one number.
pub(crate) fn all(message: &[u8], number: u64) -> impl Iterator<Item = Field<'_>> {
    fields(message).into_iter().filter(move |(its, _)| *its == number).map(|(_, field)| field)
}

/// The last field of a number.
pub(crate) fn one(message: &[u8], number: u64) -> Option<Field<'_>> {
    all(message, number).last()
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a number ends");
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
    }
    panic!("a number of more than 64 bits")
}

fn fixed(bytes: &mut &[u8], width: usize) -> u64 {
    let (number, rest) = bytes.split_at(width);
    *bytes = rest;
    number.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[test]
fn numbers_texts_and_messages_are_read() {
    let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 1, 0, 0, 0];
    assert_eq!(one(&message, 1).unwrap().number(), 150);
    assert_eq!(one(&message, 2).unwrap().text(), "hi");
    assert_eq!(one(&message, 3).unwrap().number(), 1);
}
