//! The calls that read. Each gives one page; the caller asks for the next, and counts the request.

use jiff::civil::Date;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::{Client, reply::parse};
use crate::{
    Action, Attribute, AttributeValues, DayValue, Days, ExistError, PAGE_ROWS, Page, Profile, Rows, page::Wire,
};

/// Which attributes to list; all active ones by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeFilter {
    /// Only these names; all if empty. Exist was seen to ignore it, so it is applied here again, and
    /// a page may come out shorter than it was, or empty with another one following.
    pub names: Vec<String>,
    /// Also those that nobody fills, which were released.
    pub include_inactive: bool,
    /// Also those of priority 10 and above, such as goals.
    pub include_low_priority: bool,
}

impl Client {
    /// Tells whose token this is, and in which zone they are.
    ///
    /// Needs no scope, so it is also the test of a new token.
    ///
    /// # Errors
    /// - [`ExistError::Unauthorised`]: the token is not good.
    /// - Any other: nobody knows yet; ask again later.
    ///
    /// Source: <https://developer.exist.io/reference/users/>
    pub async fn profile(&self, token: &SecretString) -> Result<Profile, ExistError> {
        self.ask(Action::ReadProfile, token, self.api("accounts/profile")).await
    }

    /// Lists the user's attributes in the groups that the token may read. Pages count from 1.
    ///
    /// # Errors
    /// - [`ExistError::Unauthorised`]: the token is not good.
    /// - [`ExistError::NotFound`]: there are fewer pages.
    /// - Any other: nobody knows yet; ask again later.
    ///
    /// Source: <https://developer.exist.io/reference/attributes/>
    pub async fn attributes(
        &self,
        token: &SecretString,
        filter: &AttributeFilter,
        page: u32,
    ) -> Result<Page<Attribute>, ExistError> {
        self.list(Action::ReadAttributes, token, self.api("attributes"), filter, page).await
    }

    /// Lists the attributes that this application owns, whatever the token may read. Pages count from 1.
    ///
    /// The cheap way to ask whether a token is alive and what it still owns.
    ///
    /// # Errors
    /// As for [`Client::attributes`].
    ///
    /// Source: <https://developer.exist.io/reference/attribute_ownership/>
    pub async fn owned(
        &self,
        token: &SecretString,
        filter: &AttributeFilter,
        page: u32,
    ) -> Result<Page<Attribute>, ExistError> {
        self.list(Action::ReadOwned, token, self.api("attributes/owned"), filter, page).await
    }

    /// Reads the values of some attributes (of all, if `names` is empty) on the `days` up to `date_max`.
    ///
    /// Needs the read scope of each group; what the token may not read, or is inactive, is left out
    /// without an error. A day without a row is left out too: it is unknown, not 0. Pages count from 1.
    ///
    /// # Errors
    /// As for [`Client::attributes`].
    ///
    /// Source: <https://developer.exist.io/reference/attributes/>
    pub async fn with_values(
        &self,
        token: &SecretString,
        names: &[String],
        days: Days,
        date_max: Date,
        page: u32,
    ) -> Result<Page<AttributeValues>, ExistError> {
        let mut url = self.api("attributes/with-values");
        url.query_pairs_mut()
            .append_pair("days", &days.get().to_string())
            .append_pair("date_max", &date_max.to_string());
        ask_for_names(&mut url, names);
        ask_for_page(&mut url, page, PAGE_ROWS);
        let mut page = self.page::<AttributeValues>(Action::ReadWithValues, token, url, page).await?;
        page.results.retain(|one| names.is_empty() || names.contains(&one.attribute.name));
        Ok(page)
    }

    /// Reads one attribute's values, the newest first, from `date_max` backwards. Pages count from 1.
    ///
    /// Needs the read scope of its group. For a single day ask for [`Rows::ONE`], and look at the date
    /// of what comes: it may be an older day's.
    ///
    /// # Errors
    /// - [`ExistError::NotFound`]: the attribute is inactive or unknown, or there are fewer pages.
    /// - Others as for [`Client::attributes`].
    ///
    /// Source: <https://developer.exist.io/reference/attributes/>
    pub async fn values(
        &self,
        token: &SecretString,
        name: &str,
        date_max: Date,
        rows: Rows,
        page: u32,
    ) -> Result<Page<DayValue>, ExistError> {
        let mut url = self.api("attributes/values");
        url.query_pairs_mut().append_pair("attribute", name).append_pair("date_max", &date_max.to_string());
        ask_for_page(&mut url, page, rows.get());
        self.page(Action::ReadValues, token, url, page).await
    }

    async fn list(
        &self,
        action: Action,
        token: &SecretString,
        mut url: Url,
        filter: &AttributeFilter,
        page: u32,
    ) -> Result<Page<Attribute>, ExistError> {
        let AttributeFilter { names, include_inactive, include_low_priority } = filter;
        ask_for_names(&mut url, names);
        for (key, wanted) in [("include_inactive", include_inactive), ("include_low_priority", include_low_priority)] {
            if *wanted {
                url.query_pairs_mut().append_pair(key, "true");
            }
        }
        ask_for_page(&mut url, page, PAGE_ROWS);
        let mut page = self.page::<Attribute>(action, token, url, page).await?;
        page.results.retain(|attribute| names.is_empty() || names.contains(&attribute.name));
        Ok(page)
    }

    async fn page<T: DeserializeOwned>(
        &self,
        action: Action,
        token: &SecretString,
        url: Url,
        page: u32,
    ) -> Result<Page<T>, ExistError> {
        let wire: Wire<T> = self.ask(action, token, url).await?;
        Ok(Page::from_wire(wire, page))
    }

    async fn ask<T: DeserializeOwned>(&self, action: Action, token: &SecretString, url: Url) -> Result<T, ExistError> {
        let body = self.get(action, token, url).await?.success(&[token.expose_secret()])?;
        parse(action, &body)
    }
}

fn ask_for_names(url: &mut Url, names: &[String]) {
    if !names.is_empty() {
        url.query_pairs_mut().append_pair("attributes", &names.join(","));
    }
}

fn ask_for_page(url: &mut Url, page: u32, rows: u8) {
    url.query_pairs_mut().append_pair("limit", &rows.to_string()).append_pair("page", &page.to_string());
}
