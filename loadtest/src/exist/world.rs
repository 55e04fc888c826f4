//! Everything the simulated Exist knows, in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rust_decimal::Decimal;

use super::catalogue::{Group, Template, template_named};
use super::config::{ExistConfig, Service, UserSpec};
use super::faults::Happening;
use super::log::Logged;
use super::object::Object;
use super::value::{DailyValue, ValueType};

/// All users, tokens and the request log. One request at a time works on it, as one transaction would.
pub(super) struct World {
    pub(super) config: ExistConfig,
    pub(super) users: BTreeMap<String, User>,
    /// Live and expired access tokens; revoked and refreshed ones are gone.
    pub(super) tokens: HashMap<String, Token>,
    /// The access token that each refresh token came with.
    refreshes: HashMap<String, String>,
    /// Codes handed out and not yet exchanged.
    pub(super) codes: HashMap<String, Code>,
    pub(super) log: Vec<Logged>,
    /// Who sits at the browser that comes to `authorize`.
    pub(super) browser_user: Option<String>,
    pub(super) consents: bool,
    pub(super) rng: StdRng,
    tokens_issued: u64,
}

pub(super) struct User {
    /// The one access token of the registered client, unless revoked.
    access: Option<String>,
    pub(super) zone_name: String,
    pub(super) zone: TimeZone,
    pub(super) attributes: BTreeMap<String, Attribute>,
    /// Other connected services that can fill an attribute, by its name.
    pub(super) offers: BTreeMap<String, Vec<Service>>,
}

pub(super) struct Attribute {
    pub(super) template: Option<&'static str>,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) group: &'static Group,
    pub(super) owner: Option<Service>,
    pub(super) active: bool,
    pub(super) priority: u8,
    pub(super) manual: bool,
    pub(super) value_type: ValueType,
    pub(super) rows: BTreeMap<Date, DailyValue>,
    /// How many updates and increments of clients each day took.
    pub(super) writes: BTreeMap<Date, u64>,
    /// What each day holds by the hands of others: what stood there before, and by how much edits changed it.
    pub(super) foreign: BTreeMap<Date, Decimal>,
}

pub(super) struct Token {
    pub(super) id: u64,
    pub(super) user: String,
    pub(super) scopes: Vec<String>,
    pub(super) refresh: String,
    pub(super) expires: Timestamp,
    /// When the requests in the current window were let through.
    pub(super) window: VecDeque<Timestamp>,
}

pub(super) struct Code {
    pub(super) user: String,
    pub(super) scopes: Vec<String>,
    pub(super) redirect_uri: String,
    pub(super) expires: Timestamp,
}

/// Who a request speaks for, after its token was checked.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) user: String,
    pub(super) scopes: Vec<String>,
    pub(super) service: Service,
    pub(super) now: Timestamp,
}

impl Caller {
    /// Whether the scopes reach an attribute: by its group, or as a manual one.
    pub(super) fn may(&self, what: &str, group: &str, manual: bool) -> bool {
        let has = |name: &str| self.scopes.iter().any(|scope| *scope == format!("{name}_{what}"));
        has(group) || (manual && has("manual"))
    }
}

impl World {
    pub(super) fn new(config: ExistConfig) -> Self {
        let rng = StdRng::seed_from_u64(config.seed);
        Self {
            config,
            users: BTreeMap::new(),
            tokens: HashMap::new(),
            refreshes: HashMap::new(),
            codes: HashMap::new(),
            log: Vec::new(),
            browser_user: None,
            consents: true,
            rng,
            tokens_issued: 0,
        }
    }

    /// Adds a user, or gives one that exists a new pair of tokens in place of the old.
    pub(super) fn add_user(&mut self, spec: UserSpec, now: Timestamp) {
        let zone = TimeZone::get(&spec.timezone).expect("a user lives in an IANA time zone");
        let user = self.users.entry(spec.username.clone()).or_insert_with(|| User {
            access: None,
            zone_name: String::new(),
            zone: TimeZone::UTC,
            attributes: BTreeMap::new(),
            offers: BTreeMap::new(),
        });
        user.zone_name = spec.timezone;
        user.zone = zone;
        self.issue(spec.access_token, spec.refresh_token, spec.username, spec.scopes, now + spec.expires_in);
    }

    /// Gives a user a pair of tokens in place of the one they had.
    pub(super) fn issue(
        &mut self,
        access: String,
        refresh: String,
        username: String,
        scopes: Vec<String>,
        expires: Timestamp,
    ) {
        self.kill_tokens(&username);
        let user = self.users.get_mut(&username).expect("tokens are issued to users we have");
        user.access = Some(access.clone());
        self.tokens_issued += 1;
        self.refreshes.insert(refresh.clone(), access.clone());
        let window = VecDeque::new();
        let id = self.tokens_issued;
        let token = Token { id, user: username, scopes, refresh, expires, window };
        self.tokens.insert(access, token);
    }

    /// Forgets a user's pair of tokens.
    fn kill_tokens(&mut self, username: &str) {
        let access = self.users.get_mut(username).and_then(|user| user.access.take());
        if let Some(token) = access.and_then(|access| self.tokens.remove(&access)) {
            self.refreshes.remove(&token.refresh);
        }
    }

