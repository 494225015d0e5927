//! Bounds on a document, checked before it is validated or executed.
//!
//! Validation and execution walk a document with every fragment spread expanded, so a kilobyte of fragments that each
//! spread the next one twice keeps them busy for minutes. [`Documents::admit`] is therefore the only way to either of
//! them, for every transport. It works in linear time, each step on what the step before has bounded:
//!
//! 1. the length of the text, its tokens and how deeply its brackets nest, by a scan that allocates nothing;
//! 2. the parser, once: what it made is kept under the text's SHA-256;
//! 3. the *shape*: depth, aliases, directives, arguments, fragments and what they expand to, each fragment measured
//!    once, cycles refused;
//! 4. the operation that is asked for, and its variables: required ones are there, defaults are filled in;
//! 5. the *cost*, from the sizes of the lists it asks for.
//!
//! # The cost
//!
//! The cost of a request is the number of fields that its answer holds when every list is full:
//!
//! - a field counts 1, plus what is selected below it;
//! - a connection counts 1, plus what is selected beside `edges` and `nodes`, plus its page size (`first` or `last`; 20
//!   when neither is given, at most 100) times the cost of one row: 1, plus what is selected below `edges` or `nodes`;
//! - any other list of objects is taken as 10 long, or as long as the required list argument (such as `ids`) that
//!   determines it;
//! - what `@skip` and `@include` leave out counts nothing, and neither does what is below `__schema` and `__type`, which
//!   has bounds of its own.
//!
//! An answer tells it in `extensions.cost`. What a tenant may spend over time is bounded where operations are admitted.

mod cache;
mod cost;
mod scan;
mod shape;
mod types;

use std::sync::Arc;

use async_graphql::{
    ErrorExtensionValues, Pos, Positioned, Request, ServerError, Value,
    parser::{
        parse_query,
        types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
    },
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::{cache::Cache, types::TypeMap};
use crate::error::{Error, Result};

/// How much a document may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The length of a document's text. Data belongs into the variables, which only the body's size bounds.
    pub document_bytes: usize,
    /// Names, numbers, strings and punctuators in a document.
    pub tokens: usize,
    /// How deeply brackets may nest in the text, and selections with their fragments expanded.
    pub nesting: u32,
    /// How deeply fields may nest with fragments expanded; introspection has its own bound.
    pub depth: u32,
    /// The fields and spreads of a document with fragments expanded, over all its definitions.
    pub selections: u64,
    /// Aliases in a document.
    pub aliases: usize,
    /// Directives in a document.
    pub directives: usize,
    /// Arguments of one field.
    pub arguments: usize,
    /// Fragment definitions in a document.
    pub fragments: usize,
    /// Fields at the root of one operation.
    pub root_fields: u64,
    /// The cost of one operation.
    pub cost: u64,
    /// The page size when a connection is asked for without one.
    pub default_page: u64,
    /// The largest page size.
    pub max_page: u64,
    /// The length that a list of objects without a page size is taken to have.
    pub list_size: u64,
    /// How often the values in the variables may be used, in values: a variable used in ten places, or once in each of
    /// ten rows, counts ten times.
    pub variable_values: u64,
    /// How deeply fields may nest below `__schema` and `__type`.
    pub introspection_depth: u32,
    /// Lists that may be selected below `__schema` and `__type`.
    pub introspection_lists: u64,
    /// Whether the schema may be asked for: by introspection, and by `_service` as a federation's router does.
    pub introspection: bool,
    /// Parsed documents that are kept.
    pub cache_entries: usize,
    /// The memory that they may take, about.
    pub cache_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 64 * 1024,
            tokens: 5_000,
            nesting: 30,
            depth: 12,
            selections: 10_000,
            aliases: 100,
            directives: 100,
            arguments: 30,
            fragments: 100,
            root_fields: 20,
            cost: 50_000,
            default_page: 20,
            max_page: 100,
            list_size: 10,
            variable_values: 1_000_000,
            introspection_depth: 20,
            introspection_lists: 30,
            introspection: true,
            cache_entries: 1_000,
            cache_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The value of `extensions.code`.
    pub code: &'static str,
    /// A sentence for the developer of the client.
    pub message: String,
    /// Where in the document.
    pub locations: Vec<Pos>,
    /// The cost, when that is the reason.
    pub cost: Option<Cost>,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>, locations: impl IntoIterator<Item = Pos>) -> Self {
        Self { code, message: message.into(), locations: locations.into_iter().collect(), cost: None }
    }

    fn too_much(what: &str, limit: impl std::fmt::Display, at: Option<Pos>) -> Self {
        Self::new("COMPLEXITY_EXCEEDED", format!("the document has more than {limit} {what}"), at)
    }

    fn too_deep(what: &str, limit: u32, at: Option<Pos>) -> Self {
        Self::new("DEPTH_EXCEEDED", format!("{what} deeper than {limit} levels"), at)
    }
}

impl From<Refusal> for ServerError {
    fn from(refusal: Refusal) -> Self {
        let mut error = Self::new(refusal.message, None);
        error.locations = refusal.locations;
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", refusal.code);
        error.extensions = Some(extensions);
        error
    }
}

/// What an operation costs, and what it may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// What this operation costs.
    pub requested: u64,
    /// What an operation may cost.
    pub max: u64,
    /// What the tenant may still spend at once, where that is bounded.
    pub left: Option<u64>,
}

