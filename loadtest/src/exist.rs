//! A simulated Exist API v2 with switchable faults, which afterwards tells what it holds and what it saw.
//!
//! Written from Exist's documentation and recorded answers, never from our client: a misreading there
//! must show here. Where Exist is silent the choice is named in [`ExistConfig`] or at the place it is made.
//! Averages, correlations, insights, simple tokens and the consent page's buttons are left out.

mod call; // a request read, an answer before it is written
mod catalogue; // Exist's groups and templates
mod clock; // what the simulator calls now
mod config; // choices, users
mod faults; // what can go wrong
mod gate; // token, rate, method
mod log; // what was asked, and questions about it
mod oauth; // authorisation, exchange, refresh
mod object; // JSON objects that keep order and spelling
mod ownership; // acquire, release, create
mod read; // profile, templates, attributes, values
mod rules; // which requests meet which faults
mod serve; // one request from arrival to answer
mod value; // the nine value types
mod wire; // connections that can be cut
mod world; // users, attributes, tokens
mod write; // update, increment

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use jiff::civil::Date;
use rust_decimal::Decimal;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

pub use call::Endpoint;
pub use clock::SimClock;
pub use config::{CODE_LIFE, ExistConfig, RateLimit, Service, TOKEN_LIFE, UserSpec};
pub use faults::{Fault, Happening, ItemPick};
pub use log::{Logged, RequestLog};
pub use read::{DAYS_MAX, PAGE_DEFAULT, PAGE_MAX};
pub use rules::{Faults, Rule};
pub use value::{DailyValue, INTEGER_MAX, NOTE_CHARS_MAX, ValueType};

use serve::Shared;
use wire::{Cutter, Wires};
use world::World;

/// A running Exist on 127.0.0.1. Clones are handles to the same one; it stops when the last is dropped.
#[derive(Clone)]
pub struct ExistSim {
    shared: Arc<Shared>,
    address: SocketAddr,
    _stops_on_drop: Arc<DropGuard>,
}

/// How an attribute stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeState {
    /// The name of the service that owns it.
    pub owner: Option<String>,
    /// Fixed when it was made.
    pub value_type: ValueType,
    /// Whether the apps offer manual entry.
    pub manual: bool,
    /// Whether it shows anywhere; its values are kept either way.
    pub active: bool,
    /// Whether it came from a template.
    pub templated: bool,
    /// What people see.
    pub label: String,
    /// The name of its group.
    pub group: &'static str,
}

