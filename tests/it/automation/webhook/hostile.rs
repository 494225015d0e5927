//! Receivers that hang, drip, flood or pack bombs: each costs itself its delivery, and nobody else anything.

use std::{
    io::Write,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{Running, customer, deliveries, drain, webhook};
use crate::{
    on_both_engines,
    support::receiver::{Receiver, Reply},
};

/// What this process holds in memory, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// The value below which 99 of 100 are.
fn p99(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[(values.len() * 99 / 100).min(values.len() - 1)]
}

/// How long it takes from the answer of a mutation to its event's arrival, for so many in turn.
async fn latencies(tenant: &crate::support::TestTenant, receiver: &Receiver, count: usize) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for _ in 0..count {
        let before = receiver.got().len();
        customer(&tenant.admin, "Acme").await;
        let answered = Instant::now();
        let got = receiver.wait_for(before + 1).await;
        latencies.push(got[before].at.saturating_duration_since(answered));
    }
    latencies
}

on_both_engines! {
    async fn every_exchange_ends_within_its_deadline_and_its_memory(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let mut encoder = Vec::new();
        // A gzip bomb is a body like others: nobody unpacks it.
        encoder.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        encoder.resize(60_000, 0);
        let bomb = Reply::Full(200, "content-encoding: gzip\r\ncontent-type: text/plain\r\n".to_owned(), encoder);
        let replies = [Reply::Hang, Reply::Drip, Reply::Flood, bomb, Reply::HangUp];
        let mut receivers = Vec::new();
        for reply in replies {
            let receiver = Receiver::start().await;
            webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
            receivers.push((receiver, reply));
        }
        let nobody = format!("http://127.0.0.1:{}/", {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        });
        webhook(&tenant.admin, &nobody, &["customer.created"]).await;
        drain(&app).await;
        for (receiver, reply) in &receivers {
            let reply = reply.clone();
            receiver.answer(move |_| reply.clone());
        }
        customer(&tenant.admin, "Acme").await;
        let (before, begin) = (resident(), Instant::now());
        drain(&app).await;
        let (took, grown) = (begin.elapsed(), resident().saturating_sub(before));
        eprintln!("all ended after {took:?}; memory grew by {} KiB", grown / 1024);
        // The deadline of these tests is two seconds.
        assert!(took < Duration::from_secs(8), "{took:?}");
        assert!(grown < 30 << 20, "{grown}");
        let outcomes: Vec<_> = deliveries(&tenant.admin).await.iter().map(|delivery| {
            let attempt = &delivery["attempts"]["nodes"][0];
            (attempt["failure"].as_str().map(str::to_owned), attempt["statusCode"].clone(), attempt["responseTruncated"].clone())
        }).collect();
        let mut seen: Vec<_> = outcomes.iter().map(|(failure, ..)| failure.clone().unwrap_or_else(|| "TAKEN".to_owned())).collect();
        seen.sort_unstable();
        assert_eq!(seen, ["BROKEN", "NO_CONNECTION", "TAKEN", "TAKEN", "TIMED_OUT", "TIMED_OUT"]);
        let cut = outcomes.iter().filter(|(failure, _, truncated)| failure.is_none() && *truncated == json!(true)).count();
        assert_eq!(cut, 2, "of the flood and of the bomb the beginning is kept");
        let flooded = receivers[2].0.flooded.load(Ordering::Relaxed);
        assert!(flooded < 32 << 20, "{flooded} bytes of 10 GB left the receiver");
        assert!(outcomes.contains(&(Some("TIMED_OUT".to_owned()), json!(200), json!(false))), "{outcomes:?}");
    }

    /// Fifty receivers that hang, each with an event for every one that the others get.
    async fn receivers_that_hang_delay_nobody_else(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        let hanging = Receiver::start().await;
        hanging.answer(|_| Reply::Hang);
        let running = Running::start(&app.app);
        receiver.wait_until(|_| true, 1).await;
        let alone = p99(latencies(&tenant, &receiver, 60).await);
        for index in 0..50 {
            webhook(&tenant.admin, &hanging.url(&format!("/{index}")), &["customer.created"]).await;
        }
        let among = p99(latencies(&tenant, &receiver, 60).await);
        eprintln!("p99 from answer to arrival: {alone:?} alone, {among:?} among 50 that hang");
        assert!(hanging.connections() >= 40, "{}", hanging.connections());
        // On a machine of its own it is some milliseconds.
        assert!(among < Duration::from_millis(900), "{among:?}");
        running.stop.cancel();
        running.task.abort();
    }
}
