//! The GraphQL transports over real connections, in front of a toy schema.

mod audit;
mod graphiql;
mod http;
mod limits;
mod points;
mod sse;
mod toy;
mod websocket;
