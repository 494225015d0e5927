//! What was acknowledged, what the databases hold, and what was received, side by side.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use chrono::{DateTime, SecondsFormat, Utc};
use data_encoding::HEXLOWER;
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::sleep;
use uuid::Uuid;

use super::{clients::Acknowledged, fleet::Fleet, subscriber::Subscriber};

/// How long what is owed may take: a lease that has to end, and a message that is tried again a minute later.
const OWED: Duration = Duration::from_secs(120);

/// The comparison, line by line.
pub struct Report(Vec<Line>);

struct Line {
    what: &'static str,
    expected: String,
    found: String,
    well: bool,
}

impl Report {
    /// Whether nothing is missing and nothing too much.
    pub fn well(&self) -> bool {
        self.0.iter().all(|line| line.well)
    }

    fn same<T: PartialEq + fmt::Display>(&mut self, what: &'static str, expected: T, found: T) {
        let well = expected == found;
        self.0.push(Line { what, expected: expected.to_string(), found: found.to_string(), well });
    }

    fn told(&mut self, what: &'static str, found: impl fmt::Display) {
        self.0.push(Line { what, expected: String::new(), found: found.to_string(), well: true });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | expected | found | |")?;
        writeln!(f, "|---|---|---|---|")?;
        for Line { what, expected, found, well } in &self.0 {
            writeln!(f, "| {what} | {expected} | {found} | {} |", if *well { "" } else { "WRONG" })?;
        }
        Ok(())
    }
}

/// Compares.
pub async fn compare(fleet: &Fleet, acknowledged: &Acknowledged, subscriber: Subscriber) -> Report {
    let mut report = Report(Vec::new());
    report.told("mutations acknowledged", acknowledged.count.load(Ordering::Relaxed));
    report.told("sent again, because no answer came", acknowledged.repeated.load(Ordering::Relaxed));
    let delivered = mail(fleet, acknowledged, &mut report).await;
    let raw = fleet.raw().await;
    customers(&raw, acknowledged, &mut report).await;
    outbox(fleet, &raw, acknowledged, subscriber, &mut report).await;
    audit(&raw, &mut report).await;
    let waiting = count(&raw, "SELECT COUNT(*) FROM email_message WHERE status <> 'SENT'").await;
    report.same("messages that wait or were given up", 0, waiting);
    report.told("e-mails delivered, copies included", delivered);
    raw.close().await.unwrap();
    report
}

async fn rows(raw: &DatabaseConnection, sql: &str) -> Vec<QueryResult> {
    raw.query_all_raw(Statement::from_string(raw.get_database_backend(), sql)).await.unwrap()
}

async fn count(raw: &DatabaseConnection, sql: &str) -> i64 {
    rows(raw, sql).await[0].try_get_by_index(0).unwrap()
}

/// Waits until everybody who was invited has mail; answers how much mail there is.
async fn mail(fleet: &Fleet, acknowledged: &Acknowledged, report: &mut Report) -> usize {
    let invited: BTreeSet<String> = acknowledged.invited.lock().unwrap().iter().cloned().collect();
    let unclear = acknowledged.unclear.lock().unwrap().len();
    let begin = Instant::now();
    loop {
        let received = fleet.mail.received();
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for message in &received {
            ids.entry(message.to[0].clone()).or_default().insert(message.header("Message-ID").unwrap_or_default());
        }
        let missing = invited.iter().filter(|email| !ids.contains_key(*email)).count();
        if missing > 0 && begin.elapsed() < OWED {
            sleep(Duration::from_millis(100)).await;
            continue;
        }
        report.told("invitations acknowledged", invited.len());
        report.told("invitations that the second attempt found done", unclear);
        report.same("invited, but without mail", 0, missing);
        let different = ids.values().filter(|ids| ids.len() > 1).count();
        report.same("mail that came twice, with another Message-ID", 0, different);
        let of_nobody = ids.keys().filter(|email| !invited.contains(*email)).count();
        report.same("mail to nobody who was invited", true, of_nobody <= unclear);
        // What was taken is noted a moment later; what was taken by nobody else is taken again.
        sleep(Duration::from_secs(1)).await;
        let raw = fleet.raw().await;
        while count(&raw, "SELECT COUNT(*) FROM email_message WHERE status = 'QUEUED'").await > 0
            && begin.elapsed() < OWED
        {
            sleep(Duration::from_millis(200)).await;
        }
        raw.close().await.unwrap();
        return fleet.mail.received().len();
    }
}

