//! Relay connections (GraphQL Cursor Connections specification), with `nodes` and `totalCount` beside `edges`.

use std::{borrow::Cow, sync::Arc};

use async_graphql::{SimpleObject, TypeName};

use super::{select::write_cursor, shape::Object};
use crate::data::plan::{List, Page};

/// Where a page stands in its list.
#[derive(Clone, Debug, Default, SimpleObject)]
#[graphql(shareable)]
pub struct PageInfo {
    /// Whether there are more rows after this page. When paging backward: whether the page was asked for with `before`.
    pub has_next_page: bool,
    /// Whether there are more rows before this page. When paging forward: whether the page was asked for with `after`.
    pub has_previous_page: bool,
    /// The cursor of the first row.
    pub start_cursor: Option<String>,
    /// The cursor of the last row.
    pub end_cursor: Option<String>,
}

/// A row of a list and where it stands.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub struct Edge<T: Object> {
    /// Where the row stands: give it to `after` or `before`.
    pub cursor: String,
    /// The row.
    pub node: Arc<T>,
}

/// A page of a list.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub struct Connection<T: Object> {
    /// The rows with their cursors.
    pub edges: Vec<Edge<T>>,
    /// The rows.
    pub nodes: Vec<Arc<T>>,
    /// Where the page stands in its list.
    pub page_info: PageInfo,
    /// How many rows there are in all pages. It costs a count, and only when it is selected.
    pub total_count: Option<i64>,
}

impl<T: Object> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", T::type_name()).into()
    }
}

impl<T: Object> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::type_name()).into()
    }
}

impl<T: Object> Connection<T> {
    /// The connection of a page of a list.
    #[must_use]
    pub fn of(page: Page<T>, list: &List) -> Self {
        let edges: Vec<Edge<T>> = page
            .rows
            .into_iter()
            .map(|(row, values)| Edge {
                cursor: values.map(|values| write_cursor(&list.order, values)).unwrap_or_default(),
                node: Arc::new(row),
            })
            .collect();
        let cursor = |edge: Option<&Edge<T>>| edge.map(|edge| edge.cursor.clone()).filter(|cursor| !cursor.is_empty());
        Self {
            nodes: edges.iter().map(|edge| edge.node.clone()).collect(),
            page_info: PageInfo {
                has_next_page: page.has_next,
                has_previous_page: page.has_previous,
                start_cursor: cursor(edges.first()),
                end_cursor: cursor(edges.last()),
            },
            edges,
            total_count: page.total,
        }
    }
}
