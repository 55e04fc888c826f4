//! Exist's groups and templates.
//!
//! Source: <https://developer.exist.io/reference/object_types/>. Priorities and labels that no
//! answer of Exist has shown are ours: clients must not rely on them.

use serde::Serialize;

use super::value::ValueType;

/// A group of attributes, as it stands in every attribute object.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) priority: u8,
}

const fn group(name: &'static str, label: &'static str, priority: u8) -> Group {
    Group { name, label, priority }
}

/// Every group; `twitter` has templates but no scope of its own.
pub(super) static GROUPS: [Group; 17] = [
    group("activity", "Activity", 1),
    group("productivity", "Productivity", 2),
    group("custom", "Daily tags", 3),
    group("mood", "Mood", 3),
    group("sleep", "Sleep", 3),
    group("workouts", "Workouts", 4),
    group("events", "Events", 5),
    group("finance", "Finance", 5),
    group("food", "Food and drink", 6),
    group("health", "Health and body", 6),
    group("media", "Media", 7),
    group("social", "Social", 7),
    group("twitter", "Twitter", 7),
    group("location", "Location", 8),
    group("weather", "Weather", 9),
    group("symptoms", "Symptoms", 10),
    group("medication", "Medication", 10),
];

/// The group called `name`.
pub(super) fn group_named(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

/// Whether `scope` is one that Exist knows: `<group>_read`, `<group>_write`, `manual_…`.
pub(super) fn is_scope(scope: &str) -> bool {
    let name = scope.strip_suffix("_read").or_else(|| scope.strip_suffix("_write"));
    name.is_some_and(|name| name == "manual" || (name != "twitter" && group_named(name).is_some()))
}

/// Every scope there is.
pub(super) fn all_scopes() -> Vec<String> {
    let names = GROUPS.iter().map(|group| group.name).chain(["manual"]);
    names.flat_map(|name| [format!("{name}_read"), format!("{name}_write")]).filter(|scope| is_scope(scope)).collect()
}

/// An attribute that Exist offers to every user.
pub(super) struct Template {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) group: &'static Group,
    pub(super) priority: u8,
    pub(super) value_type: ValueType,
}

/// The template called `name`.
pub(super) fn template_named(name: &str) -> Option<Template> {
    templates().find(|template| template.name == name)
}

/// Every template, by group and then in the documentation's order.
pub(super) fn templates() -> impl Iterator<Item = Template> {
    TEMPLATES.iter().flat_map(|(group, names)| {
        let group = group_named(group).expect("every template's group is listed");
        names.iter().zip(1_u8..).map(move |(&(name, code), place)| {
            let (priority, label) = match SEEN.iter().find(|seen| seen.0 == name) {
                Some(&(_, priority, label)) => (priority, label.to_owned()),
                // 10 and above would hide it from the lists.
                None => (place.min(9), in_words(name)),
            };
            let value_type = ValueType::from_code(code).expect("the table holds codes 0 to 8");
            Template { name, label, group, priority, value_type }
        })
    })
}

fn in_words(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// Priorities and labels that answers of Exist have shown.
const SEEN: [(&str, u8, &str); 19] = [
    ("steps", 1, "Steps"),
    ("steps_active_min", 2, "Active minutes"),
    ("steps_elevation", 3, "Elevation"),
    ("floors", 3, "Floors"),
    ("active_energy", 4, "Active energy burned"),
    ("mood", 1, "Mood"),
    ("energy_level", 3, "Energy level"),
    ("sleep", 1, "Time asleep"),
    ("tracks", 1, "Tracks played"),
    ("facebook_reactions", 2, "Facebook reactions"),
    ("keystrokes", 5, "Keystrokes"),
    ("productive_min", 1, "Productive time"),
    ("neutral_min", 2, "Neutral time"),
    ("distracting_min", 3, "Distracting time"),
    ("commits", 4, "Commits"),
    ("gaming_min", 5, "Time gaming"),
    ("tv_min", 6, "Watching TV"),
    ("movies_min", 7, "Watching movies"),
    ("money_spent", 1, "Money spent"),
];

type Names = &'static [(&'static str, u8)];

#[rustfmt::skip] // one group to a few lines, as the documentation has it
const TEMPLATES: [(&str, Names); 14] = [
    ("activity", &[("steps", 0), ("steps_active_min", 3), ("steps_elevation", 1), ("floors", 0),
        ("steps_distance", 1), ("stand_hours", 0), ("cycle_min", 3), ("cycle_distance", 1), ("active_energy", 1)]),
    ("workouts", &[("workouts", 0), ("workouts_min", 3), ("workouts_distance", 1)]),
    ("productivity", &[("productive_min", 3), ("neutral_min", 3), ("distracting_min", 3), ("commits", 0),
        ("tasks_completed", 0), ("words_written", 0), ("emails_sent", 0), ("emails_received", 0),
        ("pomodoros_min", 3), ("keystrokes", 0)]),
    ("food", &[("coffees", 0), ("alcoholic_drinks", 0), ("energy", 1), ("water", 0), ("carbohydrates", 1),
        ("fat", 1), ("fibre", 1), ("protein", 1), ("sugar", 1), ("sodium", 1), ("cholesterol", 1), ("caffeine", 1)]),
    ("finance", &[("money_spent", 1)]),
    ("mood", &[("mood", 8), ("mood_note", 2), ("energy_level", 8), ("stress_level", 8)]),
    ("sleep", &[("sleep", 3), ("time_in_bed", 3), ("sleep_light", 3), ("sleep_deep", 3), ("sleep_rem", 3),
        ("sleep_start", 6), ("sleep_end", 4), ("sleep_awakenings", 0)]),
    ("events", &[("events", 0), ("events_duration", 3)]),
    ("health", &[("weight", 1), ("body_fat", 5), ("lean_mass", 1), ("heartrate", 0), ("heartrate_max", 0),
        ("heartrate_variability", 0), ("heartrate_resting", 0), ("meditation_min", 3), ("menstrual_flow", 0),
        ("sexual_activity", 0)]),
    ("location", &[("checkins", 0), ("location", 2)]),
    ("media", &[("tracks", 0), ("articles_read", 0), ("pages_read", 0), ("mobile_screen_min", 3),
        ("gaming_min", 3), ("tv_min", 3), ("movies_min", 3)]),
    ("social", &[("facebook_posts", 0), ("facebook_comments", 0), ("facebook_reactions", 0), ("mastodon_posts", 0),
        ("mastodon_replies", 0), ("mastodon_boosts", 0), ("mastodon_favourites", 0)]),
    ("twitter", &[("tweets", 0), ("twitter_mentions", 0), ("twitter_username", 2)]),
    ("weather", &[("weather_temp_max", 1), ("weather_temp_min", 1), ("weather_precipitation", 1),
        ("weather_cloud_cover", 5), ("weather_wind_speed", 1), ("weather_summary", 2), ("weather_icon", 2),
        ("day_length", 3)]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_has_a_group_a_type_and_a_place_in_the_plain_lists() {
        assert_eq!(templates().count(), 86);
        assert!(templates().all(|template| template.priority < 10 && !template.label.is_empty()));
    }

    #[test]
    fn a_plus_does_not_part_scopes_and_tweets_have_none() {
        assert!(is_scope("media_write") && is_scope("manual_read"));
        assert!(!is_scope("media_write+finance_write") && !is_scope("twitter_read") && !is_scope("read"));
        assert_eq!(all_scopes().len(), 34);
    }
}
