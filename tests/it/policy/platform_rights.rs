//! Where the platform itself acts in a tenant, with every right: a list that only gets shorter. Everything else acts for
//! somebody, and may do what he may.

use std::collections::BTreeMap;

use super::source::{self, names};

/// The files in which the platform's own actor is made, how often, and why. Act for the user instead of adding to this
/// list.
const PLACES: [(&str, usize, &str); 6] = [
    ("src/cli/platform.rs", 1, "commands of those who run the platform: users and imports"),
    ("src/jobs/worker.rs", 1, "work that nobody waits for, such as sending e-mail"),
    ("src/services/demo/mod.rs", 1, "the made-up data of the demo"),
    ("src/services/identity/mirror.rs", 1, "what a crash left untold: nobody knows any more who acted"),
    ("src/services/identity/password.rs", 1, "a link to reset a password is asked for by nobody who is logged in"),
    ("src/services/identity/provisioning.rs", 2, "a new tenant has no users yet"),
];

#[test]
fn the_platform_acts_in_tenants_where_it_must_and_nowhere_else() {
    let mut found = BTreeMap::new();
    for source in source::all() {
        let code = source.code();
        let calls = code.matches("Actor::system(").count();
        // `data` makes it to look at rows on behalf of rules, and `auth` is where it is defined.
        if calls > 0 && names(&code, "Actor") && !["data", "auth"].contains(&source.module[0].as_str()) {
            found.insert(source.path.clone(), calls);
        }
    }
    let known: BTreeMap<String, usize> = PLACES.iter().map(|(path, calls, _)| ((*path).to_owned(), *calls)).collect();
    assert_eq!(found, known, "a place where the platform acts came or went: see PLACES in {}", file!());
}
