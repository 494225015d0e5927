//! The roots of a record: `queries!` for reading, `payload!`, `bulk_payload!` and `bulk!` for what mutations take and answer, and `crud!`
//! for all of it with create, update, delete, restore and bulk upsert. A record that is written in its own ways, such as
//! the lines of a deal, uses the first three and says its mutations itself.

/// What a mutation of one record answers: the record, what a user can mend, and the client's own mark.
#[macro_export]
macro_rules! payload {
    ($object:ident as $one:ident; $payload:ident) => {
        /// The record that a mutation wrote.
        #[derive(async_graphql::SimpleObject)]
        pub struct $payload {
            /// The record as it is now; null when it was not written, or when the actor may not read it any more.
            pub $one: Option<$object>,
            /// What a user can mend; empty when all went well.
            pub user_errors: Vec<$crate::graphql::kit::payload::UserError>,
            /// What the client sent along, so that it recognises the answer.
            pub client_mutation_id: Option<String>,
        }

        impl $crate::graphql::kit::payload::Payload for $payload {
            type Object = $object;
            const FIELD: &'static str = stringify!($one);

            fn new(
                $one: Option<$object>,
                user_errors: Vec<$crate::graphql::kit::payload::UserError>,
                client_mutation_id: Option<String>,
            ) -> Self {
                Self { $one, user_errors, client_mutation_id }
            }
        }
    };
}

/// What a bulk upsert answers.
#[macro_export]
macro_rules! bulk_payload {
    ($object:ident as $one:ident; $bulk_payload:ident, $bulk_result:ident) => {
        /// What became of one input of a bulk mutation.
        #[derive(async_graphql::SimpleObject)]
        pub struct $bulk_result {
            /// Which input, from 0.
            pub index: i32,
            /// The record as it is now; null when it was not written.
            pub $one: Option<$object>,
            /// What a user can mend; empty when the input was accepted.
            pub user_errors: Vec<$crate::graphql::kit::payload::UserError>,
        }

        /// What a bulk mutation did, input by input.
        #[derive(async_graphql::SimpleObject)]
        pub struct $bulk_payload {
            /// A result for each input, in their order.
            pub results: Vec<$bulk_result>,
            /// What the client sent along, so that it recognises the answer.
            pub client_mutation_id: Option<String>,
        }

        impl $crate::graphql::kit::payload::BulkPayload for $bulk_payload {
            type Object = $object;
            const FIELD: &'static str = stringify!($one);

            fn new(
                results: Vec<(Option<$object>, Vec<$crate::graphql::kit::payload::UserError>)>,
                client_mutation_id: Option<String>,
            ) -> Self {
                let results = results
                    .into_iter()
                    .zip(0..)
                    .map(|(($one, user_errors), index)| $bulk_result { index, $one, user_errors })
                    .collect();
                Self { results, client_mutation_id }
            }
        }
    };
}

/// What a bulk upsert takes and answers. A record without an external reference is found `by id` alone.
#[macro_export]
macro_rules! bulk {
    ($object:ident as $one:ident; $bulk_payload:ident, $bulk_result:ident, $upsert_input:ident($update_input:ident)) => {
        $crate::bulk_payload! { $object as $one; $bulk_payload, $bulk_result }

        /// One input of a bulk upsert: the record is found by its id or external reference and changed; without either, or
        /// when the reference is new, a record is created.
        #[derive(async_graphql::InputObject)]
        pub struct $upsert_input {
            /// The record to change.
            id: Option<$crate::graphql::kit::id::Id<$object>>,
            /// The external reference of the record to change or to create.
            external_reference: Option<String>,
            /// What to set.
            input: $update_input,
        }

        impl From<$upsert_input> for $crate::graphql::kit::crud::Upsert<$update_input> {
            fn from($upsert_input { id, external_reference, input }: $upsert_input) -> Self {
                Self { id: id.map(|id| id.0), external_reference, input }
            }
        }
    };

    (
        $object:ident as $one:ident;
        $bulk_payload:ident, $bulk_result:ident, $upsert_input:ident($update_input:ident) by id
    ) => {
        $crate::bulk_payload! { $object as $one; $bulk_payload, $bulk_result }

        /// One input of a bulk upsert: the record is found by its id and changed; without one, a record is created.
        #[derive(async_graphql::InputObject)]
        pub struct $upsert_input {
            /// The record to change.
            id: Option<$crate::graphql::kit::id::Id<$object>>,
            /// What to set.
            input: $update_input,
        }

        impl From<$upsert_input> for $crate::graphql::kit::crud::Upsert<$update_input> {
            fn from($upsert_input { id, input }: $upsert_input) -> Self {
                Self { id: id.map(|id| id.0), external_reference: None, input }
            }
        }
    };
}

