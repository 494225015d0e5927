//! The people of a demo tenant: one of every role, and three agents, among whom the customers are divided.

use super::{business::Business, dice::Dice, words::PASSWORD_WORDS};

/// A user of a demo tenant.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    /// The full name.
    pub name: &'static str,
    /// The built-in role.
    pub role: &'static str,
    /// What the person does.
    pub job_title: &'static str,
}

/// Whom a step of the story is done by: a place in [`Business::people`].
pub(super) const ADMIN: usize = 0;
pub(super) const MANAGER: usize = 1;
/// The first agent; the others follow.
pub(super) const AGENTS: usize = 2;
/// How many agents there are.
pub(super) const AGENT_COUNT: usize = 3;

/// A login of a demo tenant.
#[derive(Clone, Debug)]
pub struct Login {
    /// The tenant's slug.
    pub tenant: &'static str,
    /// The tenant's name.
    pub company: &'static str,
    /// The built-in role.
    pub role: &'static str,
    /// The full name.
    pub name: &'static str,
    /// The e-mail address.
    pub email: String,
    /// The password: made up, and known to everyone who sees the demo.
    pub password: String,
}

/// The logins of a tenant, in the order of its people. The same seed gives the same passwords.
#[must_use]
pub fn logins(business: &'static Business, seed: u64) -> Vec<Login> {
    let login = |(number, person): (u64, &Person)| {
        let mut dice = Dice::new(seed, business.slug, "password", number);
        let (first, second) = (dice.pick(PASSWORD_WORDS), dice.pick(PASSWORD_WORDS));
        Login {
            tenant: business.slug,
            company: business.name,
            role: person.role,
            name: person.name,
            email: format!("{}@{}.example", person.name.to_lowercase().replace(' ', "."), business.slug),
            password: format!("{first}-{second}-{}", dice.range(10, 99)),
        }
    };
    (0..).zip(&business.people).map(login).collect()
}
