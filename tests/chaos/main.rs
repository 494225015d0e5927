//! The chaos suite: real nodes, killed with `kill -9` and at places between every two effects, while clients write. Three
//! logs are compared: what was acknowledged, what the databases hold, and what was received.
//!
//! ```sh
//! cargo test --test chaos -- --engine postgres --mutations 10000 --kills 50 --seed 1
//! ```
//!
//! Each client sends one mutation after the other, each under an idempotency key of its own, and sends it again, to
//! whatever node answers, until it is acknowledged. A subscriber follows the outbox from its beginning and resumes where
//! it was cut off. A mail server takes what the workers send. At the end nothing acknowledged may be missing or there
//! twice.
//!
//! Run by nextest it is two short tests, one on each engine. It knows the product by its command line, its API and its
//! tables, and is linked with none of it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a suite that fails ends and says why")]

mod clients;
mod fleet;
mod measure;
mod subscriber;
mod verify;

#[path = "../it/support/process.rs"]
mod process;
#[path = "../it/support/proxy.rs"]
mod proxy;
#[path = "../it/support/smtp.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use all of it")]
mod smtp;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;

use self::{
    clients::{Acknowledged, Clients},
    fleet::{Engine, Fleet},
    subscriber::Subscriber,
};

/// What is done to the nodes, and how much work there is meanwhile.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// Where the databases are
    #[arg(long, value_enum, default_value = "postgres")]
    engine: Engine,
    /// How many mutations must be acknowledged
    #[arg(long, default_value_t = 10_000)]
    mutations: usize,
    /// How many nodes are killed with a signal; those that die at a failpoint come on top
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// How many nodes there are; on SQLite there is one
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How many clients write at the same time
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Makes the same choices again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many seconds PostgreSQL goes away, in the midst of it
    #[arg(long, default_value_t = 0)]
    outage: u64,
    /// For how many seconds the mail server hangs up on everybody, at the beginning
    #[arg(long, default_value_t = 0)]
    mail_outage: u64,
    /// Measures so many idle subscribers, and one event to a thousand of them, instead
    #[arg(long)]
    subscribers: Option<usize>,
}

/// The tests that nextest sees.
const TESTS: [(&str, Engine); 2] = [("short_sqlite", Engine::Sqlite), ("short_postgres", Engine::Postgres)];

/// What a test runs: some hundred mutations and at least five kills.
fn short(engine: Engine) -> Arguments {
    Arguments {
        engine,
        mutations: 400,
        kills: 6,
        nodes: 3,
        clients: 6,
        seed: u64::from(std::process::id()),
        outage: if engine == Engine::Postgres { 4 } else { 0 },
        mail_outage: 0,
        subscribers: None,
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|own| own == word);
    if has("--list") {
        // None is ignored.
        for (name, _) in TESTS.iter().filter(|_| !has("--ignored")) {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let named: Vec<_> = TESTS.iter().filter(|(name, _)| has(name)).map(|(_, engine)| short(*engine)).collect();
    let wanted = if named.is_empty() { vec![Arguments::parse()] } else { named };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let well = wanted.into_iter().all(|arguments| {
        runtime.block_on(async {
            match arguments.subscribers {
                Some(count) => measure::run(&arguments, count).await,
                None => run(&arguments).await,
            }
        })
    });
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs it; answers whether everything was kept.
async fn run(arguments: &Arguments) -> bool {
    println!("{arguments:?}");
    let begin = Instant::now();
    let fleet = Arc::new(Fleet::start(arguments).await);
    let acknowledged = Arc::new(Acknowledged::default());
    let subscriber = Subscriber::start(fleet.clone());
    let clients = Clients::start(fleet.clone(), acknowledged.clone(), arguments);
    if arguments.mail_outage > 0 {
        let (mail, seconds) = (fleet.mail.clone(), arguments.mail_outage);
        mail.when(|verb, _| (verb == "CONNECT").then_some(smtp::Reply::HangUp));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            mail.when(|_, _| None);
        });
    }
    let deaths = fleet.torment(&acknowledged, arguments).await;
    clients.done().await;
    fleet.revive().await;
    println!("all {} mutations are acknowledged after {:.0?}", arguments.mutations, begin.elapsed());
    let report = verify::compare(&fleet, &acknowledged, subscriber).await;
    println!("\n{report}");
    println!("{deaths}; {:.0?} in all, seed {}", begin.elapsed(), arguments.seed);
    let well = report.well();
    println!("\n{}", if well { "everything was kept" } else { "SOMETHING WAS LOST" });
    if !well {
        fleet.tell();
    }
    fleet.end().await;
    well
}
