//! The questions. What is about everything is answered from the last look, what is about some people from Redis.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use event::{Partition, UserId};
use store::{letters_behind, lines_of, user::users};

use super::{
    Api, Problem,
    answer::{
        Asked, LettersAnswer, LettersQuery, PartitionsAnswer, PartitionsQuery, StatusAnswer, TransactionsAnswer,
        TransactionsQuery, transaction,
    },
};
use crate::{LetterRow, rows, watch::Seen};

/// Most dead letters that are read for one answer.
const READ_MAX: usize = 2_000;
/// Dead letters read at once.
const CHUNK: usize = 200;

type Answer<T> = Result<Json<T>, Problem>;

impl Api {
    fn seen(&self) -> Result<Arc<Seen>, Problem> {
        let seen = self.seen.borrow().clone();
        seen.ok_or_else(|| Problem::unavailable("Redis was not read lately; /readyz says why"))
    }
}

/// Who owns what, how much waits and for how long, what is paused.
///
/// As it was at most five seconds ago while Redis answers; what is counted of users may be older where there are
/// many.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    responses((status = 200, body = StatusAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn status(State(api): State<Api>) -> Answer<StatusAnswer> {
    let seen = api.seen()?;
    Ok(Json(StatusAnswer { read_at_ms: seen.at_ms, status: seen.status.clone() }))
}

/// Each partition of each stage: owner, epoch, what waits.
#[utoipa::path(
    get,
    path = "/api/v1/partitions",
    params(PartitionsQuery),
    responses((status = 200, body = PartitionsAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn partitions(State(api): State<Api>, query: Asked<PartitionsQuery>) -> Answer<PartitionsAnswer> {
    let query = query?.0;
    let (limit, skip) = (query.limit()?, query.skip.unwrap_or(0));
    let seen = api.seen()?;
    let all = seen.status.partitions.iter();
    let wanted: Vec<_> = all.filter(|row| query.stage.as_ref().is_none_or(|stage| stage == row.stage)).collect();
    let partitions: Vec<_> = wanted.iter().skip(skip).take(limit).map(|row| (*row).clone()).collect();
    let end = skip.saturating_add(partitions.len());
    let next = (end < wanted.len() && !partitions.is_empty()).then_some(end);
    Ok(Json(PartitionsAnswer { read_at_ms: seen.at_ms, partitions, next }))
}

/// Entries set aside with their cause, for a person; never what is in them.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    params(LettersQuery),
    responses((status = 200, body = LettersAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn dead_letters(State(api): State<Api>, query: Asked<LettersQuery>) -> Answer<LettersAnswer> {
    let query = query?.0;
    let limit = query.limit()?;
    let after = query.after.as_deref().map(transaction).transpose()?;
    let redis = api.pool.get().await?;
    let (mut found, mut read) = (Vec::new(), 0);
    let lives_in = query.user.as_ref().map(|user| api.partitions.of(user));
    let from = after.map(|id| id.partition);
    let wanted = |at: &Partition| from.is_none_or(|from| *at >= from) && lives_in.is_none_or(|home| *at == home);
    for partition in api.partitions.all().filter(wanted) {
        let mut behind = after.filter(|id| id.partition == partition);
        loop {
            let (letters, more) = letters_behind(&redis, &api.keys, partition, api.buckets, behind, CHUNK).await?;
            read += letters.len();
            for letter in letters.iter().filter(|letter| query.takes(letter)) {
                found.push(LetterRow::from(letter));
                if found.len() == limit {
                    return Ok(Json(LettersAnswer { dead_letters: found, next: Some(letter.transaction.to_string()) }));
                }
            }
            behind = more;
            match more {
                None => break,
                Some(last) if read >= READ_MAX => {
                    return Ok(Json(LettersAnswer { dead_letters: found, next: Some(last.to_string()) }));
                }
                Some(_) => {}
            }
        }
    }
    Ok(Json(LettersAnswer { dead_letters: found, next: None }))
}

/// What became of a user's records.
///
/// Reads the kept audit of the user's partition: dearer than the other questions.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/transactions",
    params(("id" = String, Path, description = "The user."), TransactionsQuery),
    responses((status = 200, body = TransactionsAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn transactions(
    State(api): State<Api>,
    Path(id): Path<String>,
    query: Asked<TransactionsQuery>,
) -> Answer<TransactionsAnswer> {
    let query = query?.0;
    let (limit, state) = (query.limit()?, query.state()?);
    let before = query.before.as_deref().map(transaction).transpose()?;
    let user = UserId::try_new(&id).map_err(|error| Problem::bad_request(error.to_string()))?;
    let partition = api.partitions.of(&user);
    let redis = api.pool.get().await?;
    let documents = users(&redis, &api.keys, partition, std::slice::from_ref(&user)).await?;
    if !documents.iter().any(store::user::User::exists) {
        return Err(Problem::not_found(format!("nobody is connected under the name {user}")));
    }
    let mut lines = lines_of(&redis, &api.keys, partition, &user, api.retention).await?;
    lines.retain(|line| before.is_none_or(|before| line.id < before));
    let mut transactions = rows(&lines, state);
    let older = transactions.len().saturating_sub(limit);
    transactions.drain(..older);
    let next = transactions.first().filter(|_| older > 0).map(|row| row.id.clone());
    Ok(Json(TransactionsAnswer { transactions, older, next }))
}
