#![doc = include_str!("../README.md")]

mod answer; // the fate of each item, matched by what it names
mod attribute; // attributes as Exist describes them
mod batch; // 1 to 35 items for one write, no two for the same thing
mod client; // the calls, one request each
mod error; // what went wrong, and what may have been applied
mod exact; // what Exist answers: exact decimals, and when the two are the same
mod excerpt; // the little of an answer that may be repeated
mod http; // the HTTP client we expect
mod item; // what a write is made of: totals, deltas, attributes
mod number; // what we send: exact, in ones or hundredths
mod page; // one page of a list
mod profile; // who the token belongs to
mod reading; // daily values as Exist tells them
mod retry_after;
mod tokens; // OAuth: the way to a token and on to the next // how long a 429 asks us to wait

pub use answer::{Acquired, Answer, Created, ErrorCode, Fate, Incremented, Refusal, ReleaseAnswer, Settled, Written};
pub use attribute::{Attribute, Group, Service, ValueType};
pub use batch::{BATCH_MAX, Batch, BatchError, WHOLE_MAX};
pub use client::{AppCredentials, AttributeFilter, Client, RESPONSE_MAX};
pub use error::{Action, Cause, ExistError};
pub use exact::{Exact, ExactError, same_value};
pub use excerpt::MESSAGE_MAX;
pub use http::{CONNECT_WAIT_MAX, http_client};
pub use item::{Acquire, Create, Delta, Item, Release, Released, Stored, Value};
pub use number::Number;
pub use page::{PAGE_ROWS, Page};
pub use profile::Profile;
pub use reading::{AttributeValues, DayValue, Days, Reading, Rows};
pub use retry_after::RETRY_AFTER_MAX;
pub use tokens::Tokens;
