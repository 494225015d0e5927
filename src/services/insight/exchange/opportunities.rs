//! Opportunities as a target: a row can bring a line along, `line.product.name` and the like.
//!
//! A new deal is made with its line. Of a deal that is there, the line of the same product is changed, or else a line is
//! added; other lines stay. A row that says neither product nor description brings no line.

use std::pin::Pin;

use entity::{
    record::{Record, RecordMeta},
    tenant::{
        opportunity,
        opportunity_line::{self, Column},
    },
};
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait,
    sea_query::Condition,
};
use uuid::Uuid;

use super::target::{Context, Draft, Of, Part, Target, Writing, Written, row, written};
use crate::{
    data::{Unit, import::Hit},
    error::Result,
    services::sales::{opportunity as rules, pipeline},
};

/// Opportunities.
pub(super) struct Opportunities(pub Of<opportunity::Entity>);

impl Target for Opportunities {
    fn meta(&self) -> &'static RecordMeta {
        self.0.meta()
    }

    fn named(&self, column: &str) -> Option<&[String]> {
        self.0.named(column)
    }

    fn is_fixed(&self, column: &str) -> bool {
        self.0.is_fixed(column)
    }

    fn part(&self) -> Option<Part> {
        Some(Part {
            name: "line",
            meta: opportunity_line::Entity::meta(),
            fixed: &["opportunity_id", "total", "position"],
        })
    }

    fn waivable(&self) -> &'static [&'static str] {
        &[rules::LOST_REASON]
    }

    fn usual_parent<'a>(&'a self, unit: &'a Unit) -> Pin<Box<dyn Future<Output = Result<Option<Uuid>>> + Send + 'a>> {
        Box::pin(async move { Ok(pipeline::default(unit).await?.map(|pipeline| pipeline.id)) })
    }

    fn write<'a>(
        &'a self,
        unit: &'a mut Unit,
        _: &'a mut Context,
        existing: Option<&'a Hit>,
        draft: Draft,
    ) -> Writing<'a> {
        Box::pin(async move {
            let deal = row::<opportunity::Entity>(draft.values)?;
            let line = row::<opportunity_line::Entity>(draft.part)?;
            let says = !line.product_id.is_not_set() || !line.description.is_not_set();
            let line = says.then_some(line);
            let Some(existing) = existing else {
                let deal = rules::create(unit, deal, line.into_iter().collect()).await?;
                return written::<opportunity::Entity>(&deal);
            };
            let deal = unit.update::<opportunity::Entity>(existing.id, None, deal).await?;
            let Some(line) = line else { return written::<opportunity::Entity>(&deal) };
            let part_changed = write_line(unit, existing.id, line).await?;
            Ok(Written { part_changed, ..written::<opportunity::Entity>(&deal)? })
        })
    }
}

/// Changes the deal's line of the same product, or adds one. Answers whether anything changed.
async fn write_line(unit: &mut Unit, deal: Uuid, mut line: opportunity_line::ActiveModel) -> Result<bool> {
    let of_deal = Condition::all().add(Column::OpportunityId.eq(deal));
    let own = match (&line.product_id, &line.description) {
        (ActiveValue::Set(Some(product)), _) => of_deal.add(Column::ProductId.eq(*product)),
        (_, ActiveValue::Set(description)) => of_deal.add(Column::Description.eq(description.trim())),
        _ => return Ok(false),
    };
    let Some(before) = unit.all_rows::<opportunity_line::Entity>(own).await?.into_iter().next() else {
        line.opportunity_id = Set(deal);
        unit.insert::<opportunity_line::Entity>(line).await?;
        return Ok(true);
    };
    let after = unit.update::<opportunity_line::Entity>(before.id, None, line).await?;
    Ok(after.version != before.version)
}
