//! What Linux knows about our process; on another system these metrics are absent.
//!
//! Source of the formats: <https://man7.org/linux/man-pages/man5/proc.5.html>.

use std::fs;

use super::text::line;
use crate::metric::{
    PROCESS_CPU_SECONDS, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY_BYTES, PROCESS_START_TIME_SECONDS,
    PROCESS_VIRTUAL_MEMORY_BYTES,
};

/// Clock ticks in a second, as `/proc` counts them: 100 on every Linux that Rust's standard library supports.
const TICKS: u64 = 100;

/// Writes the process's metrics.
pub(super) fn render(out: &mut String) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    if let Some(stat) = stat(&read("/proc/self/stat")) {
        let cpu = format!("{}.{:02}", stat.cpu_ticks / TICKS, stat.cpu_ticks % TICKS);
        line(out, &PROCESS_CPU_SECONDS, cpu);
        if let Some(booted) = number_after(&read("/proc/stat"), "btime ") {
            line(out, &PROCESS_START_TIME_SECONDS, booted + stat.start_ticks / TICKS);
        }
    }
    let status = read("/proc/self/status");
    if let Some(kib) = number_after(&status, "VmRSS:") {
        line(out, &PROCESS_RESIDENT_MEMORY_BYTES, kib * 1024);
    }
    if let Some(kib) = number_after(&status, "VmSize:") {
        line(out, &PROCESS_VIRTUAL_MEMORY_BYTES, kib * 1024);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // Reading the directory holds one open itself.
        line(out, &PROCESS_OPEN_FDS, open.count().saturating_sub(1));
    }
    if let Some(most) = number_after(&read("/proc/self/limits"), "Max open files") {
        line(out, &PROCESS_MAX_FDS, most);
    }
}

#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
}

/// Reads user time, system time and start time: fields 14, 15 and 22, counted from 1.
///
/// Field 2 is the program's name in parentheses and may hold anything, so we count from the last
/// parenthesis: after it comes field 3.
fn stat(text: &str) -> Option<Stat> {
    let (_, after) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat { cpu_ticks: field(14)? + field(15)?, start_ticks: field(22)? })
}

/// The first number after the first line that begins with this.
fn number_after(text: &str, begins: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(begins))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_strange_name_is_read_right() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 75 0 0 20 0 4 0 9000 1000000 500 0";
        assert_eq!(stat(text), Some(Stat { cpu_ticks: 325, start_ticks: 9000 }));
        assert_eq!(stat(""), None);
        assert_eq!(stat("42 (cut) S 1"), None);
    }

    #[test]
    fn numbers_are_found_behind_their_names() {
        let text = "Name:\tx\nVmRSS:\t    2048 kB\nMax open files            1024                 4096      files\n";
        assert_eq!(number_after(text, "VmRSS:"), Some(2048));
        assert_eq!(number_after(text, "Max open files"), Some(1024));
        assert_eq!(number_after(text, "VmSize:"), None);
    }
}