impl From<Cost> for Value {
    fn from(cost: Cost) -> Self {
        match cost.left {
            Some(left) => {
                async_graphql::value!({ "requested": cost.requested, "max": cost.max, "left": left })
            }
            None => async_graphql::value!({ "requested": cost.requested, "max": cost.max }),
        }
    }
}

/// A document that may be validated and executed.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Whether the chosen operation reads, writes or subscribes.
    pub kind: OperationType,
    /// The name of the chosen operation.
    pub operation_name: Option<String>,
    /// What it costs.
    pub cost: Cost,
}

/// The gate before validation: the limits, what must be known of the schema to apply them, and the parsed documents.
/// Built once; clones share everything.
#[derive(Clone, Debug)]
pub struct Documents(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    types: TypeMap,
    cache: Cache,
}

impl Documents {
    /// A gate for the schema that `sdl` describes.
    ///
    /// # Errors
    /// [`Error::Internal`] when `sdl` is not a schema.
    pub fn new(sdl: &str, limits: Limits) -> Result<Self> {
        let types = TypeMap::parse(sdl, &limits).map_err(Error::internal)?;
        let cache = Cache::new(limits.cache_entries, limits.cache_bytes);
        Ok(Self(Arc::new(Inner { limits, types, cache })))
    }

    /// The limits of this gate.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Parses and bounds the request's document, fills the defaults of the chosen operation into its variables (which
    /// the executor forgets for `@skip` and `@include`), and leaves the parsed document in the request.
    ///
    /// # Errors
    /// The reason why the document must be neither validated nor executed.
    pub fn admit(&self, request: &mut Request) -> Result<Admission, Refusal> {
        let document = self.parse(&request.query)?;
        let (operation_name, operation) = choose(&document.operations, request.operation_name.as_deref())?;
        fill_variables(operation, request)?;
        let cost = cost::of(&self.0.types, &self.0.limits, &document, operation, &request.variables)?;
        let admission = Admission { kind: operation.node.ty, operation_name: operation_name.map(Into::into), cost };
        request.set_parsed_query(ExecutableDocument::clone(&document));
        Ok(admission)
    }

    fn parse(&self, text: &str) -> Result<Arc<ExecutableDocument>, Refusal> {
        let limits = &self.0.limits;
        if text.len() > limits.document_bytes {
            return Err(Refusal::too_much("bytes; values belong into the variables", limits.document_bytes, None));
        }
        let key: [u8; 32] = Sha256::digest(text).into();
        if let Some(document) = self.0.cache.get(&key) {
            return Ok(document);
        }
        let tokens = scan::scan(text, limits)?;
        let document = parse_query(text).map_err(|error| parse_refusal(&error))?;
        shape::check(&document, limits)?;
        let document = Arc::new(document);
        self.0.cache.put(key, Arc::clone(&document), text.len() + tokens * cache::BYTES_PER_TOKEN);
        Ok(document)
    }
}

fn parse_refusal(error: &async_graphql::parser::Error) -> Refusal {
    use async_graphql::parser::Error;

    let code = match error {
        Error::MultipleOperations { .. } | Error::OperationDuplicated { .. } | Error::FragmentDuplicated { .. } => {
            "GRAPHQL_VALIDATION_FAILED"
        }
        Error::RecursionLimitExceeded => "DEPTH_EXCEEDED",
        _ => "GRAPHQL_PARSE_FAILED",
    };
    let message = match error {
        // The parser's message draws the offending line over several lines; what it expected stands on the last.
        Error::Syntax { message, .. } => {
            let expected = message.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
            format!("syntax error: {}", expected.chars().take(300).collect::<String>())
        }
        other => other.to_string(),
    };
    Refusal::new(code, message, error.positions())
}

fn choose<'a>(
    operations: &'a DocumentOperations,
    name: Option<&str>,
) -> Result<(Option<&'a str>, &'a Positioned<OperationDefinition>), Refusal> {
    let invalid = |message: String| Refusal::new("BAD_USER_INPUT", message, None);
    match (operations, name) {
        (DocumentOperations::Single(operation), None) => Ok((None, operation)),
        (DocumentOperations::Multiple(all), None) => match all.iter().next() {
            Some((name, operation)) if all.len() == 1 => Ok((Some(name.as_str()), operation)),
            _ => Err(invalid("the document has several operations: operationName must say which one to run".into())),
        },
        (DocumentOperations::Multiple(all), Some(name)) => all
            .get_key_value(name)
            .map(|(name, operation)| (Some(name.as_str()), operation))
            .ok_or_else(|| invalid(format!("the document has no operation named \"{}\"", shorten(name)))),
        (DocumentOperations::Single(_), Some(name)) => {
            Err(invalid(format!("the document has no operation named \"{}\"", shorten(name))))
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

fn fill_variables(operation: &Positioned<OperationDefinition>, request: &mut Request) -> Result<(), Refusal> {
    for definition in &operation.node.variable_definitions {
        let name = &definition.node.name.node;
        let wrong = |what: &str| {
            let message = format!("variable \"${name}\" of type \"{}\" {what}", definition.node.var_type.node);
            Refusal::new("BAD_USER_INPUT", message, [definition.pos])
        };
        match request.variables.get(name) {
            None => match &definition.node.default_value {
                Some(default) => {
                    request.variables.insert(name.clone(), default.node.clone());
                }
                None if !definition.node.var_type.node.nullable => return Err(wrong("is required and was not given")),
                None => {}
            },
            Some(Value::Null) if !definition.node.var_type.node.nullable => return Err(wrong("must not be null")),
            Some(_) => {}
        }
    }
    Ok(())
}
