//! What plain streams reach here: append, read, acknowledge, delete, pipelined by hundreds, no promise kept.

use std::time::Instant;

use crate::{as_f64, meter::Meter, stand::Stand};

const ITEMS: u64 = 200_000;
const BATCH: u64 = 100;
const STREAMS: u64 = 4;

pub(crate) struct Ceiling {
    pub(crate) per_second: f64,
    pub(crate) redis_cpu_us: f64,
}

/// Full cycles a second over several connections, the best of three runs.
pub(crate) async fn measure(stand: &Stand) -> anyhow::Result<Ceiling> {
    let mut best = Ceiling { per_second: 0.0, redis_cpu_us: 0.0 };
    for _ in 0..3 {
        let meter = Meter::start(stand).await?;
        let begun = Instant::now();
        let streams = (0..STREAMS).map(|stream| cycle(stand, format!("{{ceiling}}:{stream}")));
        for ended in futures::future::join_all(streams).await {
            ended?;
        }
        let per_second = as_f64(ITEMS) / begun.elapsed().as_secs_f64();
        let used = meter.stop(stand).await?;
        if per_second > best.per_second {
            best = Ceiling { per_second, redis_cpu_us: used.cpu_us / as_f64(ITEMS) };
        }
    }
    Ok(best)
}

async fn cycle(stand: &Stand, stream: String) -> anyhow::Result<()> {
    type Reply = Vec<(String, Vec<(String, Vec<String>)>)>;
    let mut link = stand.plain_connection().await?;
    let payload = "x".repeat(300);
    redis::cmd("XGROUP")
        .arg("CREATE")
        .arg(&stream)
        .arg("g")
        .arg("0")
        .arg("MKSTREAM")
        .query_async::<()>(&mut link)
        .await
        .ok();
    for _ in 0..ITEMS / STREAMS / BATCH {
        let mut append = redis::pipe();
        for _ in 0..BATCH {
            append.cmd("XADD").arg(&stream).arg("*").arg("e").arg(&payload).ignore();
        }
        append
            .cmd("XREADGROUP")
            .arg("GROUP")
            .arg("g")
            .arg("c")
            .arg("COUNT")
            .arg(BATCH)
            .arg("STREAMS")
            .arg(&stream)
            .arg(">");
        let (read,): (Reply,) = append.query_async(&mut link).await?;
        let ids: Vec<String> = read.into_iter().flat_map(|(_, entries)| entries).map(|(id, _)| id).collect();
        let mut settle = redis::pipe();
        settle.cmd("XACK").arg(&stream).arg("g").arg(&ids).ignore();
        settle.cmd("XDEL").arg(&stream).arg(&ids).ignore();
        settle.query_async::<()>(&mut link).await?;
    }
    Ok(())
}
