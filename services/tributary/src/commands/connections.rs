//! Who is connected to what.

use std::collections::BTreeMap;

use event::{Partition, SourceName, UserId};
use ledger::Buckets;
use serde::Serialize;
use settings::Settings;
use store::{
    keys_of, letters, operate,
    pause::{Pause, Scope},
    take,
    user::{Adopt, AttributeState, Connected, User, names, users},
};

use super::{Operator, confirm, pause, print_json, print_table, say, time};
use crate::{
    cli::{Consent, Output},
    import,
    sources::sources,
};

/// A user, without anything secret.
#[derive(Serialize)]
struct Shown {
    user: String,
    timezone: Option<String>,
    exist: Option<State>,
    attributes: BTreeMap<String, String>,
    sources: BTreeMap<String, Connection>,
    /// What lets the user, or something of the user's, wait.
    paused: Vec<console::Paused>,
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
    recount: Option<&'static str>,
}

/// Where a recount stands, in words; `None` if there is none.
fn recount(user: &User, source: &SourceName) -> Option<&'static str> {
    let half_told = user.recounted.get(source).is_some_and(|recounted| recounted.under_way);
    if user.recounts_asked.contains_key(source) {
        Some("asked for")
    } else if user.recounting.contains_key(source) || half_told {
        Some("under way")
    } else {
        None
    }
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
    fn of(name: &UserId, partition: Partition, user: &User) -> Self {
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
                recount: recount(user, source),
            };
            (source.to_string(), connection)
        });
        let concerns = |(scope, _): &(Scope, Pause)| match scope {
            Scope::Source(source) => user.sources.contains_key(source),
            _ => true,
        };
        let paused = user.pauses.wide.list(partition).into_iter().filter(concerns).chain(user.pauses.list(name));
        Self {
            user: name.to_string(),
            timezone: user.zone_name().map(str::to_owned),
            exist: user.exist.as_ref().map(|exist| State::of(&exist.connected)),
            attributes: user
                .attributes
                .keys()
                .map(|name| (name.to_string(), attribute(user.attribute_states.get(name))))
                .collect(),
            sources: connections.collect(),
            paused: paused.map(console::Paused::from).collect(),
        }
    }
}

/// Imports a file. It is checked before anything is connected to.
pub(crate) async fn import(settings: Settings, file: &str, adopt: Option<Adopt>) -> anyhow::Result<()> {
    let text = import::read(file)?;
    let sources = sources(&settings)?;
    let mut checked = import::check(&settings, &sources, file, &text)?;
    if let Some(adopt) = adopt {
        checked.adopt(adopt);
    }
    let Operator { redis, keys, partitions, .. } = Operator::to_change(settings).await?;
    let imported = import::import(&redis, &keys, partitions, &sources, &checked).await?;
    imported.remarks.iter().for_each(|remark| eprintln!("{remark}"));
    say(&format!("imported {} users with {} connections", imported.users, imported.connections))
}

/// Imports a file in such a way that nothing is written to Exist before an operator has decided about what stands
/// there. Returns who it names.
pub(crate) async fn import_to_ask(operator: &Operator, file: &str) -> anyhow::Result<Vec<UserId>> {
    let text = import::read(file)?;
    let sources = sources(&operator.settings)?;
    let mut checked = import::check(&operator.settings, &sources, file, &text)?;
    checked.adopt(Adopt::Ask);
    import::import(&operator.redis, &operator.keys, operator.partitions, &sources, &checked).await?;
    Ok(checked.users())
}

/// Lists everybody.
pub(crate) async fn list(operator: &Operator, output: Output) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for partition in operator.partitions.all() {
        let names = names(&operator.redis, &operator.keys, partition).await?;
        let documents = users(&operator.redis, &operator.keys, partition, &names).await?;
        all.extend(names.iter().zip(&documents).map(|(name, user)| Shown::of(name, partition, user)));
    }
    all.sort_by(|a, b| a.user.cmp(&b.user));
    if output.json {
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
pub(crate) async fn show(operator: &Operator, user: &UserId, output: Output) -> anyhow::Result<()> {
    let (partition, documents) = operator.user(user).await?;
    let shown = Shown::of(user, partition, &documents);
    if output.json {
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
        let recount = connection.recount.map(|stands| format!("recount {stands}, ")).unwrap_or_default();
        let detail = format!("{progress}{recount}{} rows; {}", connection.rows, connection.problem);
        rows.push(vec![source.clone(), told(&connection.state), time(connection.last_ok_at_ms), detail]);
    }
    print_table(&["peer", "state", "last read", "detail"], &rows)?;
    let attributes: Vec<Vec<String>> =
        shown.attributes.iter().map(|(name, state)| vec![name.clone(), state.clone()]).collect();
    say("")?;
    print_table(&["attribute", "in Exist"], &attributes)?;
    if !shown.paused.is_empty() {
        say("")?;
    }
    shown.paused.iter().try_for_each(|paused| say(&pause::line(paused)))
}

/// Erases a user at once. What the audit says of them goes when its hour is over the retention time.
pub(crate) async fn remove(operator: &Operator, user: &UserId, consent: Consent) -> anyhow::Result<()> {
    let (partition, documents) = operator.user(user).await?;
    confirm(
        &format!("This erases {user}: tokens, records, totals and whatever waits. What stands in Exist stays."),
        consent,
    )?;
    let Operator { redis, keys, settings, .. } = operator;
    let sources: Vec<SourceName> = sources(settings)?.keys().cloned().collect();
    let buckets = Buckets::new(settings.retention);
    let erase = keys_of(redis, keys, partition, user, buckets).await?;
    for (name, topics) in &documents.topics {
        store::intake::listen_no_more(redis, keys, name, user, topics).await?;
    }
    operate::disconnect(redis, keys, partition, user, &sources, &erase).await?;
    for letter in letters(redis, keys, partition, buckets).await? {
        if letter.user == user.as_str() {
            take(redis, keys, buckets, &letter).await?;
        }
    }
    say(&format!("removed {user}"))
}

/// Makes a user's polls due now.
pub(crate) async fn sync(operator: &Operator, user: &UserId, source: Option<&SourceName>) -> anyhow::Result<()> {
    let (partition, documents) = operator.user(user).await?;
    let mut due: Vec<SourceName> = Vec::new();
    for (name, connection) in &documents.sources {
        match (source.is_none_or(|wanted| wanted == name), connection.connected.is_on()) {
            (true, true) => due.push(name.clone()),
            (true, false) => {
                eprintln!("the connection of {user} to {name} is off: import it with credentials that work")
            }
            (false, _) => {}
        }
    }
    let wanted = source.map_or("any source", SourceName::as_str);
    anyhow::ensure!(!due.is_empty(), "{user} has no working connection to {wanted}");
    for name in &due {
        if let Some(pause) = documents.pauses.everything().or_else(|| documents.pauses.source(name)) {
            eprintln!("{name} of {user} is paused, and is read when it is resumed: {}", pause.reason);
        }
    }
    operate::sync_now(&operator.redis, &operator.keys, partition, user, &due).await?;
    let names: Vec<&str> = due.iter().map(SourceName::as_str).collect();
    say(&format!("{} of {user} will be read now", names.join(" and ")))
}
