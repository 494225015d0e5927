//! Who acts and what they may do. Pure rules: nothing here reads a database.
//!
//! | module | what it guarantees |
//! |---|---|
//! | [`permission`] | a permission that is not in the list can be neither granted nor asked for |
//! | [`actor`] | every read and write of tenant data happens for somebody |
//! | [`password`] | a stolen table does not give passwords away; an unknown address costs as much as a wrong password; a flood of logins cannot exhaust memory |
//! | [`access_token`] | who logged in, signed; never what they may do |
//! | [`refresh`] | a copied refresh token ends the session as soon as both holders have gone on; a lost answer does not |
//! | [`secret`] | what is stored of a refresh token, an API key or a link opens nothing |
//! | [`seal`] | a stolen table does not give away the secrets that have to be used again |
//! | [`connections`] | nobody holds more connections open than his share |
//! | [`throttle`] | guessing is slow, and nobody can lock somebody else out |
//!
//! The way of a request: the bearer token is an access token or, when it begins with `rak_`, an API key. Either names
//! an account. The server looks up the account's tenant, status, epoch and role, in memory where it can, refuses what
//! no longer counts, and makes an [`Actor`] of the role's permissions and scope (for a key: of what the key and the
//! role both allow). From there on the actor alone decides, and nobody looks at the token again.
//!
//! What is revoked, and how, is told in `docs/authorization.md`, together with the roles and their permissions.

pub mod access_token;
pub mod actor;
pub mod connections;
pub mod password;
pub mod permission;
pub mod refresh;
pub mod seal;
pub mod secret;
pub mod throttle;

pub use actor::{Actor, ActorKind};
pub use permission::{Action, DataScope, Permission, PermissionSet};