    /// The live pair that this refresh token belongs to.
    pub(super) fn token_refreshed_by(&self, refresh: &str) -> Option<&Token> {
        self.tokens.get(self.refreshes.get(refresh)?)
    }

    /// Forty hexadecimal digits.
    pub(super) fn secret(&mut self) -> String {
        let bytes: [u8; 20] = self.rng.random();
        hex::encode(bytes)
    }

    /// Lets something happen that no client did; the error says what does not exist.
    pub(super) fn happen(&mut self, username: &str, what: Happening) -> Result<(), String> {
        let user = self.users.get_mut(username).ok_or_else(|| format!("there is no user '{username}'"))?;
        let missing = |name: &str| format!("{username} has no attribute '{name}'");
        match what {
            Happening::OwnershipTaken { attribute, by } => {
                let found = user.attributes.get_mut(&attribute).ok_or_else(|| missing(&attribute))?;
                found.owner = Some(by);
                found.active = true;
            }
            Happening::UserEdit { attribute, date, value } => {
                let found = user.attributes.get_mut(&attribute).ok_or_else(|| missing(&attribute))?;
                found.edit(date, value);
            }
            Happening::ZoneChange(name) => {
                user.zone = TimeZone::get(&name).map_err(|error| error.to_string())?;
                user.zone_name = name;
            }
            Happening::Revoke => {
                for attribute in user.attributes.values_mut() {
                    if attribute.owner.as_ref() == Some(&self.config.service) {
                        attribute.owner = None;
                        attribute.active = false;
                    }
                }
                self.kill_tokens(username);
                self.codes.retain(|_, code| code.user != username);
            }
        }
        Ok(())
    }

    /// Gives a user a templated attribute that nobody but they themselves fill, with these days typed in.
    pub(super) fn keep_by_hand(
        &mut self,
        username: &str,
        template: &str,
        days: impl IntoIterator<Item = (Date, DailyValue)>,
    ) -> Result<(), String> {
        let owner = self.config.service.clone();
        let user = self.users.get_mut(username).ok_or_else(|| format!("there is no user '{username}'"))?;
        let template = template_named(template).ok_or_else(|| format!("there is no template '{template}'"))?;
        let attribute = user.attributes.entry(template.name.to_owned()).or_insert_with(|| {
            let mut own = Attribute::templated(&template, owner, true, Date::ZERO);
            (own.owner, own.rows) = (None, BTreeMap::new());
            own
        });
        days.into_iter().for_each(|(date, value)| attribute.edit(date, value));
        Ok(())
    }

    /// The user behind a checked token.
    pub(super) fn user(&mut self, caller: &Caller) -> &mut User {
        self.users.get_mut(&caller.user).expect("a token's user exists")
    }
}

impl User {
    /// The user's calendar day.
    pub(super) fn today(&self, now: Timestamp) -> Date {
        now.to_zoned(self.zone.clone()).date()
    }
}

impl Attribute {
    /// An attribute made from a template, owned, with a row for today that nobody wrote.
    pub(super) fn templated(template: &Template, owner: Service, manual: bool, today: Date) -> Self {
        Self {
            template: Some(template.name),
            name: template.name.to_owned(),
            label: template.label.clone(),
            group: template.group,
            owner: Some(owner),
            active: true,
            priority: template.priority,
            manual,
            value_type: template.value_type,
            rows: BTreeMap::from([(today, template.value_type.seed())]),
            writes: BTreeMap::new(),
            foreign: BTreeMap::new(),
        }
    }

    /// Lets the user type a value in.
    pub(super) fn edit(&mut self, date: Date, value: DailyValue) {
        let number = |value: &DailyValue| value.number().unwrap_or_default();
        let before = self.rows.get(&date).map(number).unwrap_or_default();
        *self.foreign.entry(date).or_default() += number(&value) - before;
        self.rows.insert(date, value);
    }

    pub(super) fn is_owned_by(&self, service: &Service) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.name == service.name)
    }

    /// The order of lists, as recorded.
    pub(super) fn place(&self) -> (u8, &str, u8, &str) {
        (self.group.priority, self.group.label, self.priority, &self.label)
    }

    /// The object of `attributes/`, `owned/`, `acquire/` and `create/`, keys in the recorded order.
    pub(super) fn object(&self, available: &[Service]) -> Object {
        Object::new()
            .with("template", self.template)
            .with("name", &self.name)
            .with("label", &self.label)
            .with("subgroup", ())
            .with("group", self.group)
            .with("service", &self.owner)
            .with("active", self.active)
            .with("priority", self.priority)
            .with("manual", self.manual)
            .with("value_type", self.value_type.code())
            .with("value_type_description", self.value_type.description())
            .with("available_services", available)
    }

    /// The object of `with-values/`, keys in the recorded order.
    pub(super) fn object_with(&self, values: &[Object]) -> Object {
        Object::new()
            .with("group", self.group)
            .with("template", self.template)
            .with("name", &self.name)
            .with("label", &self.label)
            .with("subgroup", ())
            .with("priority", self.priority)
            .with("manual", self.manual)
            .with("active", self.active)
            .with("value_type", self.value_type.code())
            .with("value_type_description", self.value_type.description())
            .with("service", &self.owner)
            .with("values", values)
    }
}

/// `{"date":…,"value":…}`.
pub(super) fn row(date: Date, value: &DailyValue) -> Object {
    Object::new().with("date", date.to_string()).with("value", value)
}
