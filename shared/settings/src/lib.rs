#![doc = include_str!("../README.md")]

mod document; // settings.env, the reference table, --print-settings
mod error; //    what was wrong, all of it at once
mod layers; //   flag over variable over file over default
mod list; //     every setting: name, kind, default, and what goes wrong at either extreme
pub mod seal;
mod settings; // the checked settings, typed
mod value; //    the kinds of value, and how each is read from text // secrets at rest

pub use document::{settings_env, settings_markdown};
pub use error::{SettingsError, SettingsErrors};
pub use layers::Origin;
pub use list::{Section, Setting, all, find, sections};
pub use seal::{SealError, Sealer};
pub use secrecy::{ExposeSecret, SecretString};
pub use settings::{App, Apps, PeerUrls, PollIntervals, Settings, environment};
pub use value::{BaseUrl, Budget, Kind, LockMode, RedisUrl, WhatPulseApi};
