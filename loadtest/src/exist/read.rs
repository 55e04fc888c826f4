//! The reading endpoints: profile, templates, attributes, values.

use jiff::civil::Date;

use super::call::{Answer, Body, Call, Page, Pairs};
use super::catalogue;
use super::object::Object;
use super::value::DailyValue;
use super::world::{Attribute, Caller, World, row};
use super::write::strict_date;

/// Objects on a page when nothing else is asked.
pub const PAGE_DEFAULT: usize = 20;
/// The most objects on a page; more is cut to this.
pub const PAGE_MAX: usize = 100;
/// The most days of values that `with-values/` gives; more is cut to this.
pub const DAYS_MAX: i32 = 31;

impl World {
    pub(super) fn profile(&mut self, caller: &Caller) -> Answer {
        let user = self.user(caller);
        let local = caller.now.to_zoned(user.zone.clone());
        let mut first_name = caller.user.clone();
        if let Some(initial) = first_name.get_mut(..1) {
            initial.make_ascii_uppercase();
        }
        let mut object = Object::new()
            .with("username", &caller.user)
            .with("first_name", first_name)
            .with("last_name", "Example")
            .with("avatar", "https://exist.io/media/avatars/x.png")
            .with("timezone", &user.zone_name)
            .with("local_time", local.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string());
        for kind in ["distance", "weight", "energy", "liquid", "temperature"] {
            object.put(&format!("imperial_{kind}"), false);
        }
        for (key, value) in [("trial", false), ("delinquent", false), ("weekly_email", true), ("yearly_email", true)] {
            object.put(key, value);
        }
        Answer::object(object)
    }

    pub(super) fn templates(&mut self, call: &Call) -> Answer {
        let groups = call.query.list("groups");
        let low = call.query.flag("include_low_priority").unwrap_or(false);
        let mut found: Vec<_> = catalogue::templates()
            .filter(|template| groups.as_ref().is_none_or(|groups| groups.contains(&template.group.name)))
            .filter(|template| low || template.priority < 10)
            .collect();
        found.sort_by_key(|template| (template.group.priority, template.group.label, template.priority));
        let object = |template: &catalogue::Template| {
            Object::new()
                .with("name", template.name)
                .with("label", &template.label)
                .with("group", template.group)
                .with("priority", template.priority)
                .with("value_type", template.value_type.code())
                .with("value_type_description", template.value_type.description())
        };
        page(call, found.iter().map(object).collect())
    }

    pub(super) fn attributes(&mut self, caller: &Caller, call: &Call) -> Answer {
        let owned_only = call.query.flag("owned").unwrap_or(false);
        let inactive = call.query.flag("include_inactive").unwrap_or(false);
        let listed = |attribute: &Attribute| {
            caller.may("read", attribute.group.name, attribute.manual)
                && (inactive || attribute.active)
                && (!owned_only || attribute.is_owned_by(&caller.service))
        };
        self.list(caller, call, listed)
    }

    pub(super) fn owned(&mut self, caller: &Caller, call: &Call) -> Answer {
        self.list(caller, call, |attribute| attribute.active && attribute.is_owned_by(&caller.service))
    }

    fn list(&mut self, caller: &Caller, call: &Call, listed: impl Fn(&Attribute) -> bool) -> Answer {
        let names = call.query.list("attributes").filter(|_| self.config.name_filter);
        let low = call.query.flag("include_low_priority").unwrap_or(false);
        let no_tags = call.query.flag("exclude_custom").unwrap_or(false);
        let user = self.user(caller);
        let mut found: Vec<&Attribute> = user
            .attributes
            .values()
            .filter(|attribute| listed(attribute) && in_groups_and_manual(attribute, &call.query))
            .filter(|attribute| low || attribute.priority < 10)
            .filter(|attribute| !no_tags || attribute.group.name != "custom")
            .filter(|attribute| names.as_ref().is_none_or(|names| names.contains(&attribute.name.as_str())))
            .collect();
        found.sort_by(|a, b| a.place().cmp(&b.place()));
        let offers = &user.offers;
        let object = |attribute: &&Attribute| attribute.object(offers.get(&attribute.name).map_or(&[], Vec::as_slice));
        page(call, found.iter().map(object).collect())
    }