/// The queries of a record: one, many, and its federation entity. `keys` names the columns beside the id by which other
/// subgraphs may refer to the record; what they hold is unique.
#[macro_export]
macro_rules! queries {
    (
        $object:ident;
        query $query:ident {
            $(keys { $($key:ident),* $(,)? })?
            $(#[$get_doc:meta])* one $get:ident;
            $(#[$list_doc:meta])* many $many:ident;
            $($more_queries:tt)*
        }
    ) => {
        /// The queries of this record.
        #[derive(Default)]
        pub struct $query;

        #[async_graphql::Object]
        impl $query {
            $(#[$get_doc])*
            async fn $get(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "Its id.")] id: $crate::graphql::kit::id::Id<$object>,
            ) -> Option<$object> {
                $crate::graphql::kit::relation::get(ctx, id).await
            }

            $(#[$list_doc])*
            #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
            async fn $many(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "How many from the start: 0 to 100. Without first and last: 20.")] first: Option<i32>,
                #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
                #[graphql(desc = "How many from the end: 0 to 100.")] last: Option<i32>,
                #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
                #[graphql(name = "where", desc = "Which to choose.")]
                filter: Option<$crate::graphql::kit::filter::Where<$object>>,
                #[graphql(desc = "In which order; without it by position where they have one, else the newest first.")]
                order_by: Option<Vec<$crate::graphql::kit::order::OrderBy<$object>>>,
            ) -> Option<$crate::graphql::kit::connection::Connection<$object>> {
                // The plan has read the arguments from the selection.
                let _ = (first, after, last, before, filter, order_by);
                $crate::graphql::kit::relation::list(ctx).await
            }

            /// The record behind a federated reference.
            #[graphql(entity)]
            async fn entity_by_id(
                &self,
                ctx: &async_graphql::Context<'_>,
                id: async_graphql::ID,
            ) -> Option<$object> {
                $crate::graphql::kit::relation::entity_by_id(ctx, &id).await
            }

            $($(
                /// The record behind a federated reference that does not know its id.
                #[graphql(entity)]
                async fn $key(&self, ctx: &async_graphql::Context<'_>, $key: Option<String>) -> Option<$object> {
                    $crate::graphql::kit::relation::entity_by(ctx, stringify!($key), $key).await
                }
            )*)?

            $($more_queries)*
        }
    };
}

/// The roots of a record: one, many, create, update, delete, restore, bulk upsert, and its federation entity; with the
/// payloads and the upsert input that go with them.
#[macro_export]
macro_rules! crud {
    (
        $object:ident as $one:ident;
        query $query:ident {
            $(keys { $($key:ident),* $(,)? })?
            $(#[$get_doc:meta])* one $get:ident;
            $(#[$list_doc:meta])* many $many:ident;
            $($more_queries:tt)*
        }
        mutation $mutation:ident {
            $(#[$create_doc:meta])* create $create:ident($create_input:ident);
            $(#[$update_doc:meta])* update $update:ident($update_input:ident);
            $(#[$delete_doc:meta])* delete $delete:ident;
            $(#[$restore_doc:meta])* restore $restore:ident;
            $(#[$upsert_doc:meta])* upsert $upsert:ident($upsert_input:ident) $(by $id:ident)?;
            $($more_mutations:tt)*
        }
        payloads $payload:ident, $bulk_payload:ident, $bulk_result:ident;
    ) => {
        $crate::payload! { $object as $one; $payload }

        $crate::bulk! { $object as $one; $bulk_payload, $bulk_result, $upsert_input($update_input) $(by $id)? }

        $crate::queries! {
            $object;
            query $query {
                $(keys { $($key),* })?
                $(#[$get_doc])* one $get;
                $(#[$list_doc])* many $many;
                $($more_queries)*
            }
        }

        /// The mutations of this record.
        #[derive(Default)]
        pub struct $mutation;

        #[async_graphql::Object]
        impl $mutation {
            $(#[$create_doc])*
            async fn $create(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "What it shall be.")] input: $create_input,
                #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
            ) -> Option<$payload> {
                $crate::graphql::kit::crud::create(ctx, input, client_mutation_id).await
            }

            $(#[$update_doc])*
            async fn $update(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "Its id.")] id: $crate::graphql::kit::id::Id<$object>,
                #[graphql(desc = "What to change: what is left out stays, null clears.")] input: $update_input,
                #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
                expected_version: Option<i32>,
                #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
            ) -> Option<$payload> {
                $crate::graphql::kit::crud::update(ctx, id, input, expected_version, client_mutation_id).await
            }

            $(#[$delete_doc])*
            async fn $delete(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "Its id.")] id: $crate::graphql::kit::id::Id<$object>,
                #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
                expected_version: Option<i32>,
                #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
            ) -> Option<$crate::graphql::kit::payload::DeletePayload> {
                $crate::graphql::kit::crud::delete(ctx, id, expected_version, client_mutation_id).await
            }

            $(#[$restore_doc])*
            async fn $restore(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "Its id.")] id: $crate::graphql::kit::id::Id<$object>,
                #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
            ) -> Option<$payload> {
                $crate::graphql::kit::crud::restore(ctx, id, client_mutation_id).await
            }

            $(#[$upsert_doc])*
            async fn $upsert(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "At most 250.")] inputs: Vec<$upsert_input>,
                #[graphql(desc = "What becomes of the others when one is refused.")]
                error_policy: $crate::graphql::kit::payload::BulkErrorPolicy,
                #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
            ) -> Option<$bulk_payload> {
                let inputs = inputs.into_iter().map(Into::into).collect();
                $crate::graphql::kit::crud::bulk_upsert(ctx, inputs, error_policy, client_mutation_id).await
            }

            $($more_mutations)*
        }
    };
}
