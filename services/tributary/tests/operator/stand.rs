//! A private Redis, and the command run on it.

use std::{fmt, process::Stdio, sync::Arc, time::Duration};

use event::{Partition, PartitionCount, UserId};
use serde_json::Value;
use settings::{ExposeSecret, Sealer, Settings};
use store::{Keys, Lease, Owned, Redis, Stage};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// How long a command may take on a busy machine.
const COMMAND_MAX: Duration = Duration::from_secs(60);
/// The tokens of [`PEOPLE`].
pub(crate) const PLANTED: [&str; 4] =
    ["planted-access-5ecret", "planted-refresh-5ecret", "planted-toggl-5ecret", "planted-whatpulse-5ecret"];

/// Alice has both sources; Bob has no zone and one source.
pub(crate) const PEOPLE: &str = r#"[
  {"user": "alice", "timezone": "Pacific/Auckland",
   "exist": {"access_token": "planted-access-5ecret", "refresh_token": "planted-refresh-5ecret"},
   "connections": [
     {"source": "toggl", "credentials": {"api_token": "planted-toggl-5ecret"},
      "settings": {"map": {"productive_min": {"projects": [42], "template": "productive_min"}}}},
     {"source": "whatpulse", "credentials": {"api_key": "planted-whatpulse-5ecret", "user_id": 5},
      "settings": {"map": {"keystrokes": {"field": "keys", "template": "keystrokes"}}}}]},
  {"user": "bob", "exist": {"access_token": "planted-access-5ecret"},
   "connections": [{"source": "toggl", "credentials": {"api_token": "planted-toggl-5ecret"}}]}
]"#;

pub(crate) struct Stand {
    pub(crate) server: testkit::Redis,
    key: String,
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Its output, after making sure that it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
    }

    /// Its output as JSON, likewise.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let stdout = self.ok();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\nstdout: {}\nstderr: {}", self.code, self.stdout, self.stderr)
    }
}

/// The command with these settings and none of the environment's.
pub(crate) fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TRIBUTARY_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).envs(settings.iter().copied()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command with something on its standard input.
pub(crate) async fn run(mut command: Command, input: &str) -> Done {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read has closed its end.
    let _unread = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = timeout(COMMAND_MAX, child.wait_with_output()).await.expect("a command ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Stand {
    pub(crate) async fn start() -> Self {
        // Uncompressed, so that what is dumped can be searched.
        let server = testkit::Redis::builder().setting("rdbcompression", "no").start().await;
        Self { server, key: Sealer::generate_key().expose_secret().to_owned() }
    }

    pub(crate) async fn with_people() -> Self {
        let stand = Self::start().await;
        assert_eq!(stand.import(PEOPLE).await.ok(), "imported 2 users with 3 connections\n");
        stand
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let url = self.server.url();
        command(arguments, &[("TRIBUTARY_REDIS_URL", url.as_str()), ("TRIBUTARY_ENCRYPTION_KEY", self.key.as_str())])
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Done {
        run(self.command(arguments), "").await
    }

    pub(crate) async fn import(&self, people: &str) -> Done {
        run(self.command(&["connections", "import", "-"]), people).await
    }

    pub(crate) async fn redis(&self) -> Redis {
        let url = [("TRIBUTARY_REDIS_URL".to_owned(), self.server.url())];
        Redis::connect(&Settings::load(url, &[], None).unwrap().redis_url).await.unwrap()
    }

    /// What the command seals with.
    pub(crate) fn sealer(&self) -> Sealer {
        let key = [("TRIBUTARY_ENCRYPTION_KEY".to_owned(), self.key.clone())];
        Settings::load(key, &[], None).unwrap().encryption_key.unwrap()
    }

    /// A user's partition, ours for a stage.
    pub(crate) async fn owned(&self, stage: Stage, user: &str) -> Owned {
        let (redis, keys) = (self.redis().await, Arc::new(Keys::default()));
        let lease = Lease::acquire(&redis, &keys, stage, partition_of(user), "the test").await.unwrap();
        Owned { redis, keys, lease: lease.expect("nobody else is there") }
    }

    /// Every key with what it holds, as Redis writes it to disk.
    pub(crate) async fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let mut link = self.server.connection().await;
        let names: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut link).await.unwrap();
        let mut dumped = Vec::new();
        for name in names {
            dumped.push((name.clone(), redis::cmd("DUMP").arg(&name).query_async(&mut link).await.unwrap()));
        }
        dumped
    }
}

pub(crate) fn name(user: &str) -> UserId {
    UserId::try_new(user).unwrap()
}

pub(crate) fn partition_of(user: &str) -> Partition {
    PartitionCount::try_new(Settings::default().partitions).unwrap().of(&name(user))
}
