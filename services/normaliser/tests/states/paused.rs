//! What is paused waits, and goes on in its order when it is resumed.

use std::time::Duration;

use event::{Reason, SourceName, State};
use source::Source;
use store::{
    counts,
    pause::{self, Changed, Pause, Scope},
    user::Connected,
};

use crate::bench::{Bench, Plain, partition, states, told};

/// Resuming takes effect within this.
const AT_ONCE: Duration = Duration::from_secs(2);

impl Bench {
    async fn change(&self, scope: &Scope, to: Option<&Pause>) -> Changed {
        pause::change(&self.redis, &self.keys, partition(), scope, to).await.unwrap()
    }

    async fn pause(&self, scope: &Scope) {
        let pause = Pause { reason: "a migration".into(), by: "ada".into(), since_ms: 7 };
        assert_eq!(self.change(scope, Some(&pause)).await, Changed::Done);
    }

    async fn state(&self, state: State) -> i64 {
        let counts = counts(&self.redis, &self.keys, partition()).await.unwrap();
        counts.states.get(&(Plain.name(), state)).copied().unwrap_or(0)
    }

    async fn held_back(&self) -> usize {
        let mut link = self.link().await;
        redis::cmd("LLEN")
            .arg(self.keys.held(partition(), &self.user, &Plain.name()))
            .query_async(&mut link)
            .await
            .unwrap()
    }

    /// Waits until so many of the user's entries are parked.
    async fn until_parked(&self, count: usize) {
        let list = self.keys.overflow(partition(), store::Stage::Normalise, self.user.as_str());
        let mut link = self.link().await;
        let parked = async {
            while redis::cmd("LLEN").arg(&list).query_async::<usize>(&mut link).await.unwrap() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), parked).await.expect("they are parked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_entries_wait_in_order_whatever_pauses_the_user_and_go_on_at_once() {
    for scope in [Scope::All, Scope::Partition(partition()), Scope::User(Bench::name())] {
        let bench = Bench::new().await;
        bench.connect(Some("UTC"), Connected::On).await;
        bench.pause(&scope).await;
        let (running, drain) = bench.start();
        bench.append(&[bench.event("a", 1, "1 0"), bench.event("a", 2, "2 0")]).await;
        bench.until_parked(2).await;
        bench.append(&[bench.event("b", 1, "3 0")]).await;
        bench.until_parked(3).await;
        let counted = counts(&bench.redis, &bench.keys, partition()).await.unwrap();
        assert_eq!(counted.states.values().sum::<i64>(), 0, "{scope}: nothing was judged: {counted:?}");

        assert_eq!(bench.change(&scope, None).await, Changed::Done);
        let lines = tokio::time::timeout(AT_ONCE, bench.lines(3)).await.expect("they go on at once");
        let (canceled, accepted) = ((State::Canceled, Reason::Superseded), (State::Processing, Reason::Accepted));
        assert_eq!(states(&lines), [canceled, accepted, accepted], "{scope}");
        assert_eq!(bench.change(&scope, None).await, Changed::NotPaused);
        drain.cancel();
        running.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_connection_or_source_holds_its_entries_without_an_end() {
    for scope in [Scope::Source(Plain.name()), Scope::Connection(Bench::name(), Plain.name())] {
        let bench = Bench::new().await;
        bench.connect(Some("UTC"), Connected::On).await;
        bench.pause(&scope).await;
        bench.append(&[bench.event("a", 1, "1 0"), bench.event("b", 1, "2 0")]).await;
        let lines = bench.until_lines(2).await;
        assert_eq!(states(&lines), [(State::Disabled, Reason::Paused); 2], "{scope}");
        assert_eq!(lines[0].detail, "a migration");
        assert_eq!((bench.state(State::Disabled).await, bench.held_back().await), (2, 2));
        let mut link = bench.link().await;
        let held = bench.keys.held(partition(), &bench.user, &Plain.name());
        let lives: i64 = redis::cmd("PTTL").arg(&held).query_async(&mut link).await.unwrap();
        assert_eq!(lives, -1, "a pause may last longer than the retention time");

        bench.change(&scope, None).await;
        let names = [bench.user.clone()];
        let holding = pause::holding(&bench.redis, &bench.keys, partition(), &names, &Plain.name()).await.unwrap();
        assert_eq!(holding, names);
        pause::release(&bench.redis, &bench.keys, partition(), &bench.user, &Plain.name()).await.unwrap();
        let lines = bench.until_lines(4).await;
        let accepted = (State::Processing, Reason::Accepted);
        assert_eq!(states(&lines[2..]), [accepted; 2]);
        assert_eq!(told(&lines[2..])[0].0, "a", "in their order");
        assert_eq!((bench.state(State::Disabled).await, bench.held_back().await), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_after_its_connection_was_resumed_goes_back_by_itself() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let scope = Scope::Connection(bench.user.clone(), Plain.name());
    bench.pause(&scope).await;
    // Judged before it was resumed, and committed after it.
    let seen = bench.user().await.pauses.revision;
    bench.change(&scope, None).await;
    let mut commit = store::Commit::new();
    let late = event::encode(&bench.event("late", 1, "1 0"));
    bench.fetcher.withhold(&mut commit, &bench.user, &Plain.name(), &late, None, seen);
    bench.fetcher.commit(commit).await.unwrap();
    assert_eq!((bench.held_back().await, bench.state(State::Disabled).await), (0, -1), "the count went with it");
    assert_eq!(told(&bench.until_lines(1).await), [("late", State::Processing, Reason::Accepted)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_skipped_after_it_was_resumed_is_due_at_once_and_before_that_when_it_is_resumed() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let scope = Scope::User(bench.user.clone());
    let (zset, member) = (bench.keys.schedule(partition()), format!("{}/{}", bench.user, Plain.name()));

    let skip = async |pauses: &pause::Pauses| {
        let mut commit = store::Commit::new();
        bench.fetcher.skip_poll(&mut commit, &bench.user, &Plain.name(), pauses);
        bench.fetcher.commit(commit).await.unwrap();
        bench.fetcher.due(&zset, 10, std::slice::from_ref(&member)).await.unwrap().members
    };
    bench.pause(&scope).await;
    let found = bench.user().await.pauses;
    assert_eq!(skip(&found).await, [""; 0], "put off");
    bench.change(&scope, None).await;
    assert_eq!(
        bench.fetcher.due(&zset, 10, std::slice::from_ref(&member)).await.unwrap().members,
        [member.as_str()],
        "resuming finds it"
    );
    assert_eq!(skip(&found).await, [member.as_str()], "looked at before it was resumed, put off after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_or_sources_pause_concerns_nobody_else() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let other = SourceName::try_new("other").unwrap();
    let exist = SourceName::try_new("exist").unwrap();
    for scope in [
        Scope::Source(other.clone()),
        Scope::Connection(bench.user.clone(), other),
        Scope::Connection(bench.user.clone(), exist),
        Scope::Attribute(bench.user.clone(), crate::bench::attribute()),
    ] {
        bench.pause(&scope).await;
    }
    let nobody = Scope::User(event::UserId::try_new("nobody").unwrap());
    let pause = Pause { reason: "r".into(), by: "b".into(), since_ms: 1 };
    assert_eq!(bench.change(&nobody, Some(&pause)).await, Changed::Gone, "a pause makes nobody a user");
    bench.append(&[bench.event("a", 1, "1 0")]).await;
    assert_eq!(states(&bench.until_lines(1).await), [(State::Processing, Reason::Accepted)]);
}
