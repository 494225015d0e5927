//! A small schema behind the real transports, and a server that serves it on a port of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_graphql::{
    Context, Enum, ErrorExtensions, InputObject, Json, Object, Request, Response, Schema, SimpleObject, Subscription,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream, Stream},
};
use rapport::{
    error::{Error, Result},
    graphql::{
        limits::{Documents, Limits},
        request::RequestInfo,
    },
    http::{Backend, Component, Credentials, HttpSettings, Lifecycle, PartState, Readiness, router, serve},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::JoinHandle,
};

pub type ToySchema = Schema<Query, Mutation, Events>;

/// The schema's SDL and nothing behind it.
pub fn schema() -> ToySchema {
    Schema::build(Query, Mutation, Events).disable_suggestions().finish()
}

fn refused(message: &str, code: &str) -> async_graphql::Error {
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

pub struct Query;

#[Object]
impl Query {
    async fn hello(&self, #[graphql(default = "world")] name: String) -> String {
        format!("Hello, {name}!")
    }

    async fn even(&self, number: Even) -> i32 {
        number.0
    }

    async fn echo(&self, value: Json<serde_json::Value>) -> Json<serde_json::Value> {
        value
    }

    async fn customers(
        &self,
        first: Option<i32>,
        last: Option<i32>,
        r#where: Option<CustomerWhere>,
    ) -> CustomerConnection {
        let _ = (last, r#where.map(|filter| (filter.name, filter.and.map(|all| all.len()))));
        CustomerConnection { length: first.unwrap_or(20) }
    }

    async fn nodes(&self, ids: Vec<i32>) -> Vec<Customer> {
        ids.into_iter().map(|id| Customer { id }).collect()
    }

    /// Fails alone.
    async fn forbidden(&self, context: &Context<'_>) -> Option<i32> {
        let error = refused("missing permission customers.read", "FORBIDDEN");
        context.add_error(context.set_error_path(error.into_server_error(context.item.pos)));
        None
    }

    /// Takes the whole answer with it.
    async fn required(&self) -> async_graphql::Result<i32> {
        Err(refused("not found", "NOT_FOUND"))
    }

    /// An error that was not written for callers.
    async fn leaking(&self) -> async_graphql::Result<i32> {
        Err(async_graphql::Error::new("no such table: secrets"))
    }

    async fn panicking(&self) -> i32 {
        let nothing: Vec<i32> = Vec::new();
        nothing[42]
    }

    async fn slow(&self, milliseconds: u64) -> bool {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        true
    }

    /// Who asks, and what is known of the request.
    async fn caller(&self, context: &Context<'_>) -> async_graphql::Result<Caller> {
        let info = context.data::<RequestInfo>()?;
        Ok(Caller {
            name: context.data::<Session>()?.name.clone(),
            address: info.client_address.to_string(),
            idempotency_key: info.idempotency_key.as_deref().map(ToOwned::to_owned),
            transport: format!("{:?}", info.transport),
        })
    }
}

#[derive(SimpleObject)]
struct Caller {
    name: String,
    address: String,
    idempotency_key: Option<String>,
    transport: String,
}

#[derive(InputObject)]
struct CustomerWhere {
    name: Option<String>,
    and: Option<Vec<CustomerWhere>>,
}

/// A scalar with an opinion.
struct Even(i32);

#[async_graphql::Scalar]
impl async_graphql::ScalarType for Even {
    fn parse(value: async_graphql::Value) -> async_graphql::InputValueResult<Self> {
        match value {
            async_graphql::Value::Number(number) => match number.as_i64().and_then(|number| i32::try_from(number).ok())
            {
                Some(number) if number % 2 == 0 => Ok(Self(number)),
                _ => Err(async_graphql::InputValueError::custom("not even")),
            },
            other => Err(async_graphql::InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> async_graphql::Value {
        self.0.into()
    }
}

pub struct CustomerConnection {
    length: i32,
}

#[Object]
impl CustomerConnection {
    async fn nodes(&self) -> Vec<Customer> {
        (0..self.length).map(|id| Customer { id }).collect()
    }

    async fn edges(&self) -> Vec<CustomerEdge> {
        (0..self.length).map(|id| CustomerEdge { cursor: id.to_string(), node: Customer { id } }).collect()
    }

    async fn page_info(&self) -> PageInfo {
        PageInfo { has_next_page: false }
    }

    async fn total_count(&self) -> i32 {
        self.length
    }
}

#[derive(SimpleObject)]
struct CustomerEdge {
    cursor: String,
    node: Customer,
}

#[derive(SimpleObject)]
struct PageInfo {
    has_next_page: bool,
}

pub struct Customer {
    id: i32,
}

#[Object]
impl Customer {
    async fn id(&self) -> i32 {
        self.id
    }

    async fn name(&self) -> String {
        format!("Customer {}", self.id)
    }

    async fn status(&self) -> Status {
        Status::Active
    }

    async fn parent(&self) -> Option<Customer> {
        (self.id > 0).then(|| Customer { id: self.id - 1 })
    }

    async fn contacts(&self, first: Option<i32>) -> CustomerConnection {
        CustomerConnection { length: first.unwrap_or(20) }
    }

    async fn tags(&self) -> Vec<Tag> {
        vec![Tag { label: "new".to_owned() }]
    }
}

#[derive(Clone, Copy, Enum, PartialEq, Eq)]
enum Status {
    Active,
}

#[derive(SimpleObject)]
struct Tag {
    label: String,
}

pub struct Mutation;

#[Object]
impl Mutation {
    async fn rename(&self, name: String) -> String {
        name
    }

    async fn login(&self, input: LoginInput) -> LoginPayload {
        let right = input.password == "demo";
        LoginPayload {
            access_token: right.then(|| format!("demo-{}-{}", input.email, input.tenant.unwrap_or_default())),
            user_errors: if right { Vec::new() } else { vec![Problem { message: "wrong password".to_owned() }] },
        }
    }
}

#[derive(InputObject)]
struct LoginInput {
    email: EmailAddress,
    password: String,
    tenant: Option<String>,
}

#[derive(SimpleObject)]
struct LoginPayload {
    access_token: Option<String>,
    user_errors: Vec<Problem>,
}

#[derive(SimpleObject)]
struct Problem {
    message: String,
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct EmailAddress(String);
async_graphql::scalar!(EmailAddress);

impl std::fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

pub struct Events;

#[Subscription]
impl Events {
    /// Counts from 1 to `to`.
    async fn counter(&self, to: i32) -> impl Stream<Item = i32> {
        stream::iter(1..=to)
    }

    /// Says one number, then waits for ever.
    async fn waiting(&self, context: &Context<'_>) -> async_graphql::Result<impl Stream<Item = i32> + use<>> {
        let open = Arc::clone(&context.data::<Toy>()?.open);
        let guard = Open::new(&open);
        Ok(stream::iter([1]).chain(stream::pending()).map(move |number| {
            let _ = &guard;
            number
        }))
    }

    /// As much as the client will take.
    async fn flood(&self) -> impl Stream<Item = String> {
        stream::repeat_with(|| "x".repeat(10_000))
    }

    /// Cannot even begin.
    async fn forbidden(&self) -> async_graphql::Result<stream::Empty<i32>> {
        Err(refused("missing permission customers.read", "FORBIDDEN"))
    }

    /// Fails at the second event.
    async fn failing(&self) -> impl Stream<Item = async_graphql::Result<i32>> {
        stream::iter([Ok(1), Err(refused("lost", "RESYNC")), Ok(3)])
    }

    async fn panicking(&self) -> impl Stream<Item = i32> {
        stream::iter([1, 2]).inspect(|number| assert!(*number < 2, "the secret is 42"))
    }
}

/// Counts the subscriptions that are open.
struct Open(Arc<watch::Sender<usize>>);

impl Open {
    fn new(open: &Arc<watch::Sender<usize>>) -> Self {
        open.send_modify(|count| *count += 1);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[derive(Clone, Debug)]
pub struct Session {
    name: String,
}

/// The application.
#[derive(Clone)]
pub struct Toy {
    schema: ToySchema,
    documents: Documents,
    /// Ends the sessions that wait for it.
    pub revoke: Arc<Notify>,
    /// How many `waiting` subscriptions are open.
    pub open: Arc<watch::Sender<usize>>,
}

impl Toy {
    pub fn new(limits: Limits) -> Self {
        let schema = schema();
        let documents = Documents::new(&schema.sdl(), limits).unwrap();
        Self { schema, documents, revoke: Arc::default(), open: Arc::new(watch::Sender::new(0)) }
    }
}

impl Backend for Toy {
    type Session = Session;
    type Connection = ();

    fn documents(&self) -> &Documents {
        &self.documents
    }

    async fn authenticate(&self, credentials: Credentials) -> Result<Session> {
        match credentials.token.as_deref() {
            None => Ok(Session { name: "nobody".to_owned() }),
            Some("slow") => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok(Session { name: "slow".to_owned() })
            }
            Some("throttled") => Err(Error::Throttled { retry_after: Duration::from_secs(7) }),
            Some("suspended") => Err(Error::TenantSuspended),
            Some("migrating") => Err(Error::TenantMigrating),
            Some("broken") => Err(Error::internal("connection to 10.0.0.5 refused")),
            Some(token) if token.starts_with("bad") => Err(Error::Unauthenticated("the token has ended".into())),
            Some(token) => Ok(Session { name: token.to_owned() }),
        }
    }

    fn charge(&self, _session: &Session, _cost: u64) -> Result<Option<u64>> {
        Ok(None)
    }

    fn connect(&self, session: &Session) -> Result<()> {
        if session.name == "everywhere" {
            return Err(Error::Throttled { retry_after: Duration::from_secs(7) });
        }
        Ok(())
    }

    async fn execute(&self, session: &Session, request: Request) -> Response {
        self.schema.execute(request.data(session.clone()).data(self.clone())).await
    }

    fn subscribe(&self, session: &Session, request: Request) -> BoxStream<'static, Response> {
        self.schema.execute_stream(request.data(session.clone()).data(self.clone()))
    }

    async fn revoked(&self, _session: &Session) -> Error {
        self.revoke.notified().await;
        Error::Unauthenticated("access was revoked".into())
    }
}

/// Up or down, as the test says.
#[derive(Clone)]
pub struct Health(Arc<watch::Sender<bool>>);

impl Readiness for Health {
    async fn check(&self) -> Vec<Component> {
        vec![
            Component { name: "master", status: PartState::of(*self.0.borrow()), detail: None },
            Component { name: "bus", status: PartState::Up, detail: Some("not configured".to_owned()) },
        ]
    }
}

/// A running server. Stops when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub toy: Toy,
    pub up: Arc<watch::Sender<bool>>,
    pub lifecycle: Lifecycle,
    pub client: reqwest::Client,
    pub serving: Option<JoinHandle<std::io::Result<()>>>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(HttpSettings::default()).await
    }

    pub async fn with(settings: HttpSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let toy = Toy::new(Limits::default());
        let up = Arc::new(watch::Sender::new(true));
        let lifecycle = Lifecycle::new();
        let router = router(toy.clone(), Health(Arc::clone(&up)), settings.clone(), &lifecycle);
        let serving = Some(tokio::spawn({
            let lifecycle = lifecycle.clone();
            async move { serve(listener, router, &settings, &lifecycle).await }
        }));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { address, toy, up, lifecycle, client, serving }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a document and reads the answer.
    pub async fn ask(&self, query: &str) -> serde_json::Value {
        self.post(serde_json::json!({ "query": query })).await.json().await.unwrap()
    }

    pub async fn post(&self, body: serde_json::Value) -> reqwest::Response {
        self.client.post(self.url("/graphql")).json(&body).send().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}
