//! Loopback ports nobody uses.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::TestkitError;

/// Below the ports that the system hands to outgoing connections (32,768 on Linux): a client that
/// tries again and again while the server is down would else be given the server's own port,
/// connect to itself, and keep the server from coming back. A node's bus port fits below too.
const PORTS: Range<u16> = 10_000..22_000;

/// How far a cluster node's bus port is above its port; fixed before Redis 7.
const BUS_OFFSET: u16 = 10_000;

/// Ports looked at before giving up.
const LOOKS_MAX: u32 = 200;

/// A port that was free a moment ago; with `bus`, the node's bus port was too.
pub(super) fn free(bus: bool) -> Result<u16, TestkitError> {
    for _ in 0..LOOKS_MAX {
        let port = rand::random_range(PORTS);
        if is_free(port) && (!bus || is_free(port + BUS_OFFSET)) {
            return Ok(port);
        }
    }
    Err(TestkitError::Machine {
        doing: "looking for a free port on 127.0.0.1",
        source: io::ErrorKind::AddrInUse.into(),
    })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
