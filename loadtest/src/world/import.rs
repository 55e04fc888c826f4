//! The people as `tributary connections import` reads them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::people::Person;

/// How long the Exist tokens of an import live.
#[derive(Clone, Copy, Debug)]
pub struct ExistTokens {
    /// Seconds of life.
    pub expires_in: u64,
    /// When they were made.
    pub created_at: Timestamp,
}

/// The whole import file.
pub fn import_file(people: &[Person], tokens: ExistTokens) -> Value {
    Value::Array(people.iter().map(|person| row(person, tokens)).collect())
}

fn row(person: &Person, tokens: ExistTokens) -> Value {
    let map = |source: &str| -> Map<String, Value> {
        let of_source = person.mappings.iter().filter(|mapping| mapping.source() == source);
        of_source.map(|mapping| (mapping.attribute.clone(), mapping.setting())).collect()
    };
    let mut row = json!({
        "user": person.name,
        "exist": {
            "access_token": person.exist_access_token, "refresh_token": person.exist_refresh_token,
            "expires_in": tokens.expires_in, "created_at": tokens.created_at.as_second(), "adopt": false,
        },
        "connections": [
            {
                "source": "whatpulse",
                "credentials": {"api_key": person.whatpulse_key, "user_id": person.user_id},
                "settings": {"map": map("whatpulse")},
            },
            {"source": "toggl", "credentials": {"api_token": person.toggl_token}, "settings": {"map": map("toggl")}},
            {
                "source": "trakt",
                "credentials": {
                    "access_token": person.trakt_access_token, "refresh_token": person.trakt_refresh_token,
                    "expires_in": 604_800, "created_at": tokens.created_at.as_second(),
                },
                "settings": {"map": map("trakt")},
            },
            {
                "source": "ynab",
                "credentials": {
                    "access_token": person.ynab_access_token, "refresh_token": person.ynab_refresh_token,
                    "plan_id": person.plan,
                },
                "settings": {"map": map("ynab")},
            },
            {
                "source": "github",
                "credentials": {
                    "token": person.github_token, "login": format!("{}-codes", person.name), "user_id": person.user_id,
                    "repositories": [person.repository], "webhook_secret": format!("hush-{}", person.name),
                },
                "settings": {"map": map("github")},
            },
        ],
    });
    if person.timezone_in_import {
        row["timezone"] = json!(person.timezone);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[test]
    fn a_row_names_user_tokens_connections_and_rules() {
        let world = World::scripted(1, "2026-11-21T01:00:00Z".parse().expect("a time"));
        let tokens = ExistTokens { expires_in: 31_535_999, created_at: Timestamp::UNIX_EPOCH };
        let file = import_file(&world.people, tokens);
        let first = &file[0];
        assert_eq!((&first["user"], &first["timezone"]), (&json!("moana"), &json!("Pacific/Kiritimati")));
        assert_eq!(file[1].get("timezone"), None);
        let maps = [0, 1].map(|index| &first["connections"][index]["settings"]["map"]);
        assert_eq!(maps[0]["keystrokes"], json!({"field": "keys", "template": "keystrokes", "mode": "total"}));
        assert_eq!(
            maps[1]["time_deep_work"],
            json!({"tags": ["deep"], "label": "Time deep work", "group": "productivity", "value_type": 3, "mode": "total"})
        );
        assert_eq!(maps[1]["productive_min"]["projects"], json!([150_000_000, 150_000_001]));
    }
}
