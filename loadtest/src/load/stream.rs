//! A stream: who there is, and every telling of a record in order; in memory, and as a file of JSON Lines.
//!
//! No file holds a token, a name or a text of anybody's: people are numbers, records are numbered in the order
//! in which they appear, and of what they are filed under only remains which attributes they feed.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{scenario::Via, source::Source};

/// The version of the file's layout.
const FORMAT: u32 = 1;

/// How hard files are packed: a million lines take a second.
const ZSTD_LEVEL: i32 = 6;

/// Templates that a generated person has, in order.
pub(crate) const ATTRIBUTES: [&str; 5] = ["productive_min", "neutral_min", "distracting_min", "gaming_min", "tv_min"];

/// Most attributes of a person: one bit each.
pub(crate) const FEEDS_MAX: usize = 16;

/// What the first line of a file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    format: u32,
    /// Where it comes from.
    pub about: String,
    /// What it was made of; none for a recorded one.
    pub seed: Option<u64>,
    /// The second that all times count from; none to count from when it is played.
    pub anchor_s: Option<i64>,
    pub(crate) via: Via,
    /// What a record carries beside what counts, in bytes.
    pub(crate) filler_bytes: usize,
    pub(crate) people: Vec<Someone>,
}

/// Somebody without a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Someone {
    pub(crate) timezone: String,
    pub(crate) attributes: Vec<Attribute>,
}

/// An attribute that records may feed with minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    /// Whether Exist has a template of that name.
    pub(crate) template: bool,
    /// Whether what is new is added to what stands in Exist, rather than the day's sum put in its place.
    #[serde(default)]
    pub(crate) increment: bool,
    /// Whose records feed it.
    #[serde(default, skip_serializing_if = "Source::is_toggl")]
    pub(crate) source: Source,
}

/// One telling of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Telling {
    /// When, in microseconds since the stream began; none if it stood at the source before.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(crate) at_us: Option<u64>,
    /// Where.
    #[serde(rename = "o", default, skip_serializing_if = "Source::is_toggl")]
    pub(crate) source: Source,
    /// Whose, as a place in the header's list.
    #[serde(rename = "p")]
    pub(crate) person: u32,
    /// Which record.
    #[serde(rename = "r")]
    pub(crate) record: u32,
    /// Its version, in microseconds since the anchor.
    #[serde(rename = "v")]
    pub(crate) version_us: i64,
    /// When it started, in seconds since the anchor.
    #[serde(rename = "s")]
    pub(crate) start_s: i64,
    /// How long it took; none while it goes on.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<u32>,
    /// A bit for each attribute that it feeds.
    #[serde(rename = "f")]
    pub(crate) feeds: u16,
    #[serde(rename = "x", default, skip_serializing_if = "State::is_there")]
    pub(crate) state: State,
}

/// What a telling says of its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It is there.
    #[default]
    There,
    /// It was deleted.
    Gone,
    /// Nothing that can be read.
    Broken,
}

impl State {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_there(&self) -> bool {
        *self == State::There
    }
}

impl Telling {
    /// Whether it feeds the attribute in this place.
    pub(crate) fn feeds(&self, attribute: usize) -> bool {
        attribute < FEEDS_MAX && self.feeds & (1 << attribute) != 0
    }
}

impl Header {
    pub(crate) fn new(about: String, via: Via, people: Vec<Someone>) -> Header {
        Header { format: FORMAT, about, seed: None, anchor_s: None, via, filler_bytes: 0, people }
    }

    /// The sources that people are connected to: Toggl Track, and those that feed an attribute of anybody.
    pub(crate) fn sources(&self) -> BTreeSet<Source> {
        let feeding = self.people.iter().flat_map(|someone| &someone.attributes).map(|attribute| attribute.source);
        feeding.chain([Source::Toggl]).collect()
    }

    fn check(&self) -> Result<()> {
        ensure!(self.format == FORMAT, "it has layout {}, not {FORMAT}", self.format);
        ensure!(!self.people.is_empty(), "it is about nobody");
        for someone in &self.people {
            jiff::tz::TimeZone::get(&someone.timezone)
                .with_context(|| format!("no zone is called {}", someone.timezone))?;
            ensure!(someone.attributes.len() <= FEEDS_MAX, "somebody has more than {FEEDS_MAX} attributes");
        }
        Ok(())
    }
}

