//! Several nodes on one PostgreSQL, with NATS between them: real processes of the program, some of which are killed.

use std::time::{Duration, Instant};

use entity::tenant::email_message::{self, EmailStatus};
use rapport::config::Secret;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};

use crate::support::{
    Engine, Session, TestApp, TestTenant,
    platform::connect,
    process::Process,
    proxy::Proxy,
    sequence,
    session::EventStream,
    smtp::{Reply, SmtpServer},
};

/// A secret that `serve` accepts.
const SECRET: &str = "jV4cXq8P0sRz7LwY2nTb6KdGh1MfUa9EoQiCx3Ws5Zk";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
const SUBSCRIPTION: &str = "subscription { recordChanged(after: \"0\") { event sequence recordId } }";
const INVITE: &str =
    "mutation($input: UserInviteInput!) { userInvite(input: $input) { user { id } userErrors { code } } }";

/// The NATS server for tests, as `host:port`.
fn nats() -> String {
    let url = std::env::var("RAPPORT_TEST_NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    url.trim_start_matches("nats://").trim_end_matches('/').to_owned()
}

/// An installation: its databases with a tenant, its bus, its mail server. Nodes are started by the tests.
struct Installation {
    app: TestApp,
    tenant: TestTenant,
    bus: Proxy,
    mail: SmtpServer,
    prefix: String,
}

impl Installation {
    async fn start() -> Self {
        let app = TestApp::start_with(Engine::Postgres, |config| {
            config.auth.secret = Some(Secret::new(SECRET));
            config.database.tenant_connections = 2;
            config.database.master_connections = 2;
        })
        .await;
        let tenant = app.tenant("acme").await;
        let prefix = format!("test{:016x}", rand::random::<u64>());
        Self { app, tenant, bus: Proxy::start(nats()).await, mail: SmtpServer::start().await, prefix }
    }

    async fn node(&self, arguments: &[&str]) -> Process {
        self.node_with(arguments, &format!("nats://{}", self.bus.address)).await
    }

    async fn node_with(&self, arguments: &[&str], bus: &str) -> Process {
        let mut variables = self.app.variables();
        variables.extend([
            ("RAPPORT_AUTH__SECRET", SECRET.to_owned()),
            ("RAPPORT_BUS__URL", bus.to_owned()),
            ("RAPPORT_BUS__PREFIX", self.prefix.clone()),
            ("RAPPORT_MAIL__URL", self.mail.url()),
            ("RAPPORT_MAIL__FROM", "crm@rapport.example".to_owned()),
            ("RAPPORT_DATABASE__MASTER_CONNECTIONS", "3".to_owned()),
            ("RAPPORT_DATABASE__TENANT_CONNECTIONS", "3".to_owned()),
        ]);
        let node = Process::start(env!("CARGO_BIN_EXE_rapport"), &variables, arguments).await;
        if bus.contains(&self.bus.address.to_string()) {
            part_is(&node, "bus", "up").await;
        }
        node
    }

    /// The administrator of the tenant at a node.
    fn admin(&self, node: &Process) -> Session {
        self.tenant.admin.at(node.url("/graphql"))
    }

    async fn invite(&self, node: &Process, email: &str) {
        let admin = self.admin(node);
        let roles = admin.data("{ roles { nodes { id name } } }", json!({})).await;
        let agent = roles["roles"]["nodes"].as_array().unwrap().iter().find(|role| role["name"] == "Agent").unwrap();
        let input = json!({ "name": "Bob", "email": email, "roleId": agent["id"] });
        admin.mutate(INVITE, json!({ "input": input })).await;
    }
}

/// The status of a node's `/health`, and what it says.
#[expect(clippy::disallowed_methods, reason = "tests speak to the server that they started")]
async fn get(node: &Process, path: &str) -> (u16, Value) {
    let answer = reqwest::get(node.url(path)).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// How a part of a node is; null when it has no such part.
async fn part(node: &Process, name: &str) -> Value {
    let (_, health) = get(node, "/health").await;
    let parts = health["components"].as_array().unwrap();
    parts.iter().find(|part| part["name"] == name).map_or(Value::Null, |part| part["status"].clone())
}

/// Waits until a part of a node is so.
async fn part_is(node: &Process, name: &str, status: &str) {
    let begin = Instant::now();
    while part(node, name).await != status {
        assert!(begin.elapsed() < PATIENCE, "{name} is not {status}\n{}", node.log().join("\n"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn create(session: &Session, name: &str) -> Value {
    let create =
        "mutation($name: String!) { customerCreate(input: { name: $name }) { customer { id } userErrors { code } } }";
    session.mutate(create, json!({ "name": name })).await["customer"]["id"].clone()
}

/// A subscription that has caught up.
async fn subscribed(session: &Session) -> EventStream {
    let mut stream = session.stream(SUBSCRIPTION).await;
    assert_eq!(stream.status().0, 200);
    let newest = create(session, "the newest").await;
    while next(&mut stream).await["data"]["recordChanged"]["recordId"] != newest {}
    stream
}

async fn next(stream: &mut EventStream) -> Value {
    tokio::time::timeout(PATIENCE, stream.next()).await.expect("an event in time").expect("the stream goes on")
}

/// How long it takes from the order to the subscriber, many times, the fastest first.
async fn latencies(writer: &Session, stream: &mut EventStream, times: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for index in 0..times {
        // Not in step with what looks once a second.
        tokio::time::sleep(Duration::from_millis(37)).await;
        let (name, begin) = (format!("C{index}"), Instant::now());
        let (_, told) = tokio::join!(create(writer, &name), next(stream));
        assert_eq!(told["data"]["recordChanged"]["event"], "customer.created");
        took.push(begin.elapsed());
    }
    took.sort();
    took
}

fn middle(took: &[Duration]) -> Duration {
    took[took.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_one_node_reaches_subscribers_of_the_others_with_the_bus_and_without() {
    let all = Installation::start().await;
    let (near, far) = (all.node(&[]).await, all.node(&[]).await);
    // A node that was given a bus that is not there.
    let lost = all.node_with(&[], "nats://127.0.0.1:1").await;
    let writer = all.admin(&near);
    let mut stream = subscribed(&all.admin(&far)).await;
    let took = latencies(&writer, &mut stream, 20).await;
    eprintln!("with the bus: {:?} in the middle, {:?} at most", middle(&took), took[19]);
    assert!(middle(&took) < Duration::from_millis(300), "{took:?}");

    assert_eq!(part(&lost, "bus").await, "degraded");
    assert_eq!((get(&lost, "/health").await.0, get(&lost, "/health/ready").await.0), (200, 200));
    let mut lonely = subscribed(&all.admin(&lost)).await;
    next(&mut stream).await;
    let took = latencies(&writer, &mut lonely, 5).await;
    eprintln!("to a node whose bus is not there: {:?} in the middle, {:?} at most", middle(&took), took[4]);
    assert!(took[4] < Duration::from_secs(4), "{took:?}");
    for _ in 0..5 {
        next(&mut stream).await;
    }

    all.bus.cut();
    part_is(&near, "bus", "degraded").await;
    part_is(&far, "bus", "degraded").await;
    let took = latencies(&writer, &mut stream, 10).await;
    eprintln!("with the bus killed: {:?} in the middle, {:?} at most", middle(&took), took[9]);
    assert!(took[9] < Duration::from_secs(4), "{took:?}");

    all.bus.mend();
    part_is(&near, "bus", "up").await;
    part_is(&far, "bus", "up").await;
    let took = latencies(&writer, &mut stream, 10).await;
    eprintln!("with the bus back: {:?} in the middle, {:?} at most", middle(&took), took[9]);
    assert!(middle(&took) < Duration::from_millis(300), "{took:?}");
    // Each change of its state is told once, however often it is tried.
    for (node, times) in [(&far, 1), (&lost, 1)] {
        let told = node.log().iter().filter(|line| line.contains("the bus is not connected")).count();
        assert_eq!(told, times, "{}", node.log().join("\n"));
    }
}

/// Each node does what its role says, and a node that only works hears of work at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_share_the_work() {
    let all = Installation::start().await;
    let (api, worker) = (all.node(&["--role", "api"]).await, all.node(&["--role", "worker"]).await);
    assert_eq!((part(&api, "worker").await, part(&worker, "worker").await), (Value::Null, json!("up")));
    for node in [&api, &worker] {
        assert_eq!(get(node, "/health/ready").await.0, 200);
    }
    let refused = get(&worker, "/graphql?query=%7B__typename%7D").await;
    assert_eq!((refused.0, &refused.1["errors"][0]["extensions"]["code"]), (404, &json!("NOT_FOUND")));

    let mut took = Vec::new();
    for index in 0..10 {
        all.invite(&api, &format!("bob{index}@acme.example")).await;
        let begin = Instant::now();
        all.mail.wait_for(index + 1).await;
        took.push(begin.elapsed());
    }
    took.sort();
    eprintln!(
        "from the answer to the mail server, by another node: {:?} in the middle, {:?} at most",
        middle(&took),
        took[9]
    );
    assert!(middle(&took) < Duration::from_millis(300), "{took:?}");

    // What is lost on the way is found all the same.
    all.bus.cut();
    part_is(&api, "bus", "degraded").await;
    let begin = Instant::now();
    all.invite(&api, "late@acme.example").await;
    all.mail.wait_for(11).await;
    eprintln!("with the bus killed: {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(4));
}

/// A node is killed while a mail server that says nothing holds its work; the other node does the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_a_killed_node_is_taken_over_and_no_event_is_lost() {
    let all = Installation::start().await;
    all.mail.when(|verb, _| (verb == "DATA").then_some(Reply::Silence));
    let (mut dying, other) = (all.node(&[]).await, all.node(&["--role", "api"]).await);
    let mut stream = subscribed(&all.admin(&other)).await;
    for name in ["one", "two", "three"] {
        all.invite(&dying, &format!("{name}@acme.example")).await;
    }
    let begin = Instant::now();
    while all.mail.connections() == 0 {
        assert!(begin.elapsed() < PATIENCE, "nobody sends");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Now somebody else could do it, and the mail server has come to its senses.
    let worker = all.node(&["--role", "worker"]).await;
    all.mail.when(|_, _| None);
    dying.kill();
    let killed = Instant::now();
    while all.mail.received().len() < 2 {
        assert!(killed.elapsed() < PATIENCE, "nobody took it over\n{}", worker.log().join("\n"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("taken over {:?} after the kill", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(18), "{:?}", killed.elapsed());
    // The one that was being sent is tried again when its pause is over.
    let connection = connect(&all.app.tenant_url(all.tenant.id)).await;
    let mail = email_message::Entity::find().order_by_asc(email_message::Column::Id).all(&connection).await.unwrap();
    connection.close().await.unwrap();
    let statuses: Vec<_> = mail.iter().map(|message| (message.status, message.attempts)).collect();
    assert_eq!(statuses, [(EmailStatus::Queued, 1), (EmailStatus::Sent, 1), (EmailStatus::Sent, 1)]);

    let mut last = None;
    let mut invited = 0;
    while invited < 3 {
        let told = next(&mut stream).await;
        invited += usize::from(told["data"]["recordChanged"]["event"] == "user.created");
        let sequence = sequence(&told);
        assert!(last.is_none_or(|last| sequence > last));
        last = Some(sequence);
    }
}

/// Who loses his rights on one node loses them on the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_on_one_node_is_refused_on_the_others() {
    let all = Installation::start().await;
    let (near, far) = (all.node(&[]).await, all.node(&[]).await);
    let disable = "mutation($id: ID!) { userDisable(id: $id) { userErrors { code } } }";
    let mut took = Vec::new();
    for index in 0..6 {
        if index == 4 {
            all.bus.cut();
            part_is(&far, "bus", "degraded").await;
        }
        let session = all.app.user(&all.tenant, &format!("Gone {index}"), "Agent").await;
        let gone = session.at(far.url("/graphql"));
        gone.data("{ me { roleName } }", json!({})).await;
        all.admin(&near).mutate(disable, json!({ "id": gone.user_id })).await;
        let begin = Instant::now();
        while gone.send("{ me { roleName } }", json!({})).await.body.get("errors").is_none() {
            assert!(begin.elapsed() < Duration::from_secs(4), "he is still let in");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(begin.elapsed());
    }
    eprintln!("refused elsewhere after {:?} with the bus, {:?} without", &took[..4], &took[4..]);
    assert!(middle(&took[..4]) < Duration::from_millis(500), "{took:?}");
}
