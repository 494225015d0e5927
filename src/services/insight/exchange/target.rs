//! What can be imported: one line a record in [`TARGETS`].
//!
//! Everything else is known from the record's metadata. A line adds which columns have named values and which are
//! filled by the platform alone. Users are the one exception, because each has an account in the master database.

use std::{marker::PhantomData, pin::Pin, str::FromStr, sync::LazyLock};

use entity::{
    record::{Column, RecordMeta},
    tenant::{activity, contact, customer, interaction, lead, opportunity, product, ticket},
};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, EntityTrait, ModelTrait, Value,
    sea_query::{ColumnType, ValueType},
};
use uuid::Uuid;

use super::{opportunities::Opportunities, users::Users};
use crate::{
    data::{Rules, Unit, import::Hit, value},
    error::{Error, Result, UserErrorCode},
    services::{
        identity::{Identity, Untold},
        sales::lead::DISQUALIFIED_REASON,
    },
};

/// The values of a row: columns, each with its value or with nothing.
pub type Values = Vec<(&'static Column, Option<Value>)>;

/// What a row says.
#[derive(Debug, Default)]
pub struct Draft {
    /// Of the record.
    pub values: Values,
    /// Of its part.
    pub part: Values,
}

/// Records that are a part of the record and that a row can bring along, one each: the line of a deal.
pub struct Part {
    /// What their fields begin with: `line` in `line.quantity`.
    pub name: &'static str,
    /// What is known of them.
    pub meta: &'static RecordMeta,
    /// The columns that only the platform fills.
    pub fixed: &'static [&'static str],
}

/// What writing a row is done with.
pub struct Context {
    /// The rules of accounts.
    pub identity: Identity,
    /// Whether nothing of it stays.
    pub rehearsal: bool,
    /// The accounts that were changed, to be finished after the commit.
    pub untold: Vec<Untold>,
}

/// A row as it stands after it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The record.
    pub id: Uuid,
    /// Its version.
    pub version: i32,
    /// Whether a part of it was changed.
    pub part_changed: bool,
}

/// The future of [`Target::write`].
pub type Writing<'a> = Pin<Box<dyn Future<Output = Result<Written>> + Send + 'a>>;

/// A record that can be imported.
pub trait Target: Send + Sync {
    /// What is known of it.
    fn meta(&self) -> &'static RecordMeta;

    /// The values that a column can have, where they have names.
    fn named(&self, column: &str) -> Option<&[String]>;

    /// Whether only the platform fills a column.
    fn is_fixed(&self, column: &str) -> bool;

    /// The records that a row can bring along.
    fn part(&self) -> Option<Part> {
        None
    }

    /// The rules that an import may waive.
    fn waivable(&self) -> &'static [&'static str] {
        &[]
    }

    /// The record to which others belong where rows do not say to which, when they are looked for: the default pipeline
    /// for stages.
    fn usual_parent<'a>(&'a self, unit: &'a Unit) -> Pin<Box<dyn Future<Output = Result<Option<Uuid>>> + Send + 'a>> {
        let _ = unit;
        Box::pin(async { Ok(None) })
    }

    /// Inserts a row, or changes the one that is there.
    fn write<'a>(
        &'a self,
        unit: &'a mut Unit,
        context: &'a mut Context,
        existing: Option<&'a Hit>,
        draft: Draft,
    ) -> Writing<'a>;
}

/// What can be imported, in the order in which people should see it.
static TARGETS: LazyLock<Vec<Box<dyn Target>>> = LazyLock::new(|| {
    vec![
        Box::new(Users),
        Box::new(
            Of::<customer::Entity>::new()
                .named::<customer::CustomerType>("type")
                .named::<customer::CustomerStatus>("status"),
        ),
        Box::new(Of::<contact::Entity>::new().fixed(&["marketing_consent_at"])),
        Box::new(Of::<product::Entity>::new()),
        Box::new(Opportunities(
            Of::new().named::<opportunity::OpportunityStatus>("status").fixed(&["stage_changed_at"]),
        )),
        Box::new(
            Of::<lead::Entity>::new()
                .named::<lead::LeadStatus>("status")
                .named::<lead::LeadRating>("rating")
                .waivable(&[DISQUALIFIED_REASON]),
        ),
        Box::new(
            Of::<interaction::Entity>::new()
                .named::<interaction::InteractionType>("type")
                .named::<interaction::InteractionDirection>("direction"),
        ),
        Box::new(
            Of::<activity::Entity>::new()
                .named::<activity::ActivityType>("type")
                .named::<activity::ActivityStatus>("status")
                .named::<activity::Priority>("priority"),
        ),
        Box::new(
            Of::<ticket::Entity>::new()
                .named::<ticket::TicketStatus>("status")
                .named::<ticket::Priority>("priority")
                .named::<ticket::TicketType>("type")
                .named::<ticket::TicketChannel>("channel")
                .fixed(&["number", "first_responded_at", "resolved_at", "closed_at", "reopened_count"]),
        ),
    ]
});

