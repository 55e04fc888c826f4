//! Who is connected to what.

use std::collections::BTreeMap;

use serde::Serialize;
use store::{
    keys_of, operate,
    user::{AttributeState, Connected, User, names, users},
};

use super::{Operator, confirm, print_json, print_table, say, time};
use crate::import;

/// A user, without anything secret.
#[derive(Serialize)]
struct Shown {
    user: String,
    timezone: Option<String>,
    exist: Option<State>,
    attributes: BTreeMap<String, String>,
    sources: BTreeMap<String, Connection>,
}

#[derive(Serialize)]
struct State {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Connection {
    #[serde(flatten)]
    state: State,
    last_ok_at_ms: u64,
    failures: u32,
    problem: String,
    rows: u64,
    back_filling: bool,
}

impl State {
    fn of(connected: &Connected) -> Self {
        match connected {
            Connected::On => Self { state: "on", reason: None },
            Connected::Off { reason, .. } => Self { state: "off", reason: Some(reason.clone()) },
        }
    }
}

impl Shown {
    fn of(name: &str, user: &User) -> Self {
        let attribute = |state: Option<&AttributeState>| match state {
            None => "not acquired yet".to_owned(),
            Some(AttributeState::Owned { .. }) => "owned".to_owned(),
            Some(AttributeState::ToAcquire { .. } | AttributeState::ToCreate) => "being acquired".to_owned(),
            Some(AttributeState::Refused { detail }) => format!("refused: {detail}"),
        };
        let connections = user.sources.iter().map(|(source, connection)| {
            let polled = user.polled.get(source).cloned().unwrap_or_default();
            let connection = Connection {
                state: State::of(&connection.connected),
                last_ok_at_ms: polled.ok_at_ms,
                failures: polled.failures,
                problem: polled.problem,
                rows: polled.rows,
                back_filling: polled.back_filling,
            };
            (source.to_string(), connection)
        });
        Self {
            user: name.to_owned(),
            timezone: user.zone_name().map(str::to_owned),
            exist: user.exist.as_ref().map(|exist| State::of(&exist.connected)),
            attributes: user
                .attributes
                .keys()
                .map(|name| (name.to_string(), attribute(user.attribute_states.get(name))))
                .collect(),
            sources: connections.collect(),
        }
    }
}

/// Imports a file.
pub(crate) async fn import(operator: &Operator, file: &str) -> anyhow::Result<()> {
    let text = import::read(file)?;
    let Operator { redis, keys, settings, sources, .. } = operator;
    let imported = import::import(redis, keys, settings, sources, file, &text).await?;
    say(&format!("imported {} users with {} connections", imported.users, imported.connections))
}

/// Lists everybody.
pub(crate) async fn list(operator: &Operator, json: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for partition in operator.partitions.all() {
        let names = names(&operator.redis, &operator.keys, partition).await?;
        let documents = users(&operator.redis, &operator.keys, partition, &names).await?;
        all.extend(names.iter().zip(&documents).map(|(name, user)| Shown::of(name.as_str(), user)));
    }
    all.sort_by(|a, b| a.user.cmp(&b.user));
    if json {
        return print_json(&serde_json::json!({ "connections": all }));
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|shown| {
            let sources: Vec<String> =
                shown.sources.iter().map(|(name, connection)| format!("{name} {}", connection.state.state)).collect();
            vec![
                shown.user.clone(),
                shown.timezone.clone().unwrap_or_else(|| "not known yet".to_owned()),
                shown.exist.as_ref().map_or("-", |exist| exist.state).to_owned(),
                sources.join(", "),
            ]
        })
        .collect();
    print_table(&["user", "zone", "exist", "sources"], &rows)
}

/// Shows one user.
pub(crate) async fn show(operator: &Operator, name: &str, json: bool) -> anyhow::Result<()> {
    let (user, _, documents) = operator.user(name).await?;
    let shown = Shown::of(user.as_str(), &documents);
    if json {
        return print_json(&shown);
    }
    say(&format!("{} · {}", shown.user, shown.timezone.as_deref().unwrap_or("zone not known yet")))?;
    let told = |state: &State| match &state.reason {
        Some(reason) => format!("{}: {reason}", state.state),
        None => state.state.to_owned(),
    };
    let exist = shown.exist.as_ref().map_or_else(|| "not connected".to_owned(), told);
    let mut rows = vec![vec!["exist".to_owned(), exist, "-".to_owned(), String::new()]];
    for (source, connection) in &shown.sources {
        let progress = if connection.back_filling { "back-filling, " } else { "" };
        let detail = format!("{progress}{} rows; {}", connection.rows, connection.problem);
        rows.push(vec![source.clone(), told(&connection.state), time(connection.last_ok_at_ms), detail]);
    }
    print_table(&["peer", "state", "last read", "detail"], &rows)?;
    let attributes: Vec<Vec<String>> =
        shown.attributes.iter().map(|(name, state)| vec![name.clone(), state.clone()]).collect();
    say("")?;
    print_table(&["attribute", "in Exist"], &attributes)
}

/// Erases a user at once.
pub(crate) async fn remove(operator: &Operator, name: &str, yes: bool) -> anyhow::Result<()> {
    let (user, partition, documents) = operator.user(name).await?;
    confirm(
        &format!("This erases {user}: tokens, records, totals and whatever waits. What stands in Exist stays."),
        yes,
    )?;
    let sources: Vec<_> = documents.sources.keys().cloned().collect();
    let erase = keys_of(&operator.redis, &operator.keys, partition, &user).await?;
    operate::disconnect(&operator.redis, &operator.keys, partition, &user, &sources, &erase).await?;
    say(&format!("removed {user}"))
}

/// Makes a user's polls due now.
pub(crate) async fn sync(operator: &Operator, name: &str, source: Option<&str>) -> anyhow::Result<()> {
    let (user, partition, documents) = operator.user(name).await?;
    let sources: Vec<_> = documents
        .sources
        .keys()
        .filter(|known| source.is_none_or(|wanted| known.as_str() == wanted))
        .cloned()
        .collect();
    anyhow::ensure!(!sources.is_empty(), "{user} has no such connection");
    operate::sync_now(&operator.redis, &operator.keys, partition, &user, &sources).await?;
    say(&format!(
        "{} of {user} will be read now",
        sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    ))
}
