//! What a fleet is made of.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Fleet, PrivateRedis, Role, command::tributary};

/// Chooses binary, settings and processes; see [`Fleet::builder`].
#[derive(Default)]
pub struct FleetBuilder {
    binary: Option<PathBuf>,
    settings: BTreeMap<String, String>,
    processes: BTreeMap<Role, usize>,
    logs: Option<PathBuf>,
}

impl FleetBuilder {
    /// The `tributary` to run, rather than the one that `TRIBUTARY_BIN` names or that was built beside us.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> FleetBuilder {
        self.binary = Some(path.into());
        self
    }

    /// A `TRIBUTARY_*` variable, or another, of every process and command.
    ///
    /// With a `TRIBUTARY_REDIS_URL` of the caller's no private Redis is started.
    pub fn setting(mut self, name: &str, value: impl Into<String>) -> FleetBuilder {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// How many processes of a service to start; unnamed carriers get one, the console none.
    pub fn processes(mut self, role: Role, count: usize) -> FleetBuilder {
        self.processes.insert(role, count);
        self
    }

    /// Writes logs there and leaves them, rather than in a folder that goes with the fleet.
    pub fn logs(mut self, folder: impl Into<PathBuf>) -> FleetBuilder {
        self.logs = Some(folder.into());
        self
    }

    /// Starts Redis and the processes; they may not be ready yet ([`Fleet::ready`]).
    ///
    /// # Errors
    /// When a program is missing or cannot be started.
    pub async fn start(mut self) -> Result<Fleet> {
        let binary = self.binary.map_or_else(tributary, Ok)?;
        let dir = tempfile::Builder::new().prefix("tributary-fleet-").tempdir().context("making a folder for logs")?;
        let logs = self.logs.unwrap_or_else(|| dir.path().to_owned());
        std::fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        let redis = match self.settings.get("TRIBUTARY_REDIS_URL") {
            Some(_) => None,
            None => Some(PrivateRedis::start().await?),
        };
        if let Some(redis) = &redis {
            self.settings.insert("TRIBUTARY_REDIS_URL".into(), redis.url());
        }
        let key = || STANDARD.encode(rand::random::<[u8; 32]>());
        self.settings.entry("TRIBUTARY_ENCRYPTION_KEY".into()).or_insert_with(key);
        let mut fleet = Fleet { binary, settings: self.settings, processes: Vec::new(), redis, logs, _dir: dir };
        for role in Role::CARRIERS {
            self.processes.entry(role).or_insert(1);
        }
        for (role, count) in self.processes {
            for _ in 0..count {
                fleet.spawn(role)?;
            }
        }
        Ok(fleet)
    }
}
