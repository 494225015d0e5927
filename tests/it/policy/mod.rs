//! The rules of the house. Those that a compiler cannot hold are read from the sources; those of the API are held against
//! every root and argument of the schema.
//!
//! A test here that fails says what to do. Where a rule has exceptions, they are a list with reasons that only gets
//! shorter.

#![expect(clippy::unwrap_used, reason = "what a test cannot read or run fails it")]

mod coverage;
mod floors;
mod hostile;
mod isolation;
mod live;
mod logs;
mod permission_matrix;
mod platform_rights;
mod records;
mod source;
mod statements;
mod surface;
mod world;
