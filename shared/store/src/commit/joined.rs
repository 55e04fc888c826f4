//! Changes of one key that become one command: what a script costs is words and commands.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Most changes in one command: a script cannot unpack more than some thousand words at once.
const CHANGES_MAX: usize = 1_000;

/// Changes of one key, until another kind of change, or a command that may look at the key, comes behind them.
pub(super) enum Joined {
    /// Fields of a hash, each with its last value.
    Sets(BTreeMap<String, Vec<u8>>),
    /// What is added to fields of a hash.
    Adds(BTreeMap<String, i64>),
    /// Entries of a stream, in their order.
    Entries(Vec<Vec<u8>>),
    /// What is pushed to the end of a list, in its order.
    Pushes(Vec<Vec<u8>>),
    /// Members of a zset that become due alike.
    Due { mode: &'static str, delay: Duration, members: BTreeSet<String> },
}

/// Keys with changes that may still be joined, in the order of their names.
#[derive(Default)]
pub(super) struct JoinedByKey(BTreeMap<String, Joined>);

impl JoinedByKey {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many commands these come to.
    pub(super) fn commands(&self) -> usize {
        let commands = |joined: &Joined| match joined {
            Joined::Adds(fields) => fields.len(),
            _ => 1,
        };
        self.0.values().map(commands).sum()
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Joined> {
        self.0.remove(key)
    }

    pub(super) fn take_first(&mut self) -> Option<(String, Joined)> {
        self.0.pop_first()
    }

    /// Joins a change with those of its key, or gives back what must be done before it.
    pub(super) fn join(&mut self, key: &str, change: Change<'_>) -> Option<Joined> {
        let Some(joined) = self.0.get_mut(key) else {
            self.0.insert(key.to_owned(), change.alone());
            return None;
        };
        if joined.add(&change) { None } else { Some(std::mem::replace(joined, change.alone())) }
    }
}

/// One change of a key.
pub(super) enum Change<'a> {
    Set { field: &'a str, value: &'a [u8] },
    Add { field: &'a str, amount: i64 },
    Append { payload: &'a [u8] },
    Push { payload: &'a [u8] },
    Due { mode: &'static str, delay: Duration, member: &'a str },
}

impl Change<'_> {
    fn alone(self) -> Joined {
        match self {
            Self::Set { field, value } => Joined::Sets([(field.to_owned(), value.to_owned())].into()),
            Self::Add { field, amount } => Joined::Adds([(field.to_owned(), amount)].into()),
            Self::Append { payload } => Joined::Entries(vec![payload.to_owned()]),
            Self::Push { payload } => Joined::Pushes(vec![payload.to_owned()]),
            Self::Due { mode, delay, member } => Joined::Due { mode, delay, members: [member.to_owned()].into() },
        }
    }
}

impl Joined {
    /// Takes a change in; `false` if it is of another kind, or there are too many.
    fn add(&mut self, change: &Change<'_>) -> bool {
        match (self, change) {
            (Self::Sets(fields), Change::Set { field, value }) if fields.len() < CHANGES_MAX => {
                fields.insert((*field).to_owned(), (*value).to_owned());
                true
            }
            (Self::Adds(fields), Change::Add { field, amount }) => match fields.get_mut(*field) {
                None => fields.insert((*field).to_owned(), *amount).is_none(),
                // A sum that leaves 64 bits is Redis' to refuse.
                Some(sum) => sum.checked_add(*amount).map(|added| *sum = added).is_some(),
            },
            (Self::Entries(entries), Change::Append { payload }) if entries.len() < CHANGES_MAX => {
                entries.push((*payload).to_owned());
                true
            }
            (Self::Pushes(pushes), Change::Push { payload }) if pushes.len() < CHANGES_MAX => {
                pushes.push((*payload).to_owned());
                true
            }
            (Self::Due { mode, delay, members }, Change::Due { mode: other_mode, delay: other_delay, member })
                if mode == other_mode && delay == other_delay && members.len() < CHANGES_MAX =>
            {
                members.insert((*member).to_owned());
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<'a>(field: &'a str, value: &'a [u8]) -> Change<'a> {
        Change::Set { field, value }
    }

    #[test]
    fn changes_of_one_kind_and_key_are_one_command() {
        let mut joined = JoinedByKey::default();
        assert!(joined.join("a", set("x", b"1")).is_none());
        assert!(joined.join("a", set("y", b"2")).is_none());
        assert!(joined.join("b", set("x", b"3")).is_none());
        assert!(joined.join("a", set("x", b"4")).is_none(), "the last value of a field counts");
        assert_eq!(joined.commands(), 2);
        let Some(Joined::Sets(fields)) = joined.take("a") else { panic!("fields were set") };
        assert_eq!(fields, [("x".to_owned(), b"4".to_vec()), ("y".to_owned(), b"2".to_vec())].into());
    }

    #[test]
    fn a_change_of_another_kind_comes_behind_what_is_joined() {
        let mut joined = JoinedByKey::default();
        assert!(joined.join("a", set("x", b"1")).is_none());
        let before = joined.join("a", Change::Add { field: "x", amount: 2 });
        assert!(matches!(before, Some(Joined::Sets(_))), "the value is set before it is added to");
        assert!(joined.join("a", Change::Add { field: "x", amount: 3 }).is_none());
        assert!(matches!(joined.take("a"), Some(Joined::Adds(fields)) if fields["x"] == 5));
    }

    #[test]
    fn a_sum_beyond_64_bits_is_left_to_redis() {
        let mut joined = JoinedByKey::default();
        assert!(joined.join("a", Change::Add { field: "x", amount: i64::MAX }).is_none());
        let before = joined.join("a", Change::Add { field: "x", amount: 1 });
        assert!(matches!(before, Some(Joined::Adds(fields)) if fields["x"] == i64::MAX));
    }

    #[test]
    fn members_that_become_due_at_other_times_are_commands_of_their_own() {
        let due = |seconds, member| Change::Due { mode: "LT", delay: Duration::from_secs(seconds), member };
        let mut joined = JoinedByKey::default();
        assert!(joined.join("due", due(1, "ada")).is_none());
        assert!(joined.join("due", due(1, "bob")).is_none());
        assert!(matches!(joined.join("due", due(2, "ada")), Some(Joined::Due { members, .. }) if members.len() == 2));
    }
}
