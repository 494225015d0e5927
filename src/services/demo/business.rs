//! What tells one demo tenant from the other: its people, what it sells, what its customers ask for.

use super::{machines::MACHINES, people::Person, software::SOFTWARE};

/// A demo tenant.
#[derive(Debug)]
pub struct Business {
    /// The tenant's name in URLs.
    pub slug: &'static str,
    /// The company's name.
    pub name: &'static str,
    /// The currency of its prices, ISO 4217.
    pub currency: &'static str,
    /// The IANA name of its time zone.
    pub time_zone: &'static str,
    /// Its users: Admin, Manager, three Agents, Viewer.
    pub people: [Person; 6],
    /// What it sells: [`PRODUCTS`] of them.
    pub(super) families: &'static [Family],
    /// The tax on everything, in percent with two decimals.
    pub(super) tax_rate: i64,
    /// What deals are about; `{}` is the customer.
    pub(super) deals: &'static [&'static str],
    /// Why deals are lost.
    pub(super) lost_reasons: &'static [&'static str],
    /// What tickets are about.
    pub(super) troubles: &'static [Trouble],
    /// What leads want.
    pub(super) wishes: &'static [&'static str],
}

/// How many products a tenant has.
pub(super) const PRODUCTS: usize = 40;

/// Products of a kind: one for each variant.
#[derive(Debug)]
pub(super) struct Family {
    /// What they are called, before the variant.
    pub name: &'static str,
    /// The beginning of their SKUs.
    pub sku: &'static str,
    /// What they are counted among.
    pub category: &'static str,
    /// What they are.
    pub description: &'static str,
    /// The variants, from the cheapest up.
    pub variants: &'static [&'static str],
    /// The price of the cheapest, in whole units of the currency.
    pub price: i64,
    /// How many are sold at once at most.
    pub most: i64,
}

/// Something that customers ask about.
#[derive(Debug)]
pub(super) struct Trouble {
    /// The ticket's title.
    pub title: &'static str,
    /// What the customer writes.
    pub description: &'static str,
    /// What is answered first.
    pub answer: &'static str,
    /// A note among colleagues.
    pub note: &'static str,
    /// What solves it.
    pub solution: &'static str,
    /// Whether something is broken.
    pub broken: bool,
}

/// The tenants of the demo.
pub const BUSINESSES: [&Business; 2] = [&MACHINES, &SOFTWARE];
