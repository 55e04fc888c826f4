//! Letting something wait, and letting it go on.

use anyhow::ensure;
use console::Paused;
use event::{AttributeName, Partition, PartitionCount, SourceName, UserId};
use settings::Settings;
use store::{
    operate,
    pause::{self, Changed, Pause, Scope},
    user::{names, users},
};

use super::{AskedWrongly, Operator, say, time};
use crate::sources::sources;

/// The peer that is no source.
const EXIST: &str = "exist";
/// Longest reason, in bytes: it is read with every user's documents.
const REASON_MAX: usize = 500;

/// A pause in one line.
pub(crate) fn line(paused: &Paused) -> String {
    let Paused { scope, reason, since_ms, by } = paused;
    format!("paused: {scope} since {} by {by}: {reason}", time(*since_ms))
}

/// What is meant by the words of a command line.
///
/// # Errors
/// [`AskedWrongly`]: no such scope, source or partition, or a name that cannot be one.
pub(crate) fn scope(words: &[String], settings: &Settings) -> anyhow::Result<Scope> {
    let wrong = |said: String| AskedWrongly(said);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let user = |name: &str| UserId::try_new(name).map_err(|error| wrong(error.to_string()));
    Ok(match words[..] {
        ["all"] => Scope::All,
        ["source", name] => Scope::Source(known_source(settings, name, false)?),
        ["partition", number] => Scope::Partition(known_partition(settings, number)?),
        ["user", name] => Scope::User(user(name)?),
        ["connection", name, peer] => Scope::Connection(user(name)?, known_source(settings, peer, true)?),
        ["attribute", name, attribute] => {
            let attribute = AttributeName::try_new(attribute).map_err(|error| wrong(error.to_string()))?;
            Scope::Attribute(user(name)?, attribute)
        }
        _ => {
            let said = "a scope is one of: all, source NAME, partition N, user USER, connection USER SOURCE, \
                        attribute USER ATTRIBUTE";
            return Err(wrong(said.to_owned()).into());
        }
    })
}

fn known_source(settings: &Settings, name: &str, or_exist: bool) -> anyhow::Result<SourceName> {
    let known = sources(settings)?;
    let mut names: Vec<&str> = known.keys().map(SourceName::as_str).collect();
    names.extend(or_exist.then_some(EXIST));
    let found = SourceName::try_new(name).ok().filter(|_| names.contains(&name));
    Ok(found.ok_or_else(|| AskedWrongly(format!("there is no source {name:?}, only {}", names.join(", "))))?)
}

fn known_partition(settings: &Settings, number: &str) -> anyhow::Result<Partition> {
    let count = PartitionCount::try_new(settings.partitions)?;
    let found = number.parse().ok().and_then(|number| count.get_partition(number).ok());
    let wrong = || AskedWrongly(format!("there is no partition {number:?}, only 0 to {}", settings.partitions - 1));
    Ok(found.ok_or_else(wrong)?)
}

/// Pauses.
pub(crate) async fn pause(operator: &Operator, scope: &Scope, reason: &str, by: Option<String>) -> anyhow::Result<()> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > REASON_MAX {
        return Err(AskedWrongly(format!("a reason has 1 to {REASON_MAX} bytes")).into());
    }
    known(operator, scope).await?;
    let by = by.or_else(|| std::env::var("USER").ok()).filter(|by| !by.trim().is_empty());
    let pause = Pause {
        reason: reason.to_owned(),
        by: by.unwrap_or_else(|| "somebody".to_owned()),
        since_ms: operate::now_ms(&operator.redis).await?,
    };
    let changed = change(operator, scope, Some(&pause)).await?;
    ensure!(changed == Changed::Done, "nothing was done: {scope} was removed meanwhile");
    say(&format!("paused {scope}"))
}

/// Resumes.
pub(crate) async fn resume(operator: &Operator, scope: &Scope) -> anyhow::Result<()> {
    if let Some(user) = scope.user() {
        operator.user(user).await?;
    }
    let changed = change(operator, scope, None).await?;
    ensure!(changed == Changed::Done, "{scope} is not paused; `tributary status` lists what is");
    match scope {
        Scope::Connection(user, source) => release(operator, operator.partitions.of(user), user, source).await?,
        Scope::Source(source) => {
            for partition in operator.partitions.all() {
                let names = names(&operator.redis, &operator.keys, partition).await?;
                for user in pause::holding(&operator.redis, &operator.keys, partition, &names, source).await? {
                    release(operator, partition, &user, source).await?;
                }
            }
        }
        _ => {}
    }
    still(operator, scope).await?;
    say(&format!("resumed {scope}"))
}

/// Changes a scope in every partition that it concerns.
async fn change(operator: &Operator, scope: &Scope, to: Option<&Pause>) -> anyhow::Result<Changed> {
    let partitions: Vec<Partition> = match scope {
        Scope::All | Scope::Source(_) => operator.partitions.all().collect(),
        Scope::Partition(partition) => vec![*partition],
        Scope::User(user) | Scope::Connection(user, _) | Scope::Attribute(user, _) => {
            vec![operator.partitions.of(user)]
        }
    };
    let changes =
        partitions.into_iter().map(|partition| pause::change(&operator.redis, &operator.keys, partition, scope, to));
    let changed = futures::future::try_join_all(changes).await?;
    // Half of a change that went wrong is completed by doing it again.
    let done = changed.iter().copied().find(|changed| *changed == Changed::Done);
    Ok(done.or(changed.first().copied()).unwrap_or(Changed::NotPaused))
}

/// What waited for a connection goes back, unless it has another reason to wait.
async fn release(operator: &Operator, partition: Partition, user: &UserId, source: &SourceName) -> anyhow::Result<()> {
    let found = users(&operator.redis, &operator.keys, partition, std::slice::from_ref(user)).await?;
    let may_go_on = found.first().is_some_and(|documents| {
        let is_on = documents.sources.get(source).is_some_and(|connection| connection.connected.is_on());
        is_on && documents.pauses.source(source).is_none()
    });
    if may_go_on {
        pause::release(&operator.redis, &operator.keys, partition, user, source).await?;
    }
    Ok(())
}

/// Makes sure that there is what is to be paused.
async fn known(operator: &Operator, scope: &Scope) -> anyhow::Result<()> {
    let Some(user) = scope.user() else { return Ok(()) };
    let (_, documents) = operator.user(user).await?;
    match scope {
        Scope::Connection(_, peer) => ensure!(
            documents.sources.contains_key(peer) || (peer.as_str() == EXIST && documents.exist.is_some()),
            "{user} has no connection to {peer}"
        ),
        Scope::Attribute(_, attribute) => ensure!(
            documents.attributes.contains_key(attribute),
            "no connection of {user} feeds {attribute}; `tributary connections show {user}` lists what is fed"
        ),
        _ => {}
    }
    Ok(())
}

/// Says what still pauses those who were resumed.
async fn still(operator: &Operator, scope: &Scope) -> anyhow::Result<()> {
    let (partition, own) = match (scope, scope.user()) {
        (Scope::Partition(partition), _) => (*partition, Vec::new()),
        (_, Some(user)) => {
            let (partition, documents) = operator.user(user).await?;
            (partition, documents.pauses.list(user))
        }
        _ => return Ok(()),
    };
    let wide = pause::wide(&operator.redis, &operator.keys, partition).await?;
    for (scope, pause) in wide.list(partition).into_iter().chain(own) {
        eprintln!("still {}", line(&Paused::from((scope, pause))));
    }
    Ok(())
}