impl ExistSim {
    /// Starts listening; requests are served until the last handle is dropped.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(config: ExistConfig) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            faults: Faults::seeded(config.seed),
            world: Mutex::new(World::new(config)),
            clock: SimClock::default(),
            changes: watch::Sender::new(0),
            stop: stop.clone(),
        });
        let router = Router::new().fallback(serve::handle).with_state(shared.clone());
        let wires = Wires { listener, stop: stop.clone() };
        let service = router.into_make_service_with_connect_info::<Cutter>();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(wires, service) => {
                    if let Err(error) = served {
                        warn!(%error, "the simulated Exist stopped serving: {error}");
                    }
                }
                () = stopped.cancelled() => {}
            }
        });
        Ok(Self { shared, address, _stops_on_drop: Arc::new(stop.drop_guard()) })
    }

    /// The API's base, `http://127.0.0.1:<port>/api/2`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/api/2", self.address)
    }

    /// The base of authorisation and tokens, `http://127.0.0.1:<port>/oauth2`.
    #[must_use]
    pub fn oauth_url(&self) -> String {
        format!("http://{}/oauth2", self.address)
    }

    /// The clock everything here goes by.
    #[must_use]
    pub fn clock(&self) -> &SimClock {
        &self.shared.clock
    }

    /// The faults switched on.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Adds a user; one that exists gets these tokens in place of the old and keeps everything else.
    ///
    /// # Panics
    /// When the time zone is no IANA name.
    pub fn add_user(&self, spec: UserSpec) {
        self.shared.lock().add_user(spec, self.shared.clock.now());
    }

    /// Connects another service that can fill one of the user's attributes once it is released.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn offer(&self, username: &str, attribute: &str, by: Service) {
        let mut world = self.shared.lock();
        let user = world.users.get_mut(username).expect("offers are made to users we have");
        user.offers.entry(attribute.to_owned()).or_default().push(by);
    }

    /// Gives a user a templated attribute that they have kept by hand so far, with what they typed in.
    ///
    /// # Panics
    /// When the user or the template does not exist.
    pub fn keep_by_hand(&self, username: &str, template: &str, days: impl IntoIterator<Item = (Date, DailyValue)>) {
        if let Err(reason) = self.shared.lock().keep_by_hand(username, template, days) {
            panic!("{reason}");
        }
    }

    /// Lets something happen that is none of the client's doing.
    ///
    /// # Panics
    /// When the user, the attribute or the zone does not exist.
    pub fn happen(&self, username: &str, what: Happening) {
        if let Err(reason) = self.shared.lock().happen(username, what) {
            panic!("{reason}");
        }
    }

    /// Who sits at the browser that comes to `authorize`, and whether they consent.
    pub fn at_the_browser(&self, username: &str, consents: bool) {
        let mut world = self.shared.lock();
        world.browser_user = Some(username.to_owned());
        world.consents = consents;
    }

    /// Returns once `holds` does; asked again after every step of every request.
    pub async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !holds(self) {
            changes.changed().await.expect("we hold the sender");
        }
    }

    /// What every (attribute, day) with a row holds, seeds and user edits and inactive attributes included.
    /// Nothing for an unknown user.
    #[must_use]
    pub fn values(&self, username: &str) -> BTreeMap<(String, Date), DailyValue> {
        self.per_day(username, |attribute| &attribute.rows)
    }

    /// What others put on each (attribute, day): what stood there before any client wrote, and by how much each
    /// edit of the user's changed what it found. A day that nobody else touched is absent.
    #[must_use]
    pub fn foreign(&self, username: &str) -> BTreeMap<(String, Date), Decimal> {
        self.per_day(username, |attribute| &attribute.foreign)
    }

    /// How many updates and increments took effect on each (attribute, day); a day nobody wrote is absent.
    #[must_use]
    pub fn writes(&self, username: &str) -> BTreeMap<(String, Date), u64> {
        self.per_day(username, |attribute| &attribute.writes)
    }

    /// The user's attributes by name, inactive ones included. Nothing for an unknown user.
    #[must_use]
    pub fn attributes(&self, username: &str) -> BTreeMap<String, AttributeState> {
        let world = self.shared.lock();
        let attributes = world.users.get(username).into_iter().flat_map(|user| user.attributes.values());
        attributes
            .map(|attribute| {
                let state = AttributeState {
                    owner: attribute.owner.as_ref().map(|owner| owner.name.clone()),
                    value_type: attribute.value_type,
                    manual: attribute.manual,
                    active: attribute.active,
                    templated: attribute.template.is_some(),
                    label: attribute.label.clone(),
                    group: attribute.group.name,
                };
                (attribute.name.clone(), state)
            })
            .collect()
    }

    /// Every request so far.
    #[must_use]
    pub fn log(&self) -> RequestLog {
        RequestLog(self.shared.lock().log.clone())
    }

    fn per_day<T: Clone>(
        &self,
        username: &str,
        days: impl Fn(&world::Attribute) -> &BTreeMap<Date, T>,
    ) -> BTreeMap<(String, Date), T> {
        let world = self.shared.lock();
        let attributes = world.users.get(username).into_iter().flat_map(|user| user.attributes.values());
        attributes
            .flat_map(|attribute| {
                days(attribute).iter().map(|(day, held)| ((attribute.name.clone(), *day), held.clone()))
            })
            .collect()
    }
}