/// Everything that can be imported.
pub fn targets() -> impl Iterator<Item = &'static dyn Target> {
    TARGETS.iter().map(AsRef::as_ref)
}

/// The target of a name: `customers`, or `customer`.
#[must_use]
pub fn target_of(name: &str) -> Option<&'static dyn Target> {
    targets().find(|target| target.meta().module == name || target.meta().name == name)
}

/// A record whose rows are written as any other writer writes them.
pub(super) struct Of<R> {
    named: Vec<(&'static str, Vec<String>)>,
    fixed: &'static [&'static str],
    waivable: &'static [&'static str],
    record: PhantomData<fn() -> R>,
}

impl<R: Rules> Of<R> {
    pub(super) const fn new() -> Self {
        Self { named: Vec::new(), fixed: &[], waivable: &[], record: PhantomData }
    }

    fn named<E: ActiveEnum<Value = String>>(mut self, column: &'static str) -> Self {
        self.named.push((column, E::iter().map(|value| value.to_value()).collect()));
        self
    }

    const fn waivable(mut self, rules: &'static [&'static str]) -> Self {
        self.waivable = rules;
        self
    }

    const fn fixed(mut self, columns: &'static [&'static str]) -> Self {
        self.fixed = columns;
        self
    }
}

impl<R: Rules> Target for Of<R> {
    fn meta(&self) -> &'static RecordMeta {
        R::meta()
    }

    fn named(&self, column: &str) -> Option<&[String]> {
        self.named.iter().find(|(name, _)| *name == column).map(|(_, values)| values.as_slice())
    }

    fn is_fixed(&self, column: &str) -> bool {
        self.fixed.contains(&column)
    }

    fn waivable(&self) -> &'static [&'static str] {
        self.waivable
    }

    fn write<'a>(
        &'a self,
        unit: &'a mut Unit,
        _: &'a mut Context,
        existing: Option<&'a Hit>,
        draft: Draft,
    ) -> Writing<'a> {
        Box::pin(async move {
            let row = row::<R>(draft.values)?;
            let after = match existing {
                Some(existing) => unit.update::<R>(existing.id, None, row).await?,
                None => unit.insert::<R>(row).await?,
            };
            written::<R>(&after)
        })
    }
}

/// A row of a record from values, each made what its column holds.
pub(super) fn row<R: Rules>(values: Values) -> Result<R::ActiveModel> {
    let mut row = <R::ActiveModel as ActiveModelTrait>::default();
    for (of, value) in values {
        let refuse = |message: String| Error::user(UserErrorCode::Invalid, &["input", &of.field], message);
        let column = <R as EntityTrait>::Column::from_str(of.name)
            .map_err(|_| Error::internal(format!("{} has no column {}", R::NAME, of.name)))?;
        let small = matches!(column.def().get_column_type(), ColumnType::Integer | ColumnType::SmallInteger);
        let value = match value {
            Some(Value::BigInt(Some(number))) if small => {
                <i32 as TryFrom<i64>>::try_from(number).map_err(|_| refuse(format!("{number} is too much")))?.into()
            }
            Some(value) => value,
            None if small => <i32 as sea_orm::sea_query::Nullable>::null(),
            None => value::null(of.kind),
        };
        row.try_set(column, value).map_err(|_| refuse(format!("this is no value of {}", of.field)))?;
    }
    Ok(row)
}

pub(super) fn written<R: Rules>(row: &R::Model) -> Result<Written> {
    let value = |name: &str| {
        <R as EntityTrait>::Column::from_str(name)
            .map(|column| row.get(column))
            .map_err(|_| Error::internal(format!("{} has no column {name}", R::NAME)))
    };
    let id = <Uuid as ValueType>::try_from(value("id")?).map_err(Error::internal)?;
    let version = <i32 as ValueType>::try_from(value("version")?).map_err(Error::internal)?;
    Ok(Written { id, version, part_changed: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A column with named values that the registry does not list would show people the database's error.
    #[test]
    fn every_column_with_named_values_is_listed() {
        for target in targets() {
            for column in &target.meta().columns {
                let short = column.max_length == Some(32) && column.folded.is_none();
                if short && !matches!(column.name, "related_type") && !target.is_fixed(column.name) {
                    let named = target.named(column.name);
                    assert!(named.is_some(), "list the values of {}.{}", target.meta().name, column.name);
                }
            }
        }
    }
}
