//! What a write is made of.

mod rules; // how each kind is spelled, bounded, and told apart in the answer

use jiff::civil::Date;
use serde::Serialize;

use crate::{Exact, Number, ValueType};

/// Something a [`Batch`](crate::Batch) can hold. Implemented here only.
pub trait Item: rules::Rules {}
impl<T: rules::Rules> Item for T {}

/// One day's total: what `update` sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Value {
    /// The attribute's name, never its label.
    pub name: String,
    /// The user's local day.
    pub date: Date,
    /// The whole total; a whole number is at most [`WHOLE_MAX`](crate::WHOLE_MAX).
    pub value: Number,
}

/// What is added to one day's total: what `increment` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// The attribute's name, never its label.
    pub name: String,
    /// The user's local day.
    pub date: Date,
    /// What to add; above 0, and a whole number is at most [`WHOLE_MAX`](crate::WHOLE_MAX).
    pub value: Number,
}

/// An attribute to own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquire {
    /// The attribute of this template, made if the user lacks it. The right form for templated
    /// data: a custom attribute may carry the same name with another type.
    Template(String),
    /// Whatever the user has under this name, of any type; refused if there is nothing.
    Name(String),
}

/// A custom attribute to make. It cannot be deleted again, by anyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// What the user reads; Exist makes the name from it. ASCII under 50 characters is safe.
    pub label: String,
    /// A group's name, such as `productivity`. The group `custom` takes [`ValueType::Boolean`] only.
    pub group: String,
    /// Decided once and for all.
    pub value_type: ValueType,
}

/// An attribute to give up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// The attribute's name.
    pub name: String,
}

/// What Exist says of a value it stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// What stands there now: the echoed value of an `update`, the `current` of an `increment`.
    /// Nothing if the answer did not say, or not as a number.
    pub now: Option<Exact>,
}

/// What Exist says of an attribute we gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The service that fills it from now on; nothing if none does, and it became inactive.
    pub service: Option<String>,
}