async fn customers(raw: &DatabaseConnection, acknowledged: &Acknowledged, report: &mut Report) {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in rows(raw, "SELECT external_reference, employee_count FROM customer").await {
        let number: Option<i32> = row.try_get_by_index(1).unwrap();
        found.entry(row.try_get_by_index(0).unwrap()).or_default().push(number.unwrap_or(-1).into());
    }
    let expected = acknowledged.customers.lock().unwrap().clone();
    let missing = expected.keys().filter(|name| !found.contains_key(*name)).count();
    let stale = expected
        .iter()
        .filter(|(name, customer)| found.get(*name).is_some_and(|numbers| numbers != &[customer.number]))
        .count();
    report.same("customers", expected.len(), found.values().map(Vec::len).sum());
    report.same("customers acknowledged but missing", 0, missing);
    report.same("customers that do not hold what was acknowledged last", 0, stale);
}

async fn outbox(
    fleet: &Fleet,
    raw: &DatabaseConnection,
    acknowledged: &Acknowledged,
    subscriber: Subscriber,
    report: &mut Report,
) {
    let query = "{ __type(name: \"RecordType\") { enumValues { name } } }";
    let types = fleet.ask(0, query, json!({}), None).await.unwrap();
    let types: BTreeSet<String> = types["data"]["__type"]["enumValues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value["name"].as_str().unwrap().to_lowercase())
        .collect();
    let events = rows(raw, "SELECT seq, name, record_type, record_id FROM event ORDER BY seq").await;
    let mut visible = Vec::new();
    let mut of_customers: BTreeMap<(String, Uuid), usize> = BTreeMap::new();
    let mut gaps = 0;
    for (expected, row) in (1i64..).zip(&events) {
        let seq: i64 = row.try_get_by_index(0).unwrap();
        gaps += usize::from(seq != expected);
        let (name, record_type): (String, String) =
            (row.try_get_by_index(1).unwrap(), row.try_get_by_index(2).unwrap());
        if types.contains(&record_type) {
            visible.push(seq);
        }
        if record_type == "customer" {
            *of_customers.entry((name, row.try_get_by_index(3).unwrap())).or_default() += 1;
        }
    }
    report.told("events in the outbox", events.len());
    report.same("gaps in the outbox", 0, gaps);
    let once = of_customers.iter().filter(|((name, _), count)| name == "customer.created" && **count == 1).count();
    let customers = acknowledged.customers.lock().unwrap().clone();
    report.same("customers with one event of their creation", customers.len(), once);
    let changes: usize = of_customers.iter().filter(|((name, _), _)| name == "customer.updated").map(|(_, n)| n).sum();
    report.same("events of changes", customers.values().map(|customer| customer.changes).sum(), changes);

    let begin = Instant::now();
    while subscriber.told().sequences.last() < visible.last() && begin.elapsed() < OWED {
        sleep(Duration::from_millis(50)).await;
    }
    let told = subscriber.told();
    let distinct: BTreeSet<_> = told.sequences.iter().copied().collect();
    report.told("the subscriber was cut off", told.resumed);
    report.same("events it was told", visible.len(), told.sequences.len());
    report.same("events it was not told", 0, visible.iter().filter(|seq| !distinct.contains(seq)).count());
    report.same("events it was told twice", 0, told.sequences.len() - distinct.len());
    let disorder = told.sequences.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    report.same("events out of order", 0, disorder);
}

/// SHA-256 over parts that are preceded by their lengths.
fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    HEXLOWER.encode(&hasher.finalize())
}

/// Computes every commitment and hash of the audit log again.
async fn audit(raw: &DatabaseConnection, report: &mut Report) {
    let sql = "SELECT seq, created_at, actor_id, action, record_type, record_id, changes, salt, commitment, hash \
               FROM audit_log ORDER BY seq";
    let entries = rows(raw, sql).await;
    let (mut hash, mut broken) = (String::new(), 0);
    for (expected, row) in (1i64..).zip(&entries) {
        let text = |index: usize| row.try_get_by_index::<String>(index).unwrap();
        let id = |index: usize| row.try_get_by_index::<Uuid>(index).unwrap().to_string();
        let seq: i64 = row.try_get_by_index(0).unwrap();
        let at: DateTime<Utc> = row.try_get_by_index(1).unwrap();
        let changes: Value = row.try_get_by_index(6).unwrap();
        let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let commitment = digest(&[&text(7), &changes.to_string()]);
        hash = digest(&[&hash, &seq.to_string(), &at, &id(2), &text(3), &text(4), &id(5), &commitment]);
        broken += usize::from(seq != expected || commitment != text(8) || hash != text(9));
    }
    report.told("entries of the audit log", entries.len());
    report.same("entries whose hash or number is wrong", 0, broken);
    let head = rows(raw, "SELECT audit_hash FROM event_head").await;
    let head: String = head[0].try_get_by_index(0).unwrap();
    report.same("the chain ends at the head", true, head == hash);
}
