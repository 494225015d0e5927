//! Products: a variant of a family each. The manager keeps the catalogue.

use entity::tenant::product;
use sea_orm::ActiveValue::Set;

use super::{
    business::PRODUCTS,
    people::MANAGER,
    story::{Act, Offer, Story, World},
};

/// What the variants of a family cost, in percent of the cheapest.
const STEPS: [i64; 5] = [100, 145, 210, 320, 480];

/// The products that deals can be about.
pub(super) fn offers(world: &World) -> Vec<Offer> {
    let of_family = world.business.families.iter().flat_map(|family| family.variants.iter().map(|_| family.most));
    let offer = |(number, most)| Offer { id: world.dice("product", number).id(world.calendar.moment(0)), most };
    (0..).zip(of_family).map(offer).take(PRODUCTS).collect()
}

pub(super) fn tell(story: &mut Story, world: &World) {
    let variants = world.business.families.iter().flat_map(|family| {
        let numbered = (1..).zip(family.variants).zip(STEPS);
        numbered.map(move |((number, variant), step)| (family, number, variant, family.price * step))
    });
    for (offer, (family, number, variant, cents)) in world.offers.iter().zip(variants) {
        let product = product::ActiveModel {
            id: Set(offer.id),
            sku: Set(format!("{}-{:03}", family.sku, number * 10)),
            name: Set(format!("{} {variant}", family.name)),
            category: Set(Some(family.category.to_owned())),
            description: Set(Some(family.description.to_owned())),
            unit_price: Set(Some(cents)),
            currency: Set(Some(world.business.currency.to_owned())),
            tax_rate: Set(Some(world.business.tax_rate)),
            is_active: Set(true),
            ..Default::default()
        };
        story.add(0, MANAGER, Act::Product(product));
    }
}
