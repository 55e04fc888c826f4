//! Who is connected, where they live, and one whose flood others are to live with.

use std::collections::BTreeMap;

use event::{AttributeName, SourceName, Unit, UserId};
use store::{
    operate,
    user::{About, Acquire, Attribute, Connected, ExistConnection, Mode, SourceConnection, document, field},
};

use crate::stand::Stand;

pub(crate) const ATTRIBUTES: [&str; 3] = ["productive_min", "neutral_min", "distracting_min"];

/// The one with the flood; nobody but the part of that name tells records of theirs.
pub(crate) fn hot() -> UserId {
    UserId::try_new("hot").expect("letters")
}

/// Where records come from: nothing of it is asked, but its entries are read and counted.
pub(crate) fn source_name() -> SourceName {
    SourceName::try_new("toggl").expect("lower-case letters")
}

/// What feeds an attribute, as a project of the source.
pub(crate) fn project(attribute: usize) -> usize {
    attribute % ATTRIBUTES.len() + 1
}

fn attribute(index: usize) -> AttributeName {
    AttributeName::try_new(ATTRIBUTES[index]).expect("letters and underscores")
}

/// Connects people, to the simulated Exist as well.
pub(crate) async fn connect(stand: &Stand, people: usize) -> anyhow::Result<Vec<UserId>> {
    let mut users = Vec::with_capacity(people);
    for index in 0..people {
        users.push(UserId::try_new(&format!("user{index:05}"))?);
    }
    for user in users.iter().chain([&hot()]) {
        let exist = ExistConnection {
            connected: Connected::On,
            access_token: stand.seal(&stand.exist_token(user.as_str()), &format!("{user}/exist")),
            refresh_token: None,
            expires_at: None,
            adopt: store::user::Adopt::Unset,
            last_chance: false,
        };
        let attributes: BTreeMap<AttributeName, Attribute> = (0..ATTRIBUTES.len())
            .map(|index| {
                let acquire = Acquire::Template(ATTRIBUTES[index].to_owned());
                (attribute(index), Attribute { acquire, mode: Mode::Total, unit: Unit::Seconds })
            })
            .collect();
        let rule = |index| (attribute(index), serde_json::json!({"projects": [project(index)]}));
        let rules = (0..ATTRIBUTES.len()).map(rule).collect();
        let connection =
            SourceConnection { connected: Connected::On, credentials: String::new(), rules, last_chance: false };
        let documents = [
            (field::ABOUT.to_owned(), document(&About { timezone: Some("Europe/Vienna".into()) })),
            (field::EXIST.to_owned(), document(&exist)),
            (field::ATTRIBUTES.to_owned(), document(&attributes)),
            (field::source(&source_name()), document(&connection)),
        ];
        let partition = stand.partitions.of(user);
        operate::connect(&stand.redis, &stand.keys, partition, user, &documents, &[], &[]).await?;
    }
    Ok(users)
}