/// What happens, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Who there is.
    pub header: Header,
    /// Those before it first, then by time.
    pub(crate) tellings: Vec<Telling>,
}

impl Stream {
    /// How many tellings there are.
    pub fn len(&self) -> usize {
        self.tellings.len()
    }

    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        self.tellings.is_empty()
    }

    /// Reads a file, packed if its name ends in `.zst`.
    ///
    /// # Errors
    /// When it cannot be read, with the line that makes no sense.
    pub fn read(path: &Path) -> Result<Stream> {
        let name = || path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {}", name()))?;
        let lines: Box<dyn BufRead> = if is_packed(path) {
            Box::new(BufReader::new(zstd::Decoder::new(file).with_context(|| format!("unpacking {}", name()))?))
        } else {
            Box::new(BufReader::new(file))
        };
        let mut lines = lines.lines();
        let first = lines.next().with_context(|| format!("{} is empty", name()))?;
        let header: Header =
            serde_json::from_str(&first.with_context(name)?).with_context(|| format!("{}, line 1", name()))?;
        header.check().with_context(name)?;
        let mut tellings = Vec::new();
        for (index, line) in lines.enumerate() {
            let place = || format!("{}, line {}", name(), index + 2);
            let telling: Telling = serde_json::from_str(&line.with_context(place)?).with_context(place)?;
            let known = usize::try_from(telling.person).is_ok_and(|person| person < header.people.len());
            if !known {
                bail!("{}: there is no person {}", place(), telling.person);
            }
            tellings.push(telling);
        }
        tellings.sort_by_key(|telling| telling.at_us);
        Ok(Stream { header, tellings })
    }

    /// Writes a file, packed if its name ends in `.zst`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut writer = Writer::create(path, &self.header)?;
        for telling in &self.tellings {
            writer.write(telling)?;
        }
        writer.finish()
    }
}

/// A file that is being written.
pub(crate) struct Writer(Packing);

enum Packing {
    Plain(BufWriter<File>),
    Packed(Box<zstd::Encoder<'static, BufWriter<File>>>),
}

impl Writer {
    pub(crate) fn create(path: &Path, header: &Header) -> Result<Writer> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        let file = BufWriter::new(file);
        let mut writer = Writer(if is_packed(path) {
            Packing::Packed(Box::new(zstd::Encoder::new(file, ZSTD_LEVEL).context("starting to pack")?))
        } else {
            Packing::Plain(file)
        });
        writer.line(&serde_json::to_vec(header).context("writing the header")?)?;
        Ok(writer)
    }

    pub(crate) fn write(&mut self, telling: &Telling) -> Result<()> {
        self.line(&serde_json::to_vec(telling).context("writing a telling")?)
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let out: &mut dyn Write = match &mut self.0 {
            Packing::Plain(file) => file,
            Packing::Packed(file) => file,
        };
        out.write_all(line).and_then(|()| out.write_all(b"\n")).context("writing the stream")
    }

    /// Nothing is whole before this.
    pub(crate) fn finish(self) -> Result<()> {
        let mut file = match self.0 {
            Packing::Plain(file) => file,
            Packing::Packed(packed) => packed.finish().context("packing the last of it")?,
        };
        file.flush().context("writing the last of it")
    }
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        let attributes =
            vec![Attribute { name: "tv_min".into(), template: true, increment: false, source: Source::Toggl }];
        let people = vec![Someone { timezone: "Asia/Tokyo".into(), attributes }];
        let there = Telling {
            at_us: None,
            person: 0,
            record: 1,
            version_us: -5,
            start_s: -60,
            seconds: Some(9),
            feeds: 1,
            state: State::There,
            source: Source::Toggl,
        };
        let gone = Telling { at_us: Some(7), version_us: 7, state: State::Gone, ..there };
        Stream { header: Header::new("two".into(), Via::Webhooks, people), tellings: vec![there, gone] }
    }

    #[test]
    fn what_is_written_is_read_again_packed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["stream.jsonl", "stream.jsonl.zst"] {
            let path = folder.path().join(name);
            stream().write(&path).unwrap();
            assert_eq!(Stream::read(&path).unwrap(), stream());
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stream.jsonl");
        let mut broken = stream();
        broken.tellings[1].person = 4;
        broken.write(&path).unwrap();
        let said = format!("{:#}", Stream::read(&path).unwrap_err());
        assert!(said.contains("line 3") && said.contains("no person 4"), "{said}");
    }
}
