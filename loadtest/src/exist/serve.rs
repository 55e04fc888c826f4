//! One request from its arrival to its answer: gate, faults, the work itself, the log.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rand::RngExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::call::{Answer, Body, Call, Endpoint};
use super::clock::SimClock;
use super::faults::Fault;
use super::gate::{invalid_token, no_such_page, throttled, whole_seconds};
use super::log::{Logged, repeated};
use super::object::Object;
use super::rules::{Faults, Plan, Seen};
use super::wire::Cutter;
use super::world::{Caller, World};

/// What all connections work on.
pub(super) struct Shared {
    pub(super) world: Mutex<World>,
    pub(super) faults: Faults,
    pub(super) clock: SimClock,
    /// Moves whenever a request arrives, takes effect or ends.
    pub(super) changes: watch::Sender<u64>,
    pub(super) stop: CancellationToken,
}

/// A request that is in the log and past the gate, or not.
struct Arrival {
    /// Its place in the log.
    entry: usize,
    gate: Result<Admitted, Answer>,
}

struct Admitted {
    endpoint: Endpoint,
    /// Nobody on the OAuth2 endpoints.
    caller: Option<Caller>,
    plan: Plan,
}

pub(super) async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call::read(method, &uri, &headers, body);
    // In a task of its own: a client that hangs up must not undo what Exist would go on doing.
    match tokio::spawn(answer(shared, call)).await {
        Ok(Some(answer)) => answer.into_response(),
        Ok(None) => {
            cutter.cut();
            // Never seen: the connection fails before the first byte of it is written.
            ().into_response()
        }
        Err(_) => Answer::html(500).into_response(),
    }
}

/// The answer, or `None` if the connection is to be cut.
async fn answer(shared: Arc<Shared>, call: Call) -> Option<Answer> {
    let Arrival { entry, gate } = shared.arrive(&call);
    let Admitted { endpoint, caller, plan } = match gate {
        Ok(admitted) => admitted,
        Err(answer) => {
            shared.finish(entry, Some(answer.status));
            return Some(answer);
        }
    };
    if let Some(wait) = plan.0.iter().find_map(Fault::wait_before) {
        shared.pause(wait).await;
    }
    let answer = match plan.0.iter().find_map(instead) {
        Some(answer) => answer,
        None => {
            let answer = shared.lock().perform(endpoint, caller.as_ref(), &call, &plan, shared.clock.now());
            match plan.0.iter().find_map(ending) {
                Some(ending) => ending,
                None => Some(answer),
            }
        }
    };
    shared.changes.send_modify(|n| *n += 1);
    if let Some(wait) = plan.0.iter().find_map(Fault::wait_after) {
        shared.pause(wait).await;
    }
    shared.finish(entry, answer.as_ref().map(|answer| answer.status));
    answer
}

/// What is answered in place of doing anything; the inner `None` cuts the connection.
fn instead(fault: &Fault) -> Option<Option<Answer>> {
    match fault {
        Fault::ResetBeforeCommit => Some(None),
        Fault::Status(status) => Some(Some(Answer::html(*status))),
        Fault::Unauthorised => Some(Some(invalid_token())),
        Fault::TooManyRequests { retry_after, detail } => {
            Some(Some(throttled(retry_after.map(whole_seconds), *detail)))
        }
        _ => None,
    }
}

/// What is answered in place of the truth once everything is done; the inner `None` cuts the connection.
fn ending(fault: &Fault) -> Option<Option<Answer>> {
    match fault {
        Fault::CommitThenReset => Some(None),
        Fault::CommitThenStatus(status) => Some(Some(Answer::html(*status))),
        _ => None,
    }
}

impl Fault {
    fn wait_before(&self) -> Option<Duration> {
        if let Self::CommitLate(wait) = self { Some(*wait) } else { None }
    }

    fn wait_after(&self) -> Option<Duration> {
        if let Self::AnswerLate(wait) = self { Some(*wait) } else { None }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panics while holding the world")
    }

