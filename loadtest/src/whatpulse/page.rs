//! One page of a v1 list: which rows, and the links around it.

use axum::{
    Json,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use url::form_urlencoded;

/// The most rows of one page.
pub(crate) const PER_PAGE_MAX: usize = 100;

const PER_PAGE_DEFAULT: usize = 15;

/// Which rows of a list were asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) number: usize,
    pub(crate) size: usize,
}

impl Page {
    /// Reads `page` and `per_page`.
    ///
    /// # Errors
    /// The 422 answer, when one of them is no number or out of bounds.
    pub(crate) fn read(page: Option<&str>, per_page: Option<&str>) -> Result<Page, Box<Response>> {
        let size = match per_page.map(str::parse::<usize>) {
            None => PER_PAGE_DEFAULT,
            Some(Ok(size @ 1..=PER_PAGE_MAX)) => size,
            Some(Ok(0)) => return Err(invalid("per_page", "The per page field must be at least 1.")),
            Some(Ok(_)) => return Err(invalid("per_page", "The per page field must not be greater than 100.")),
            Some(Err(_)) => return Err(invalid("per_page", "The per page field must be an integer.")),
        };
        let number = match page.map(str::parse::<usize>) {
            None => 1,
            Some(Ok(number)) if number >= 1 => number,
            Some(_) => return Err(invalid("page", "The page field must be at least 1.")),
        };
        Ok(Page { number, size })
    }

    /// The `pagination` and `links` of this page, and the rows on it.
    pub(crate) fn cut(self, rows: &[Value], headers: &HeaderMap, uri: &Uri) -> (Vec<Value>, Value, Value) {
        let last = rows.len().div_ceil(self.size).max(1);
        let from = (self.number - 1).saturating_mul(self.size);
        let page: Vec<Value> = rows.iter().skip(from).take(self.size).cloned().collect();
        let to = from.saturating_add(page.len());
        let some = !page.is_empty();
        let pagination = json!({
            "current_page": self.number, "per_page": self.size, "total": rows.len(), "last_page": last,
            "from": some.then_some(from.saturating_add(1)), "to": some.then_some(to),
        });
        let link = |number: usize| address(headers, uri, number);
        let links = json!({
            "first": link(1), "last": link(last),
            "prev": (self.number > 1).then(|| link(self.number - 1)),
            "next": (self.number < last).then(|| link(self.number + 1)),
        });
        (page, pagination, links)
    }
}

/// A 422 in the service's shape.
pub(crate) fn invalid(field: &str, text: &str) -> Box<Response> {
    let body = json!({"message": text, "errors": {field: [text]}});
    Box::new((StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response())
}

/// The absolute address of another page of the same list, on the host that was asked.
fn address(headers: &HeaderMap, uri: &Uri, number: usize) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let asked = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(asked.filter(|(key, _)| key != "page"))
        .append_pair("page", &number.to_string())
        .finish();
    format!("http://{host}{}?{query}", uri.path())
}
