//! A request as the simulator sees it, and an answer before it is written out.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::object::Object;

/// What can be asked of Exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// `GET /api/2/accounts/profile/`
    Profile,
    /// `GET /api/2/attributes/templates/`
    Templates,
    /// `GET /api/2/attributes/`
    Attributes,
    /// `GET /api/2/attributes/owned/`
    Owned,
    /// `GET /api/2/attributes/with-values/`
    WithValues,
    /// `GET /api/2/attributes/values/`
    Values,
    /// `POST /api/2/attributes/acquire/`
    Acquire,
    /// `POST /api/2/attributes/release/`
    Release,
    /// `POST /api/2/attributes/create/`
    Create,
    /// `POST /api/2/attributes/update/`
    Update,
    /// `POST /api/2/attributes/increment/`
    Increment,
    /// `GET /oauth2/authorize`
    Authorize,
    /// `POST /oauth2/access_token`
    AccessToken,
}

impl Endpoint {
    const PATHS: [(&'static str, Self); 13] = [
        ("/api/2/accounts/profile/", Self::Profile),
        ("/api/2/attributes/templates/", Self::Templates),
        ("/api/2/attributes/", Self::Attributes),
        ("/api/2/attributes/owned/", Self::Owned),
        ("/api/2/attributes/with-values/", Self::WithValues),
        ("/api/2/attributes/values/", Self::Values),
        ("/api/2/attributes/acquire/", Self::Acquire),
        ("/api/2/attributes/release/", Self::Release),
        ("/api/2/attributes/create/", Self::Create),
        ("/api/2/attributes/update/", Self::Update),
        ("/api/2/attributes/increment/", Self::Increment),
        ("/oauth2/authorize", Self::Authorize),
        ("/oauth2/access_token", Self::AccessToken),
    ];

    /// The endpoint at this path, its slash included.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        Self::PATHS.iter().find(|(known, _)| *known == path).map(|(_, endpoint)| *endpoint)
    }

    /// Whether it takes an array of items and changes something.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Acquire | Self::Release | Self::Create | Self::Update | Self::Increment)
    }

    /// Whether it is part of OAuth2 and takes no bearer token.
    #[must_use]
    pub fn is_oauth(self) -> bool {
        matches!(self, Self::Authorize | Self::AccessToken)
    }

    pub(super) fn is_post(self) -> bool {
        self.writes() || self == Self::AccessToken
    }
}

/// Decoded pairs of a query or a form.
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    pub(super) fn read(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The pair's value; an empty one counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(k, _)| k == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// `true` and `1` are yes, `false` and `0` no, everything else nothing.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    pub(super) fn list(&self, key: &str) -> Option<Vec<&str>> {
        Some(self.get(key)?.split(',').map(str::trim).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter()
    }
}

/// A request, read.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Pairs,
    pub(super) host: String,
    /// The whole `Authorization` header.
    pub(super) authorization: Option<String>,
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn read(method: Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            method,
            path: uri.path().to_owned(),
            query: Pairs::read(uri.query().unwrap_or_default().as_bytes()),
            host: text(header::HOST).unwrap_or("exist.io").to_owned(),
            authorization: text(header::AUTHORIZATION).map(str::to_owned),
            content_type: text(header::CONTENT_TYPE).unwrap_or_default().to_owned(),
            body,
        }
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.authorization.as_deref()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    pub(super) fn is_json(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/json")
    }

    /// The items of a write, whatever else is wrong with it; empty if there are none to be read.
    pub(super) fn items(&self) -> Vec<Object> {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// An answer that faults can still change.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Empty,
    Text(&'static str),
    Html(String),
    Object(Object),
    Page(Page),
    Written(Written),
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    pub(super) count: usize,
    pub(super) next: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) results: Vec<Object>,
}

/// What became of the items of a write.
#[derive(Debug, Default, Serialize)]
pub(super) struct Written {
    pub(super) success: Vec<Object>,
    pub(super) failed: Vec<Object>,
}

impl Answer {
    pub(super) fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub(super) fn object(object: Object) -> Self {
        Self::new(200, Body::Object(object))
    }

    /// Django REST framework's error layout.
    pub(super) fn detail(status: u16, text: &str) -> Self {
        Self::new(status, Body::Object(Object::new().with("detail", text)))
    }

    /// A page of nginx's: what stands in front of Exist speaks HTML.
    pub(super) fn html(status: u16) -> Self {
        let code = StatusCode::from_u16(status).expect("faults and routes use real status codes");
        let title = format!("{status} {}", code.canonical_reason().unwrap_or_default());
        let page = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n<hr><center>nginx/1.14.0 (Ubuntu)</center>\r\n</body>\r\n</html>\r\n"
        );
        Self::new(status, Body::Html(page))
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Body::Empty => ().into_response(),
            Body::Text(text) => text.into_response(),
            Body::Html(page) => ([(header::CONTENT_TYPE, "text/html")], page).into_response(),
            Body::Object(object) => json(&object),
            Body::Page(page) => json(&page),
            Body::Written(written) => json(&written),
        };
        *response.status_mut() = StatusCode::from_u16(self.status).expect("faults and routes use real status codes");
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.insert(name, value.parse().expect("our header values are ASCII"));
        }
        headers.insert(header::SERVER, header::HeaderValue::from_static("nginx/1.14.0 (Ubuntu)"));
        response
    }
}

fn json(body: &impl Serialize) -> Response {
    let text = serde_json::to_string(body).expect("our own answers serialise");
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
