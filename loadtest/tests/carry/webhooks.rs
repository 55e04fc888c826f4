//! What sources send by themselves, and tokens that have to be renewed.

use std::time::Duration;

use loadtest::{fleet::Role, github::Hook};
use tokio::time::{Instant, sleep};

use crate::show::{Show, stage};

const CONVERGE: Duration = Duration::from_secs(60);

/// An address of this machine that nobody has.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").to_string()
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + CONVERGE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_carried_without_a_poll_and_tell_what_no_poll_shows() {
    let stage = stage(71).await;
    let address = free_address();
    // Polls come too late to help; deletions are seen by the hourly comparison alone.
    let fleet =
        stage.fleet().setting("TRIBUTARY_WEBHOOK_ADDR", &address).setting("TRIBUTARY_GITHUB_POLL_INTERVAL", "1h");
    let mut show = Show::open(&stage, fleet).await;
    show.until_right(CONVERGE).await;
    let github = &stage.pastimes.github;
    for (index, person) in stage.world.people.iter().enumerate() {
        let url = format!("http://{address}/hooks/github");
        let hook = Hook { url, secret: format!("hush-{}", person.name), form_encoded: index.is_multiple_of(2) };
        github.add_hook(&person.repository, hook);
    }
    let person = &stage.world.people[0];
    let (name, repository) = (person.name.as_str(), person.repository.as_str());
    let (issues, ..) = github.holds(repository);
    assert!(github.close_issue(name, repository, issues[0].id));
    assert!(github.delete_issue(name, repository, issues[1].id), "no poll would show it within the hour");
    let comment = github.comment(name, repository, issues[2].id, None);
    github.push(name, repository, "topic", &[jiff::Timestamp::now()]);
    assert!(github.delete_comment(name, repository, comment));
    assert!(stage.verdict().unequal() > 0, "the events change numbers");
    until("five answers", || github.delivered().len() >= 5).await;
    assert!(github.delivered().iter().all(|delivered| delivered.status == Some(202)), "{:?}", github.delivered());
    show.until_right(CONVERGE).await;

    let appended = show.count("appended:github").await;
    for delivered in github.delivered() {
        github.redeliver(&delivered.id);
    }
    until("the same again", || github.delivered().len() >= 10).await;
    assert!(github.delivered().iter().all(|delivered| delivered.status == Some(202)));
    assert_eq!(show.count("appended:github").await, appended, "each delivery is taken once");

    // Signed by somebody else, about nobody's repository, and no webhook at all.
    let forged = Hook { url: format!("http://{address}/hooks/github"), secret: "guessed".into(), form_encoded: false };
    github.add_hook(repository, forged);
    github.open_issue(name, repository, None);
    until("the forged one's answer", || github.delivered().len() >= 11).await;
    assert_eq!(github.delivered().last().and_then(|delivered| delivered.status), Some(401));
    let http = reqwest::Client::new();
    let post = async |path: &str, body: &'static str| {
        let sent =
            http.post(format!("http://{address}{path}")).header("x-github-event", "issues").body(body).send().await;
        sent.expect("an answer").status().as_u16()
    };
    assert_eq!(post("/hooks/github", r#"{"repository": {"full_name": "no/body"}}"#).await, 202, "nobody listens");
    assert_eq!(post("/hooks/github/nobody", r#"{"repository": {"full_name": "no/body"}}"#).await, 202);
    assert_eq!(post("/hooks/github", "nonsense").await, 400);
    assert_eq!(post("/hooks/whatpulse", "{}").await, 404, "it sends none");
    show.fleet.run(&["sync", name, "github"]).await.expect("a sync");
    show.until_right(CONVERGE).await;
    show.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_tokens_are_refreshed_once_and_a_dead_grant_turns_one_connection_off() {
    let stage = stage(72).await;
    let fleet = stage.fleet().processes(Role::Fetcher, 2);
    let mut show = Show::open(&stage, fleet).await;
    show.until_right(CONVERGE).await;
    let (trakt, ynab) = (&stage.pastimes.trakt, &stage.pastimes.ynab);
    for person in &stage.world.people {
        trakt.expire_access_token(&person.name);
        ynab.expire_access_token(&person.name);
    }
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(CONVERGE).await;
    for person in &stage.world.people {
        assert_eq!((trakt.refreshes(&person.name), ynab.refreshes(&person.name)), (1, 1), "{}", person.name);
    }
    // The file's tokens are dead by now: importing it again changes nothing.
    show.fleet.import(&stage.import_file()).await.expect("the file is imported again");
    show.until_right(CONVERGE).await;

    let gone = &stage.world.people[1].name;
    trakt.revoke(gone);
    let deadline = Instant::now() + CONVERGE;
    loop {
        let shown = show.fleet.run(&["connections", "show", gone, "--json"]).await.expect("the user is shown");
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
        if shown["sources"]["trakt"]["state"] == "off" {
            assert_eq!(shown["sources"]["ynab"]["state"], "on", "the others go on");
            break;
        }
        assert!(Instant::now() < deadline, "it is still on: {shown}");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_consents_again_is_connected_and_what_waited_is_counted() {
    let stage = stage(73).await;
    let address = free_address();
    let mut show = Show::open(&stage, stage.fleet().setting("TRIBUTARY_WEBHOOK_ADDR", &address)).await;
    show.until_right(CONVERGE).await;
    let (name, http) = (stage.world.people[2].name.as_str(), reqwest::Client::new());
    stage.pastimes.ynab.revoke(name);
    let state = async |show: &Show<'_>| {
        let shown = show.fleet.run(&["connections", "show", name, "--json"]).await.expect("the user is shown");
        serde_json::from_str::<serde_json::Value>(&shown).expect("it is JSON")["sources"]["ynab"]["state"].clone()
    };
    let deadline = Instant::now() + CONVERGE;
    while state(&show).await != "off" {
        assert!(Instant::now() < deadline, "the connection is still on");
        sleep(Duration::from_millis(200)).await;
    }
    show.play();
    show.play();
    assert!(stage.verdict().unequal() > 0, "what is off is not counted");

    let begin = async |show: &Show<'_>| {
        let said =
            show.fleet.run(&["connections", "connect", "ynab", "--user", name, "--json"]).await.expect("an address");
        let url: serde_json::Value = serde_json::from_str(&said).expect("it is JSON");
        let url: reqwest::Url = url["url"].as_str().expect("an address").parse().expect("it is one");
        let field = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).expect("a field").1.into_owned();
        assert!(url.as_str().starts_with(&format!("{}/authorize?", stage.pastimes.ynab.oauth_url())), "{url}");
        assert_eq!(field("redirect_uri"), format!("http://{address}/oauth/ynab/callback"));
        field("state")
    };
    let come_back = async |peer: &str, query: &str| {
        let answer =
            http.get(format!("http://{address}/oauth/{peer}/callback?{query}")).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a page"))
    };
    let granted = begin(&show).await;
    assert_eq!(come_back("ynab", "code=x&state=guessed").await.0, 400);
    assert_eq!(come_back("trakt", &format!("code=code-of-{name}&state={granted}")).await.0, 400, "for another peer");
    assert_eq!(come_back("ynab", &format!("code=code-of-{name}&state={granted}")).await.0, 400, "good for one use");
    let granted = begin(&show).await;
    let (status, page) = come_back("ynab", &format!("error=%3Cb%3Edenied&state={granted}")).await;
    assert!(status == 400 && page.contains("&lt;b&gt;denied"), "{page}");
    let granted = begin(&show).await;
    let (status, page) = come_back("ynab", &format!("code=code-of-{name}&state={granted}")).await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(state(&show).await, "on");
    show.until_right(CONVERGE).await;
    show.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_answered_so_and_no_body_reaches_a_log() {
    const MARK: &str = "nobody-may-read-this";
    let stage = stage(74).await;
    let address = free_address();
    let mut show = Show::open(&stage, stage.fleet().setting("TRIBUTARY_WEBHOOK_ADDR", &address)).await;
    show.until_right(CONVERGE).await;
    let http = reqwest::Client::new();
    let post = async |body: String| {
        let request = http.post(format!("http://{address}/hooks/github")).header("x-github-event", "issues");
        let answer = request.header("x-hub-signature-256", "sha256=00").body(body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.headers().get("retry-after").is_some())
    };
    let repository = &stage.world.people[0].repository;
    let about = format!(r#"{{"repository": {{"full_name": "{repository}"}}, "issue": "{MARK}"}}"#);
    assert_eq!(post(about.clone()).await, (401, false));
    assert_eq!(post(format!("{MARK} and no JSON")).await, (400, false));
    assert_eq!(post("x".repeat(26 << 20)).await.0, 413);

    let url = show.fleet.redis().expect("a private Redis").url();
    let client = ::redis::Client::open(url).expect("an address");
    let mut link = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let info: String = ::redis::cmd("INFO").arg("memory").query_async(&mut link).await.expect("it tells");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("it is told").trim();
    let limit = used.parse::<u64>().expect("a number") * 10 / 9;
    let set = async |link: &mut ::redis::aio::MultiplexedConnection, bytes: u64| {
        let mut command = ::redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory").arg(bytes);
        command.query_async::<()>(link).await.expect("it is set");
    };
    set(&mut link, limit).await;
    let deadline = Instant::now() + CONVERGE;
    // A reading of the memory is good for a second.
    while post(about.clone()).await != (503, true) {
        assert!(Instant::now() < deadline, "webhooks are taken although Redis is full");
        sleep(Duration::from_millis(100)).await;
    }
    set(&mut link, 0).await;
    while post(about.clone()).await != (401, false) {
        assert!(Instant::now() < deadline, "webhooks are refused although Redis has room");
        sleep(Duration::from_millis(100)).await;
    }
    for log in std::fs::read_dir(show.fleet.logs()).expect("logs") {
        let text = std::fs::read_to_string(log.expect("a log").path()).expect("it can be read");
        assert!(!text.contains(MARK), "a body is in a log");
    }
    show.nothing_was_lost().await;
}
