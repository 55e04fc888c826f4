//! One row of an answer: a play, or what is wrong with it.

use event::ExternalId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use source::{Fields, Row, integer, text, time};

/// Longest runtime that is taken for real, in minutes: a week.
pub(crate) const MINUTES_MAX: u32 = 7 * 24 * 60;

/// What was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Episode,
    Movie,
}

/// What counts of a play: the payload of its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// What was watched.
    pub(crate) what: What,
    /// When, or when it was said to be.
    pub(crate) watched_at: Timestamp,
    /// How long it is, in minutes; none where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) minutes: Option<u32>,
}

/// One row of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Play {
    /// A play that can be read.
    Told {
        /// Its id: 64 bits, and really above 2^53.
        id: i64,
        /// What counts.
        counts: Counts,
        /// Where its runtime can be looked up, if it has none of its own.
        item: Option<String>,
    },
    /// One that cannot.
    Malformed(Box<Row>),
}

impl Play {
    /// Reads a row; what cannot be read becomes a malformed play.
    pub(crate) fn of(row: &RawValue) -> Self {
        let fields = match Fields::of(row) {
            Ok(fields) => fields,
            Err(problem) => return malformed(None, row, &problem),
        };
        let id = fields.raw("id").and_then(integer);
        read(&fields).unwrap_or_else(|problem| malformed(id, row, &problem))
    }
}

fn malformed(id: Option<i64>, row: &RawValue, problem: &str) -> Play {
    let name = id.map_or("without id".to_owned(), |id| id.to_string());
    let external_id = id.and_then(|id| ExternalId::try_new(&id.to_string()).ok());
    Play::Malformed(Box::new(Row::malformed(external_id, None, row.get(), format!("trakt: play {name}: {problem}"))))
}

/// Reads what counts, or names the first field that cannot be read.
fn read(fields: &Fields<'_>) -> Result<Play, String> {
    let id = fields.required("id", "an integer", integer)?;
    let watched_at = fields.required("watched_at", "an RFC 3339 time", time)?;
    let what = fields.required("type", "\"episode\" or \"movie\"", |raw| match text(raw)?.as_ref() {
        "episode" => Some(What::Episode),
        "movie" => Some(What::Movie),
        _ => None,
    })?;
    // The objects may be null: the play still happened.
    let part = |name| Part::of(fields, name);
    let (minutes, item) = match what {
        What::Episode => {
            let (episode, show) = (part("episode")?, part("show")?);
            let item = show.id.zip(episode.season).zip(episode.number);
            let item = item.map(|((show, season), number)| format!("shows/{show}/seasons/{season}/episodes/{number}"));
            (episode.minutes.or(show.minutes), item)
        }
        What::Movie => {
            let movie = part("movie")?;
            (movie.minutes, movie.id.map(|id| format!("movies/{id}")))
        }
    };
    let item = item.filter(|_| minutes.is_none());
    Ok(Play::Told { id, counts: Counts { what, watched_at, minutes }, item })
}

/// An episode, a show or a film, as far as runtimes go.
#[derive(Default)]
struct Part {
    id: Option<i64>,
    season: Option<i64>,
    number: Option<i64>,
    minutes: Option<u32>,
}

impl Part {
    fn of(fields: &Fields<'_>, name: &str) -> Result<Self, String> {
        let object = |raw| serde_json::from_str::<&RawValue>(raw).ok();
        let Some(raw) = fields.optional(name, "an object", object)? else { return Ok(Self::default()) };
        let fields = Fields::of(raw).map_err(|problem| format!("field {name:?} {problem}"))?;
        let within = |problem: String| format!("{problem} in {name:?}");
        let ids = fields.optional("ids", "an object", object).map_err(within)?;
        let id = ids.and_then(|ids| Fields::of(ids).ok()?.raw("trakt").and_then(integer));
        let runtime = |raw| integer(raw).and_then(|minutes| u32::try_from(minutes).ok());
        let minutes = fields.optional("runtime", "minutes, an integer", runtime).map_err(within)?;
        if minutes.is_some_and(|minutes| minutes > MINUTES_MAX) {
            return Err(format!(
                "field \"runtime\" is implausible, expected at most {MINUTES_MAX} minutes in {name:?}"
            ));
        }
        let number = |name| fields.raw(name).and_then(integer);
        let (season, number) = (number("season"), number("number"));
        Ok(Self { id, season, number, minutes: minutes.filter(|minutes| *minutes > 0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(json: &str) -> Play {
        Play::of(&RawValue::from_string(json.to_owned()).unwrap())
    }

    fn told(json: &str) -> (i64, String, Option<String>) {
        match play(json) {
            Play::Told { id, counts, item } => (id, serde_json::to_string(&counts).unwrap(), item),
            Play::Malformed(row) => panic!("{}", row.problem),
        }
    }

    #[test]
    fn an_episode_without_a_runtime_has_its_shows_and_an_id_may_be_beyond_a_double() {
        let json = r#"{"id": 9007199254740993, "watched_at": "2026-05-01T23:12:41.000Z", "action": "scrobble",
            "type": "episode", "episode": {"season": 0, "number": 3, "title": "private", "ids": {"trakt": 5}, "runtime": 0},
            "show": {"title": "private", "ids": {"trakt": 7, "slug": "x"}, "runtime": 25}}"#;
        let payload = r#"{"what":"episode","watched_at":"2026-05-01T23:12:41Z","minutes":25}"#;
        assert_eq!(told(json), (9_007_199_254_740_993, payload.to_owned(), None));
    }

    #[test]
    fn a_play_without_any_runtime_names_where_to_look_it_up() {
        let episode = r#"{"id": 1, "watched_at": "2026-05-01T23:12:41Z", "type": "episode",
            "episode": {"season": 2, "number": 3, "runtime": null}, "show": {"ids": {"trakt": 7}}}"#;
        assert_eq!(told(episode).2.as_deref(), Some("shows/7/seasons/2/episodes/3"));
        let movie =
            r#"{"id": 1, "watched_at": "2026-05-01T23:12:41Z", "type": "movie", "movie": {"ids": {"trakt": 9}}}"#;
        assert_eq!(told(movie).2.as_deref(), Some("movies/9"));
        let nothing =
            r#"{"id": 1, "watched_at": "2026-05-01T23:12:41Z", "type": "episode", "episode": null, "show": null}"#;
        assert_eq!(told(nothing), (1, r#"{"what":"episode","watched_at":"2026-05-01T23:12:41Z"}"#.to_owned(), None));
    }

    #[test]
    fn a_wrong_field_is_named_and_the_row_is_kept() {
        let cases = [
            (r#"{"id": null}"#, r#"without id: field "id" is null, expected an integer"#),
            (r#"{"id": 1, "watched_at": 5}"#, r#"1: field "watched_at" is a number, expected an RFC 3339 time"#),
            (
                r#"{"id": 1, "watched_at": "2026-05-01T23:12:41Z", "type": "song"}"#,
                r#"1: field "type" is a text, expected "episode" or "movie""#,
            ),
            (
                r#"{"id": 1, "watched_at": "2026-05-01T23:12:41Z", "type": "movie", "movie": {"runtime": "long"}}"#,
                r#"1: field "runtime" is a text, expected minutes, an integer in "movie""#,
            ),
        ];
        for (json, problem) in cases {
            let Play::Malformed(row) = play(json) else { panic!("{json} is read") };
            assert_eq!((row.problem, row.payload), (format!("trakt: play {problem}"), json.to_owned()));
        }
    }
}