    pub(super) fn with_values(&mut self, caller: &Caller, call: &Call) -> Answer {
        let every_day = self.config.every_day;
        let user = self.user(caller);
        let today = user.today(caller.now);
        let Ok(newest) = newest(&call.query, today) else {
            return Answer::detail(400, "date_max must be a date like 2026-03-28.");
        };
        let days = call.query.get("days").and_then(|days| days.parse().ok()).unwrap_or(1);
        let days = days.clamp(1, DAYS_MAX);
        let names = call.query.list("attributes");
        let templates = call.query.list("templates");
        let mut found: Vec<&Attribute> = user
            .attributes
            .values()
            .filter(|attribute| attribute.active)
            .filter(|attribute| caller.may("read", attribute.group.name, attribute.manual))
            .filter(|attribute| in_groups_and_manual(attribute, &call.query))
            .filter(|attribute| names.as_ref().is_none_or(|names| names.contains(&attribute.name.as_str())))
            .filter(|attribute| {
                templates
                    .as_ref()
                    .is_none_or(|templates| attribute.template.is_some_and(|template| templates.contains(&template)))
            })
            .collect();
        found.sort_by(|a, b| a.place().cmp(&b.place()));
        let oldest = newest.saturating_sub(jiff::Span::new().days(days - 1));
        let object = |attribute: &&Attribute| attribute.object_with(&rows(attribute, oldest, newest, every_day));
        page(call, found.iter().map(object).collect())
    }

    pub(super) fn values(&mut self, caller: &Caller, call: &Call) -> Answer {
        let every_day = self.config.every_day;
        let user = self.user(caller);
        let today = user.today(caller.now);
        let Some(name) = call.query.get("attribute") else {
            return Answer::detail(400, "The parameter 'attribute' is required.");
        };
        let Some(attribute) = user.attributes.get(name).filter(|attribute| attribute.active) else {
            return Answer::detail(404, "Not found.");
        };
        if !caller.may("read", attribute.group.name, attribute.manual) {
            // Outside the read scopes is no error: there is just nothing.
            return page(call, Vec::new());
        }
        // Without date_max everything is listed: a user can have a row for tomorrow.
        let newest = match (newest(&call.query, Date::MAX), every_day) {
            (Err(()), _) => return Answer::detail(400, "date_max must be a date like 2026-03-28."),
            (Ok(Date::MAX), true) => today,
            (Ok(date), _) => date,
        };
        let oldest = attribute.rows.keys().next().copied().unwrap_or(newest);
        page(call, rows(attribute, oldest, newest, every_day))
    }
}

fn in_groups_and_manual(attribute: &Attribute, query: &Pairs) -> bool {
    query.list("groups").is_none_or(|groups| groups.contains(&attribute.group.name))
        && query.flag("manual").is_none_or(|manual| manual == attribute.manual)
}

fn newest(query: &Pairs, default: Date) -> Result<Date, ()> {
    query.get("date_max").map_or(Ok(default), |text| strict_date(text).ok_or(()))
}

/// The attribute's days from the newest down; those without a row are left out unless every day is asked for.
fn rows(attribute: &Attribute, oldest: Date, newest: Date, every_day: bool) -> Vec<Object> {
    if oldest > newest {
        return Vec::new();
    }
    if !every_day {
        let stored = attribute.rows.range(oldest..=newest).rev();
        return stored.map(|(date, value)| row(*date, value)).collect();
    }
    let back = |date: &Date| date.yesterday().ok();
    std::iter::successors(Some(newest), back)
        .take_while(|date| *date >= oldest)
        .map(|date| row(date, attribute.rows.get(&date).unwrap_or(&DailyValue::Null)))
        .collect()
}

/// Cuts a list into the page asked for; its links lead to the host that was asked.
fn page(call: &Call, all: Vec<Object>) -> Answer {
    let number = |key: &str| call.query.get(key).map(str::parse::<usize>);
    let limit = match number("limit") {
        Some(Ok(limit)) if limit > 0 => limit.min(PAGE_MAX),
        _ => PAGE_DEFAULT,
    };
    let wanted = match number("page") {
        None => 1,
        Some(Ok(page)) => page,
        Some(Err(_)) => 0,
    };
    let count = all.len();
    let last = count.div_ceil(limit).max(1);
    if !(1..=last).contains(&wanted) {
        return Answer::detail(404, "Invalid page.");
    }
    let results = all.into_iter().skip((wanted - 1) * limit).take(limit).collect();
    let page = Page {
        count,
        next: (wanted < last).then(|| link(call, wanted + 1)),
        previous: (wanted > 1).then(|| link(call, wanted - 1)),
        results,
    };
    Answer::new(200, Body::Page(page))
}

/// The same question for another page, parameters in alphabetical order; page 1 goes without its number.
fn link(call: &Call, page: usize) -> String {
    let mut pairs: Vec<_> = call.query.iter().filter(|(key, _)| key != "page").cloned().collect();
    if page > 1 {
        pairs.push(("page".to_owned(), page.to_string()));
    }
    pairs.sort();
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("http://{}{}{mark}{query}", call.host, call.path)
}
