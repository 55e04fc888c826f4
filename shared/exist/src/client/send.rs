//! One request out, one reply in.

use reqwest::{
    RequestBuilder, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Client,
    fence::{Fence, Left},
    reply::Reply,
};
use crate::{Action, ExistError};

impl Client {
    /// Asks for something; nothing can be applied by it.
    pub(super) async fn get(&self, action: Action, token: &SecretString, url: Url) -> Result<Reply, ExistError> {
        let request = authorised(self.http.get(url), action, token)?;
        match request.send().await {
            Ok(response) => Ok(Reply::read(action, response).await),
            Err(source) if source.is_connect() || source.is_builder() => {
                Err(ExistError::NotSent { action, source: source.without_url() })
            }
            Err(error) => Err(ExistError::Unknown { action, cause: error.into() }),
        }
    }

    /// Sends a JSON body, if `fence` allows it when the time comes.
    pub(super) async fn post_json(
        &self,
        action: Action,
        token: &SecretString,
        url: Url,
        body: Vec<u8>,
        fence: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Reply, ExistError> {
        let request = authorised(self.http.post(url), action, token)?;
        post(action, request.header(CONTENT_TYPE, "application/json"), body, fence).await
    }

    /// Sends a form, if `fence` allows it when the time comes.
    pub(super) async fn post_form(
        &self,
        action: Action,
        url: Url,
        form: String,
        fence: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Reply, ExistError> {
        let request = self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        post(action, request, form.into_bytes(), fence).await
    }
}

async fn post(
    action: Action,
    request: RequestBuilder,
    body: Vec<u8>,
    fence: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<Reply, ExistError> {
    // Told beforehand, since a stream would go out in chunks, whose end a server may not wait for.
    let length = body.len();
    let (fence, body) = Fence::around(body, fence);
    let sent = request.header(CONTENT_LENGTH, length).body(body).send().await;
    match (fence.close(), sent) {
        (Left::Fenced, _) => Err(ExistError::Fenced { action }),
        (Left::Perhaps | Left::Never, Ok(response)) => Ok(Reply::read(action, response).await),
        (Left::Never, Err(source)) => Err(ExistError::NotSent { action, source: source.without_url() }),
        (Left::Perhaps, Err(error)) => Err(ExistError::Unknown { action, cause: error.into() }),
    }
}

fn authorised(request: RequestBuilder, action: Action, token: &SecretString) -> Result<RequestBuilder, ExistError> {
    // What cannot stand in a header is no token that Exist gave out.
    let mut header = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| ExistError::Unauthorised { action })?;
    header.set_sensitive(true);
    Ok(request.header(AUTHORIZATION, header))
}
