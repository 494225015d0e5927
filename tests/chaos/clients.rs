//! Who writes: each client one mutation after the other, sent again under the same key until it is acknowledged.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use super::{Arguments, fleet::Fleet};

/// How long one mutation may take with all its repetitions.
const PATIENCE: Duration = Duration::from_secs(180);

const CREATE: &str = "mutation($input: CustomerCreateInput!) {
    result: customerCreate(input: $input) { customer { id } userErrors { code message } } }";
const UPDATE: &str = "mutation($id: ID!, $input: CustomerUpdateInput!) {
    result: customerUpdate(id: $id, input: $input) { customer { id } userErrors { code message } } }";
const INVITE: &str = "mutation($input: UserInviteInput!) {
    result: userInvite(input: $input) { user { id } userErrors { code message } } }";

/// What was acknowledged.
#[derive(Default)]
pub struct Acknowledged {
    /// How many mutations.
    pub count: AtomicUsize,
    /// How often one had to be sent again.
    pub repeated: AtomicUsize,
    /// Customers by their references: the id, the number written last, and how often it was written.
    pub customers: Mutex<BTreeMap<String, Customer>>,
    /// The addresses that were invited.
    pub invited: Mutex<Vec<String>>,
    /// Invitations that came through at a first attempt which was never answered, so that the second was refused.
    pub unclear: Mutex<Vec<String>>,
}

/// A customer as its client knows it.
#[derive(Clone, Debug)]
pub struct Customer {
    /// Its id.
    pub id: String,
    /// The number that was written last.
    pub number: i64,
    /// How many changes were acknowledged.
    pub changes: usize,
}

/// The clients at work.
pub struct Clients(JoinSet<()>);

impl Clients {
    /// Starts them.
    pub fn start(fleet: Arc<Fleet>, acknowledged: Arc<Acknowledged>, arguments: &Arguments) -> Self {
        let mut clients = JoinSet::new();
        for number in 0..arguments.clients {
            let share =
                arguments.mutations / arguments.clients + usize::from(number < arguments.mutations % arguments.clients);
            let dice = StdRng::seed_from_u64(arguments.seed * 1000 + number as u64);
            let client = Client {
                number,
                dice,
                fleet: fleet.clone(),
                acknowledged: acknowledged.clone(),
                own: Vec::new(),
                role: None,
            };
            clients.spawn(client.work(share));
        }
        Self(clients)
    }

    /// Waits until all have done their share.
    pub async fn done(mut self) {
        while let Some(done) = self.0.join_next().await {
            done.unwrap();
        }
    }
}

struct Client {
    number: usize,
    dice: StdRng,
    fleet: Arc<Fleet>,
    acknowledged: Arc<Acknowledged>,
    /// The references of its customers.
    own: Vec<String>,
    /// The role that it invites people to.
    role: Option<Value>,
}

impl Client {
    async fn work(mut self, share: usize) {
        for index in 0..share {
            let name = format!("c{}-{index}", self.number);
            match self.dice.random_range(0..20) {
                0 => self.invite(&format!("{name}@acme.example")).await,
                1..8 if !self.own.is_empty() => self.change(index as i64).await,
                _ => self.create(name).await,
            }
            self.acknowledged.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn create(&mut self, name: String) {
        let input = json!({ "name": name, "externalReference": name, "employeeCount": 0 });
        let (payload, _) = self.send(CREATE, json!({ "input": input }), &name).await;
        assert_eq!(payload["userErrors"], json!([]), "{name}");
        let id = payload["customer"]["id"].as_str().unwrap().to_owned();
        let customer = Customer { id, number: 0, changes: 0 };
        self.acknowledged.customers.lock().unwrap().insert(name.clone(), customer);
        self.own.push(name);
    }

    async fn change(&mut self, number: i64) {
        let name = self.own[self.dice.random_range(0..self.own.len())].clone();
        let id = self.acknowledged.customers.lock().unwrap()[&name].id.clone();
        let input = json!({ "id": id, "input": { "employeeCount": number + 1 } });
        let (payload, _) = self.send(UPDATE, input, &format!("u{}-{number}", self.number)).await;
        assert_eq!(payload["userErrors"], json!([]), "{name}");
        let mut customers = self.acknowledged.customers.lock().unwrap();
        let customer = customers.get_mut(&name).unwrap();
        customer.number = number + 1;
        customer.changes += 1;
    }

    async fn invite(&mut self, email: &str) {
        if self.role.is_none() {
            let query = "{ result: roles { nodes { id name } } }";
            let (roles, _) = self.send(query, json!({}), "").await;
            let agent = roles["nodes"].as_array().unwrap().iter().find(|role| role["name"] == "Agent").unwrap();
            self.role = Some(agent["id"].clone());
        }
        let input = json!({ "name": "Bob", "email": email, "roleId": self.role });
        let (payload, attempts) = self.send(INVITE, json!({ "input": input }), email).await;
        if payload["userErrors"] == json!([]) {
            self.acknowledged.invited.lock().unwrap().push(email.to_owned());
        } else {
            assert!(attempts > 1, "{email}: {payload}");
            self.acknowledged.unclear.lock().unwrap().push(email.to_owned());
        }
    }

    /// Sends an operation until it is answered; answers what came back, and how often it was sent.
    async fn send(&mut self, query: &str, variables: Value, key: &str) -> (Value, usize) {
        let begin = Instant::now();
        let mut last = None;
        for attempt in 1.. {
            let node = self.dice.random_range(0..1000);
            let key = Some(key).filter(|key| !key.is_empty());
            let answer = self.fleet.ask(node, query, variables.clone(), key).await;
            if let Some(answer) = &answer
                && answer.get("errors").is_none()
                && answer["data"]["result"].is_object()
            {
                return (answer["data"]["result"].clone(), attempt);
            }
            last = answer.or(last);
            assert!(begin.elapsed() < PATIENCE, "{variables} is not acknowledged: {last:?}");
            self.acknowledged.repeated.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(self.dice.random_range(20..100))).await;
        }
        unreachable!("it is sent for ever")
    }
}
