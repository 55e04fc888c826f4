//! How each kind of item is spelled, bounded, and told apart in the answer.

use std::fmt::Debug;

use jiff::civil::Date;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{Acquire, Create, Delta, Release, Released, Stored, Value};
use crate::{Attribute, BatchError, Number, WHOLE_MAX, answer::Echo};

/// What the rest of the crate needs to know of an item.
pub trait Rules: Serialize + Clone + Eq + Debug {
    /// What a success says of it.
    type Applied: Clone + Eq + Debug;

    /// What it names; no two in a batch may name the same.
    fn key(&self) -> String;

    /// Whether it may be sent at all.
    fn check(&self, _index: usize) -> Result<(), BatchError> {
        Ok(())
    }

    /// Whether this success is about it.
    fn is_success(&self, echo: &Echo<'_>) -> bool;

    /// Whether this failure names it.
    fn is_failure(&self, echo: &Echo<'_>) -> bool {
        self.is_success(echo)
    }

    /// Whether this failure, which names too little, could be about it.
    fn may_be_failure(&self, echo: &Echo<'_>) -> bool {
        !echo.names_something()
    }

    /// What the success says; nothing if it lacks what it must say.
    fn applied(echo: &Echo<'_>) -> Option<Self::Applied>;
}

impl Rules for Value {
    type Applied = Stored;

    fn key(&self) -> String {
        format!("{} {}", self.date, self.name)
    }

    fn check(&self, index: usize) -> Result<(), BatchError> {
        fits_32_bits(self.value, index)
    }

    fn is_success(&self, echo: &Echo<'_>) -> bool {
        echo.is("name", &self.name) && echo.date() == Some(self.date)
    }

    fn may_be_failure(&self, echo: &Echo<'_>) -> bool {
        lacks_name_or_date(echo, &self.name, self.date)
    }

    fn applied(echo: &Echo<'_>) -> Option<Stored> {
        Some(Stored { now: echo.number("value") })
    }
}

impl Rules for Delta {
    type Applied = Stored;

    fn key(&self) -> String {
        format!("{} {}", self.date, self.name)
    }

    fn check(&self, index: usize) -> Result<(), BatchError> {
        if self.value.digits() <= 0 {
            return Err(BatchError::NotPositive { index });
        }
        fits_32_bits(self.value, index)
    }

    fn is_success(&self, echo: &Echo<'_>) -> bool {
        echo.is("name", &self.name) && echo.date() == Some(self.date)
    }

    fn may_be_failure(&self, echo: &Echo<'_>) -> bool {
        lacks_name_or_date(echo, &self.name, self.date)
    }

    fn applied(echo: &Echo<'_>) -> Option<Stored> {
        Some(Stored { now: echo.number("current") })
    }
}

impl Rules for Acquire {
    type Applied = Attribute;

    /// Both forms share one space: a success object carries template and name.
    fn key(&self) -> String {
        let (Self::Template(text) | Self::Name(text)) = self;
        text.clone()
    }

    fn is_success(&self, echo: &Echo<'_>) -> bool {
        match self {
            Self::Template(template) => echo.is("template", template),
            Self::Name(name) => echo.is("name", name),
        }
    }

    /// The documentation's own failure names neither: it has a `title`.
    fn is_failure(&self, echo: &Echo<'_>) -> bool {
        self.is_success(echo) || echo.first_name() == Some(self.key())
    }

    fn applied(echo: &Echo<'_>) -> Option<Attribute> {
        Attribute::from_echo(echo)
    }
}

impl Rules for Create {
    type Applied = Attribute;

    /// Without case, because Exist may answer the labels of tags in lower case.
    fn key(&self) -> String {
        comparable(&self.label)
    }

    fn is_success(&self, echo: &Echo<'_>) -> bool {
        echo.text("label").is_some_and(|label| comparable(&label) == self.key())
    }

    fn applied(echo: &Echo<'_>) -> Option<Attribute> {
        Attribute::from_echo(echo)
    }
}

impl Rules for Release {
    type Applied = Released;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn is_success(&self, echo: &Echo<'_>) -> bool {
        echo.is("name", &self.name)
    }

    fn applied(echo: &Echo<'_>) -> Option<Released> {
        Some(Released { service: echo.text("service").filter(|name| !name.is_empty()) })
    }
}

fn comparable(label: &str) -> String {
    label.trim().to_lowercase()
}

fn fits_32_bits(number: Number, index: usize) -> Result<(), BatchError> {
    match number {
        Number::Whole(ones) if ones.unsigned_abs() > WHOLE_MAX.unsigned_abs() => Err(BatchError::TooLarge { index }),
        _ => Ok(()),
    }
}

/// A `missing_field` failure cannot echo what was missing; what it does echo must agree.
fn lacks_name_or_date(echo: &Echo<'_>, name: &str, date: Date) -> bool {
    echo.text("name").is_none_or(|echoed| echoed == name) && echo.date().is_none_or(|echoed| echoed == date)
}

impl Serialize for Acquire {
    /// With `manual: false`: the apps need not offer entry by hand for what we fill.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Acquire", 2)?;
        match self {
            Self::Template(template) => object.serialize_field("template", template)?,
            Self::Name(name) => object.serialize_field("name", name)?,
        }
        object.serialize_field("manual", &false)?;
        object.end()
    }
}

impl Serialize for Create {
    /// With `manual: false`, which would be true if it were left out.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Create", 4)?;
        object.serialize_field("label", &self.label)?;
        object.serialize_field("group", &self.group)?;
        object.serialize_field("value_type", &self.value_type.code())?;
        object.serialize_field("manual", &false)?;
        object.end()
    }
}
