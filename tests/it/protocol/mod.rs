//! The GraphQL transports over real connections, in front of a toy schema; and the tools of those who build on the API.

mod audit;
mod graphiql;
mod http;
mod introspection;
mod limits;
mod points;
mod sse;
mod tools;
mod toy;
mod websocket;
