//! The rules of pipelines.
//!
//! Exactly one pipeline is the default. The first becomes it; one that is made the default takes the place of the one
//! that was; the default cannot be unset or deleted, only replaced. A pipeline in which there are opportunities cannot
//! be deleted either: they are moved or deleted first.
//!
//! A pipeline is never without stages: it comes with those that are asked for, or with those of [`USUAL`]. What its
//! stages obey is said in [`super::pipeline_stage`].

use std::pin::Pin;

use entity::{
    record::Record,
    tenant::{
        opportunity,
        pipeline::{self, Column, Entity},
        pipeline_stage::{self, StageKind},
    },
};
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait,
    sea_query::Condition,
};
use uuid::Uuid;

use super::pipeline_stage as stage;
use crate::{
    auth::Action,
    data::{Rules, Unit, scope},
    error::{Error, Result, UserErrorCode},
    services::identity::Seed,
};

/// The stages that most businesses begin with: name, probability in percent, kind.
pub const USUAL: [(&str, i32, StageKind); 6] = [
    ("Prospecting", 10, StageKind::Open),
    ("Engaging", 30, StageKind::Open),
    ("Proposal", 50, StageKind::Open),
    ("Negotiation", 75, StageKind::Open),
    ("Won", 100, StageKind::Won),
    ("Lost", 0, StageKind::Lost),
];

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut pipeline::ActiveModel) -> Result<()> {
        match default(unit).await? {
            None => new.is_default = Set(true),
            Some(default) if new.is_default == Set(true) => demote(unit, &default).await?,
            Some(_) => {}
        }
        Ok(())
    }

    async fn before_update(
        unit: &mut Unit,
        before: &pipeline::Model,
        change: &mut pipeline::ActiveModel,
    ) -> Result<()> {
        match change.is_default {
            ActiveValue::Set(true) if !before.is_default => {
                if let Some(default) = default(unit).await? {
                    demote(unit, &default).await?;
                }
                Ok(())
            }
            ActiveValue::Set(false) if before.is_default => Err(Error::user(
                UserErrorCode::InvalidState,
                &["input", "isDefault"],
                "there is always a default pipeline; make another pipeline the default instead",
            )),
            _ => Ok(()),
        }
    }

    async fn after_write(unit: &mut Unit, before: Option<&pipeline::Model>, after: &pipeline::Model) -> Result<()> {
        match before {
            None => add_stages(unit, after.id, usual()).await,
            Some(_) => Ok(()),
        }
    }

    async fn before_delete(unit: &mut Unit, row: &pipeline::Model) -> Result<()> {
        let refuse = |message: &str| Err(Error::user(UserErrorCode::InvalidState, &["id"], message));
        if row.is_default {
            return refuse("this is the default pipeline; make another pipeline the default first");
        }
        if unit.exists::<opportunity::Entity>(opportunity::Column::PipelineId.eq(row.id)).await? {
            return refuse("there are opportunities in this pipeline; move them to another one first");
        }
        Ok(())
    }
}

/// The default pipeline; there is none before the first.
///
/// # Errors
/// When the database fails.
pub async fn default(unit: &Unit) -> Result<Option<pipeline::Model>> {
    Ok(unit.all_rows::<Entity>(Column::IsDefault.eq(true)).await?.pop())
}

async fn demote(unit: &mut Unit, default: &pipeline::Model) -> Result<()> {
    let demoted = pipeline::ActiveModel { is_default: Set(false), ..Default::default() };
    unit.update_by_rule::<Entity>(default, demoted).await?;
    Ok(())
}

/// Creates a pipeline with stages of its own. The OPEN ones keep their order; WON and LOST come after them, and are
/// added where they are not among the given ones.
///
/// # Errors
/// As [`Unit::insert`]; [`Error::User`] when there is no OPEN stage, or more than one WON or LOST stage.
pub async fn create(
    unit: &mut Unit,
    mut new: pipeline::ActiveModel,
    stages: Vec<pipeline_stage::ActiveModel>,
) -> Result<pipeline::Model> {
    unit.actor().require(scope::permission(Entity::meta(), Action::Write))?;
    let stages = complete(stages)?;
    Entity::before_insert(unit, &mut new).await?;
    let pipeline = unit.insert_by_rule::<Entity>(new).await?;
    add_stages(unit, pipeline.id, stages).await?;
    Ok(pipeline)
}

/// The pipeline that every tenant begins with, unless the tenant has one already. For provisioning: doing it twice does
/// nothing.
///
/// # Errors
/// When the database fails.
pub async fn seed_default(unit: &mut Unit) -> Result<()> {
    if !unit.exists::<Entity>(Condition::all()).await? {
        let sales = pipeline::ActiveModel { name: Set("Sales".to_owned()), ..Default::default() };
        unit.insert::<Entity>(sales).await?;
    }
    Ok(())
}

/// Gives a new tenant the pipeline that every tenant begins with.
pub struct DefaultPipeline;

impl Seed for DefaultPipeline {
    fn seed<'a>(&'a self, unit: &'a mut Unit) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(seed_default(unit))
    }
}

fn usual() -> Vec<(usize, pipeline_stage::ActiveModel)> {
    USUAL
        .into_iter()
        .map(|(name, probability, kind)| pipeline_stage::ActiveModel {
            name: Set(name.to_owned()),
            probability: Set(probability),
            kind: Set(kind),
            ..Default::default()
        })
        .enumerate()
        .collect()
}

/// The stages in their order, WON and LOST last, each with its place in the input.
fn complete(stages: Vec<pipeline_stage::ActiveModel>) -> Result<Vec<(usize, pipeline_stage::ActiveModel)>> {
    let kind_of = |stage: &pipeline_stage::ActiveModel| match stage.kind {
        ActiveValue::Set(kind) => kind,
        _ => StageKind::Open,
    };
    let refuse = |message: &str| Err(Error::user(UserErrorCode::Invalid, &["input", "stages"], message));
    let (mut open, mut won, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for (place, stage) in stages.into_iter().enumerate() {
        match kind_of(&stage) {
            StageKind::Open => open.push((place, stage)),
            StageKind::Won => won.push((place, stage)),
            StageKind::Lost => lost.push((place, stage)),
        }
    }
    if open.is_empty() {
        return refuse("a pipeline has at least one OPEN stage");
    }
    if won.len() > 1 || lost.len() > 1 {
        return refuse("a pipeline has exactly one WON and one LOST stage");
    }
    let mut missing = usual();
    missing.retain(|(_, stage)| match kind_of(stage) {
        StageKind::Open => false,
        StageKind::Won => won.is_empty(),
        StageKind::Lost => lost.is_empty(),
    });
    open.extend(won.into_iter().chain(lost));
    open.extend(missing);
    open.sort_by_key(|(_, stage)| stage::rank(kind_of(stage)));
    Ok(open)
}

async fn add_stages(unit: &mut Unit, pipeline: Uuid, stages: Vec<(usize, pipeline_stage::ActiveModel)>) -> Result<()> {
    for (position, (place, mut new)) in (1..).zip(stages) {
        new.pipeline_id = Set(pipeline);
        new.position = Set(position);
        if new.kind.is_not_set() {
            new.kind = Set(StageKind::Open);
        }
        let added = match stage::complete(&mut new) {
            Ok(()) => unit.insert_by_rule::<pipeline_stage::Entity>(new).await.map(|_| ()),
            Err(error) => Err(error),
        };
        added.map_err(|error| error.at(&["input", "stages", &place.to_string()]))?;
    }
    Ok(())
}
