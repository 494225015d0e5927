//! `[limits]`: the bounds of one GraphQL document and of one page.

use serde::Deserialize;

use super::problem::Problem;

/// The bounds of one GraphQL document and of one page.
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
    /// How many records a list returns when the query does not say.
    pub page_default: u32,
    /// How many records can be asked for at most.
    pub page_max: u32,
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
            ("limits.page_default", u64::from(self.page_default)),
        ] {
            if value == 0 {
                problems.push(Problem::new(
                    setting,
                    "is 0, which would refuse every query",
                    "Take the default by leaving it out.",
                ));
            }
        }
        if self.page_default > self.page_max {
            problems.push(Problem::new(
                "limits.page_default",
                format!("is {}, more than limits.page_max ({})", self.page_default, self.page_max),
                "Lower it, or raise limits.page_max.",
            ));
        }
        if self.page_max > 1000 {
            problems.push(Problem::new(
                "limits.page_max",
                format!("is {}", self.page_max),
                "At most 1000 records fit one page; read more with `after`.",
            ));
        }
    }
}