    /// Logs a request, lets in what may come in, and picks the faults it meets.
    fn arrive(&self, call: &Call) -> Arrival {
        let mut world = self.lock();
        let now = self.clock.now();
        let endpoint = Endpoint::at(&call.path);
        let token = call.bearer().and_then(|bearer| world.tokens.get(bearer));
        let (mut user, token) = token.map(|token| (token.user.clone(), token.id)).unzip();
        if endpoint == Some(Endpoint::AccessToken) {
            user = world.token_owner(call);
        }
        let items = if endpoint.is_some_and(Endpoint::writes) { call.items() } else { Vec::new() };
        let key = |item: &Object| Some((item.get("name")?, item.get("date")?));
        world.log.push(Logged {
            at: now,
            user: user.clone(),
            token,
            method: call.method.to_string(),
            path: call.path.clone(),
            endpoint,
            items: items.len(),
            repeated: repeated(items.iter().filter_map(key)),
            status: None,
            retry_after: None,
            room_at: None,
            faults: Vec::new(),
        });
        let entry = world.log.len() - 1;
        let Some(endpoint) = endpoint else {
            return Arrival { entry, gate: Err(no_such_page(call)) };
        };
        let seen = Seen { user: user.as_deref(), endpoint, items: &items };
        let before = self.faults.before(&seen);
        world.log[entry].faults = before.names();
        for fault in before.0 {
            world.meet(user.as_deref(), &fault);
        }
        let gate = world.gate(entry, endpoint, call, now).map(|caller| {
            let plan = self.faults.during(&seen);
            let logged = &mut world.log[entry];
            logged.faults.extend(plan.names());
            logged.retry_after = plan.0.iter().find_map(|fault| match fault {
                Fault::TooManyRequests { retry_after, .. } => {
                    retry_after.map(|wait| Duration::from_secs(whole_seconds(wait)))
                }
                _ => None,
            });
            Admitted { endpoint, caller, plan }
        });
        self.changes.send_modify(|n| *n += 1);
        Arrival { entry, gate }
    }

    fn finish(&self, entry: usize, status: Option<u16>) {
        self.lock().log[entry].status = status;
        self.changes.send_modify(|n| *n += 1);
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.cancelled() => {}
        }
    }
}

impl World {
    /// Does what was asked, and what was planned to happen around it.
    fn perform(
        &mut self,
        endpoint: Endpoint,
        caller: Option<&Caller>,
        call: &Call,
        plan: &Plan,
        now: Timestamp,
    ) -> Answer {
        let mut answer = match (endpoint, caller) {
            (Endpoint::Authorize, _) => self.authorize(call, now),
            (_, None) => self.access_token(call, now),
            (Endpoint::Profile, Some(caller)) => self.profile(caller),
            (Endpoint::Templates, Some(_)) => self.templates(call),
            (Endpoint::Attributes, Some(caller)) => self.attributes(caller, call),
            (Endpoint::Owned, Some(caller)) => self.owned(caller, call),
            (Endpoint::WithValues, Some(caller)) => self.with_values(caller, call),
            (Endpoint::Values, Some(caller)) => self.values(caller, call),
            (_, Some(caller)) => self.write(caller, endpoint, call, plan),
        };
        for fault in &plan.0 {
            match fault {
                Fault::Shuffle => self.shuffle(&mut answer.body),
                Fault::ExtraKey => answer.body.each(|object| object.put("colour", "#5a8f3c")),
                Fault::NoSubgroup => answer.body.each(|object| object.remove("subgroup")),
                Fault::After(_) => self.meet(caller.map(|caller| caller.user.as_str()), fault),
                _ => {}
            }
        }
        if !endpoint.is_oauth() {
            let allow = if endpoint.is_post() { "POST, OPTIONS" } else { "GET, HEAD, OPTIONS" };
            answer = answer.header("allow", allow);
        }
        answer
    }

    fn meet(&mut self, user: Option<&str>, fault: &Fault) {
        let (Fault::Before(what) | Fault::After(what)) = fault else { return };
        if let Err(reason) = self.happen(user.unwrap_or_default(), what.clone()) {
            warn!(reason, "a fault had nothing to happen to: {reason}");
        }
    }

    fn shuffle(&mut self, body: &mut Body) {
        if let Body::Written(written) = body {
            for items in [&mut written.success, &mut written.failed] {
                // Turned by at least one, so that every item leaves its place.
                if items.len() > 1 {
                    let turn = self.rng.random_range(1..items.len());
                    items.rotate_left(turn);
                }
            }
        }
    }
}

impl Body {
    fn each(&mut self, mut change: impl FnMut(&mut Object)) {
        match self {
            Self::Object(object) => change(object),
            Self::Page(page) => page.results.iter_mut().for_each(change),
            Self::Written(written) => {
                written.success.iter_mut().chain(&mut written.failed).for_each(change);
            }
            Self::Empty | Self::Text(_) | Self::Html(_) => {}
        }
    }
}
