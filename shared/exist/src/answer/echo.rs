//! One object of a write answer: what was sent, and what Exist adds to it.

use std::collections::HashMap;

use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{Exact, reading};

/// An object of either array, read key by key: one unexpected key or type spoils no other.
#[derive(Debug)]
pub struct Echo<'a>(HashMap<String, &'a RawValue>);

impl<'a> Echo<'a> {
    /// Reads an element; nothing if it is no object.
    pub(crate) fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok().map(Self)
    }

    /// The value of a key, if it is there and of this type.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.0.get(key).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// The text of a key.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.get(key)
    }

    /// The number of a key, exact.
    pub(crate) fn number(&self, key: &str) -> Option<Exact> {
        self.0.get(key).and_then(|raw| raw.get().parse().ok())
    }

    /// Whether a key holds this text.
    pub(crate) fn is(&self, key: &str, text: &str) -> bool {
        self.text(key).is_some_and(|echoed| echoed == text)
    }

    /// The date it is about.
    pub(crate) fn date(&self) -> Option<Date> {
        reading::date(&self.text("date")?)
    }

    /// What a failure calls its item, by the keys met so far.
    pub(crate) fn first_name(&self) -> Option<String> {
        ["name", "template", "label", "title"].iter().find_map(|key| self.text(key))
    }

    /// Whether it names anything at all.
    pub(crate) fn names_something(&self) -> bool {
        self.first_name().is_some()
    }

    /// The place in the request that a failure's text tells: `Object at index 0 missing field(s)…`.
    pub(crate) fn index(&self) -> Option<usize> {
        let text = self.text("error")?;
        let (_, rest) = text.split_once("Object at index ")?;
        rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
    }
}
