//! A server that answers as told and remembers what it was asked.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use exist::{AppCredentials, Client, http_client};
use secrecy::SecretString;
use tokio::{net::TcpListener, task::JoinHandle};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// One answer to give.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap(), headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
}

type Shared = Arc<Mutex<Script>>;

/// The server; it stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    script: Shared,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server that gives these answers, one a request, whatever it is asked.
    pub(crate) async fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Shared::default();
        script.lock().unwrap().replies.extend(replies);
        let app = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, script, task }
    }

    /// Starts a server with one answer.
    pub(crate) async fn once(status: u16, body: impl Into<String>) -> Self {
        Self::answering([Reply::new(status, body)]).await
    }

    pub(crate) fn client(&self) -> Client {
        client_of(self.address)
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }

    /// The only request.
    pub(crate) fn only(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(script): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut script = script.lock().unwrap();
    script.asked.push(Asked { method, uri, headers, body: String::from_utf8(body.to_vec()).unwrap() });
    let Some(reply) = script.replies.pop_front() else { return StatusCode::IM_A_TEAPOT.into_response() };
    let mut response = (reply.status, reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A client of whatever listens there, with application credentials.
pub(crate) fn client_of(address: SocketAddr) -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    let base = |path: &str| format!("http://{address}{path}").parse().unwrap();
    let app = AppCredentials { client_id: "app".to_owned(), client_secret: "app-s3cret".into() };
    Client::new(http_client(CALL).unwrap(), base("/api/2/"), base("/oauth2"), Some(app))
}

/// How long a call may take here; only the tests of silence wait for it.
pub(crate) const CALL: Duration = Duration::from_secs(2);

pub(crate) fn token() -> SecretString {
    "t0ken-of-alice".into()
}

/// An error with everything it was caused by.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
