//! A play, and how it is spelled.

use jiff::Timestamp;
use serde_json::{Value, json};

/// What was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An episode of a show.
    Episode,
    /// A film.
    Movie,
}

/// A play to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPlay {
    /// What was watched.
    pub what: What,
    /// When; the beginning of 1970 if nobody knows.
    pub watched_at: Timestamp,
    /// The episode's or film's own runtime in minutes.
    pub runtime: Option<u32>,
    /// The show's.
    pub show_runtime: Option<u32>,
    /// The answer has no show at all.
    pub show_is_null: bool,
}

/// A play as the service holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// Its id.
    pub id: i64,
    /// What was watched.
    pub what: What,
    /// When.
    pub watched_at: Timestamp,
    /// The episode's or film's own runtime in minutes.
    pub runtime: Option<u32>,
    /// The same when the play was added.
    pub first_runtime: Option<u32>,
    /// The show's.
    pub show_runtime: Option<u32>,
    /// The answer has no show at all.
    pub show_is_null: bool,
}

impl Play {
    pub(crate) fn new(id: i64, play: NewPlay) -> Play {
        let NewPlay { what, watched_at, runtime, show_runtime, show_is_null } = play;
        Play { id, what, watched_at, runtime, first_runtime: runtime, show_runtime, show_is_null }
    }

    pub(super) fn into_new(self) -> NewPlay {
        let Play { what, watched_at, runtime, show_runtime, show_is_null, .. } = self;
        NewPlay { what, watched_at, runtime, show_runtime, show_is_null }
    }

    pub(super) fn row(&self) -> Value {
        let watched_at = self.watched_at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        let mut row = json!({"id": self.id, "watched_at": watched_at, "action": "scrobble"});
        let ids = json!({"trakt": self.id % 1_000_000, "slug": "x", "imdb": "", "tmdb": null});
        match self.what {
            What::Episode => {
                row["type"] = json!("episode");
                row["episode"] =
                    json!({"season": 1, "number": 2, "title": "Ça va 📺", "ids": ids, "runtime": self.runtime});
                row["show"] = json!({"title": "Séries", "year": 2023, "ids": ids, "runtime": self.show_runtime});
                if self.show_is_null {
                    row["show"] = Value::Null;
                }
            }
            What::Movie => {
                row["type"] = json!("movie");
                row["movie"] = json!({"title": "Film", "year": 2024, "ids": ids, "runtime": self.runtime});
            }
        }
        row
    }
}
