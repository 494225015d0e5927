//! `[limits]`: the bounds of one GraphQL document, of what a tenant may spend, and of subscribers.

use serde::Deserialize;

use super::problem::Problem;

/// What a request, a tenant and a subscriber may ask for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How deep fields may nest.
    pub depth: u32,
    /// The cost of a document.
    pub complexity: u64,
    /// How many aliases.
    pub aliases: u32,
    /// How many fields at the root.
    pub root_fields: u32,
    /// How many tokens.
    pub tokens: u32,
    /// How many directives.
    pub directives: u32,
    /// How many points of cost a tenant may spend at once.
    pub tenant_points: u32,
    /// How many points it gets back each second; 0: there is no limit.
    pub tenant_points_per_second: u32,
    /// How many sockets and event streams a user may hold open on a node.
    pub live_connections_per_user: u32,
    /// How many sockets and event streams the users of a tenant together may hold open on a node.
    pub live_connections_per_tenant: u32,
    /// How many events a subscriber may be behind before it is sent away.
    pub live_backlog: u32,
}

impl Limits {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        for (setting, value) in [
            ("limits.depth", u64::from(self.depth)),
            ("limits.complexity", self.complexity),
            ("limits.aliases", u64::from(self.aliases)),
            ("limits.root_fields", u64::from(self.root_fields)),
            ("limits.tokens", u64::from(self.tokens)),
            ("limits.directives", u64::from(self.directives)),
        ] {
            if value == 0 {
                problems.push(Problem::new(
                    setting,
                    "is 0, which would refuse every query",
                    "Take the default by leaving it out.",
                ));
            }
        }
        if u64::from(self.tenant_points) < self.complexity {
            problems.push(Problem::new(
                "limits.tenant_points",
                format!("is {}, less than limits.complexity ({})", self.tenant_points, self.complexity),
                "Raise it, or what limits.complexity allows could never run.",
            ));
        }
        if self.tenant_points_per_second > 1_000_000 {
            problems.push(Problem::new(
                "limits.tenant_points_per_second",
                format!("is {}", self.tenant_points_per_second),
                "Write at most 1000000, or 0 for no limit.",
            ));
        }
        for (setting, value) in [
            ("limits.live_connections_per_user", self.live_connections_per_user),
            ("limits.live_backlog", self.live_backlog),
        ] {
            if value == 0 {
                problems.push(Problem::new(
                    setting,
                    "is 0, which would end every subscription",
                    "Take the default by leaving it out.",
                ));
            }
        }
        if self.live_connections_per_tenant < self.live_connections_per_user {
            problems.push(Problem::new(
                "limits.live_connections_per_tenant",
                format!(
                    "is {}, less than limits.live_connections_per_user ({})",
                    self.live_connections_per_tenant, self.live_connections_per_user
                ),
                "Raise it, or one user could not hold what limits.live_connections_per_user allows.",
            ));
        }
    }
}
