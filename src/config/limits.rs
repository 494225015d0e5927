//! `[limits]`: the bounds of one GraphQL document.

use serde::Deserialize;

use super::problem::Problem;

/// The bounds of one GraphQL document.
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
    }
}
