//! The columns of a table of people: which traits, told or computed, a list has beside the ids.

use audience_protocol::{Page, PlatformError, UserValues};
use serde::Serialize;

use crate::api::Api;
use crate::problem::Problem;
use crate::query::Query;

/// Columns of a table at most.
const MAX_COLUMNS: usize = 20;

/// The traits that a query names as columns, in their order, each once.
pub(crate) fn asked(query: &Query) -> Result<Vec<String>, Problem> {
    let mut columns: Vec<String> = Vec::new();
    for column in query.all("column") {
        if !columns.iter().any(|known| known == column) {
            columns.push(column.to_owned());
        }
    }
    if columns.len() > MAX_COLUMNS {
        let detail = format!("a table has at most {MAX_COLUMNS} columns");
        return Err(Problem::bad_request("invalid_parameter", detail));
    }
    Ok(columns)
}

/// A user in a table.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserRow {
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<UserValues>,
}

/// A page of a table; of a search, with how many users fit.
#[derive(Serialize)]
pub(crate) struct UserTable {
    #[serde(flatten)]
    page: Page<UserRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// Puts the columns beside the ids.
pub(crate) fn table(
    api: &Api,
    ids: Page<String>,
    columns: &[String],
    total: Option<u64>,
) -> Result<UserTable, PlatformError> {
    let Page { items, next_cursor } = ids;
    let rows = if columns.is_empty() {
        items.into_iter().map(|user_id| UserRow { user_id, values: None }).collect()
    } else {
        let values = api.platform.users.user_values(&items, columns)?;
        let rows = items.into_iter().zip(values);
        rows.map(|(user_id, values)| UserRow { user_id, values: Some(values) }).collect()
    };
    Ok(UserTable { page: Page { items: rows, next_cursor }, total })
}
