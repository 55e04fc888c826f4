#![doc = include_str!("../README.md")]

mod server; // one private server: start, kill, pause, restart

mod cluster; // masters on loopback, joined and serving every slot
mod error; // what can go wrong while setting a test up
mod proxy; // a TCP proxy with faults that change while it runs
mod seed; // a seed that a failing test prints

pub use cluster::RedisCluster;
pub use error::TestkitError;
pub use proxy::{Direction, Faults, Link, Proxy};
pub use seed::{Seed, seed};
pub use server::{Builder, Data, Redis, connect, redis, unique_prefix};
