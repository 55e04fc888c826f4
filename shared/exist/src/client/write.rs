//! The calls that write: one batch, one request, a fate for each item.

use secrecy::{ExposeSecret, SecretString};

use super::{
    Client,
    reply::{Reply, parse},
};
use crate::{
    Acquire, Acquired, Action, Answer, Batch, Cause, Create, Created, Delta, ExistError, Incremented, Item, Release,
    ReleaseAnswer, Value, Written, answer::Arrays,
};

impl Client {
    /// Sets the totals of up to [`BATCH_MAX`](crate::BATCH_MAX) days in one request.
    ///
    /// Safe to repeat but not to reorder: Exist keeps the last total it receives for a day. Values that
    /// it refuses are no error; the others are stored. Asks `fence` once, when the connection stands
    /// and the body is about to leave; if it says no, no server sees more than the head
    /// (`a_fenced_body_never_arrives`). What stays open are the microseconds between the fence's yes
    /// and the write to the socket. A call that is dropped half-way has an unknown outcome as well.
    ///
    /// # Errors
    /// - [`ExistError::Fenced`], [`ExistError::NotSent`]: nothing left us.
    /// - [`ExistError::RateLimited`]: this token's 300 requests an hour are spent; wait.
    /// - [`ExistError::Unauthorised`]: refresh the token, else the account must connect again.
    /// - [`ExistError::Forbidden`], [`ExistError::NotFound`], [`ExistError::Refused`]: not taken as a
    ///   whole; sending it again cannot help.
    /// - [`ExistError::Unknown`]: the totals may or may not be stored; send them again.
    ///
    /// Sources: <https://developer.exist.io/reference/writing_data/>, <https://developer.exist.io/guide/>
    pub async fn update(
        &self,
        token: &SecretString,
        batch: &Batch<Value>,
        fence: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Written, ExistError> {
        self.write(Action::Update, token, "attributes/update", batch, fence).await
    }

    /// Adds to what stands for up to [`BATCH_MAX`](crate::BATCH_MAX) days in one request.
    ///
    /// Never safe to repeat: applied twice, it counts twice. Each success tells what stands there now.
    /// The fence is that of [`Client::update`].
    ///
    /// # Errors
    /// As for [`Client::update`], but after [`ExistError::Unknown`], and for each item that is
    /// [`Unconfirmed`](crate::Fate::Unconfirmed), read the day back before anything is sent again.
    ///
    /// Source: <https://developer.exist.io/reference/writing_data/>
    pub async fn increment(
        &self,
        token: &SecretString,
        batch: &Batch<Delta>,
        fence: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Incremented, ExistError> {
        self.write(Action::Increment, token, "attributes/increment", batch, fence).await
    }

    /// Makes this application the owner of attributes, with entry by hand switched off.
    ///
    /// Takes them from whatever service had them, without asking anybody; safe to repeat. A success
    /// tells the whole attribute: check its `value_type` before writing to it.
    ///
    /// # Errors
    /// As for [`Client::update`], without the fence.
    ///
    /// Source: <https://developer.exist.io/reference/attribute_ownership/>
    pub async fn acquire(&self, token: &SecretString, batch: &Batch<Acquire>) -> Result<Acquired, ExistError> {
        self.write(Action::Acquire, token, "attributes/acquire", batch, || true).await
    }

    /// Makes custom attributes, owned by this application, with entry by hand switched off.
    ///
    /// Keep the name that the success tells; it is not computed from the label. An attribute that is
    /// there already is refused as [`Exists`](crate::ErrorCode::Exists) with its name: acquire it by that.
    ///
    /// # Errors
    /// As for [`Client::update`], without the fence. After [`ExistError::Unknown`] create again: what
    /// was made the first time is refused as existing.
    ///
    /// Source: <https://developer.exist.io/reference/creating_attributes/>
    pub async fn create(&self, token: &SecretString, batch: &Batch<Create>) -> Result<Created, ExistError> {
        self.write(Action::Create, token, "attributes/create", batch, || true).await
    }

    /// Gives attributes up; their values stay with the user. Safe to repeat.
    ///
    /// One that is refused as unauthorised or not found is not ours any more: that is as good as done.
    ///
    /// # Errors
    /// As for [`Client::update`], without the fence.
    ///
    /// Source: <https://developer.exist.io/reference/attribute_ownership/>
    pub async fn release(&self, token: &SecretString, batch: &Batch<Release>) -> Result<ReleaseAnswer, ExistError> {
        self.write(Action::Release, token, "attributes/release", batch, || true).await
    }

    async fn write<T: Item>(
        &self,
        action: Action,
        token: &SecretString,
        path: &str,
        batch: &Batch<T>,
        fence: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Answer<T>, ExistError> {
        let mut url = self.api(path);
        if matches!(action, Action::Acquire | Action::Create) {
            url.set_query(Some("success_objects=1"));
        }
        let body = serde_json::to_vec(batch.items()).expect("items are plain structs with string keys");
        let reply = self.post_json(action, token, url, body, fence).await?;
        settle(reply, batch, &[token.expose_secret()])
    }
}

/// Decides by the arrays wherever the API itself can have written them.
///
/// 401, 408 and 429 are decided before any item is looked at. Which status comes when every item fails
/// is not documented, so any other 4xx with both arrays is an answer as well.
fn settle<T: Item>(reply: Reply, batch: &Batch<T>, secrets: &[&str]) -> Result<Answer<T>, ExistError> {
    let action = reply.action;
    if matches!(reply.status.as_u16(), 400 | 402..=407 | 409..=428 | 430..=499)
        && let Ok(arrays) = serde_json::from_slice::<Arrays<'_>>(reply.bytes())
        && arrays.both()
    {
        return Ok(arrays.settle(batch, secrets));
    }
    let body = reply.success(secrets)?;
    let arrays: Arrays<'_> = parse(action, &body)?;
    if !arrays.any() {
        let cause = Cause::Unreadable("neither success nor failed".to_owned());
        return Err(ExistError::Unknown { action, cause });
    }
    Ok(arrays.settle(batch, secrets))
}
