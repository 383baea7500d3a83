//! A page of a list, the same for all lists: one item more than is shown is read, and tells whether there is a page
//! after it.

use platen_model::api::Page;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// Items of a list where the caller does not say.
pub const LIMIT: u32 = 50;

/// Which page of a list whose items are known by UUIDs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// The `next` of an earlier answer.
    pub after: Option<Uuid>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// How many items to show and how many to read for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// What the caller asked for, or [`LIMIT`].
    pub fn of(asked: Option<u32>) -> Self {
        Self(asked.unwrap_or(LIMIT).max(1))
    }

    /// Items to read.
    pub fn to_read(self) -> u32 {
        self.0.saturating_add(1)
    }

    /// The page of what was read; `cursor` names an item, so that the next page goes on after it.
    pub fn page<T>(self, mut found: Vec<T>, cursor: impl Fn(&T) -> String) -> Page<T> {
        let more = found.len() > self.0 as usize;
        found.truncate(self.0 as usize);
        let next = found.last().filter(|_| more).map(cursor);
        Page { items: found, next }
    }
}

/// A page with its items as they are shown.
pub fn shown<T, S>(page: Page<T>, show: impl FnMut(T) -> S) -> Page<S> {
    Page { items: page.items.into_iter().map(show).collect(), next: page.next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_next_only_where_something_follows() {
        let check = |found: Vec<u32>, items: &[u32], next: Option<&str>| {
            let page = Limit::of(Some(2)).page(found, u32::to_string);
            assert_eq!((page.items.as_slice(), page.next.as_deref()), (items, next));
        };
        check(vec![], &[], None);
        check(vec![1, 2], &[1, 2], None);
        check(vec![1, 2, 3], &[1, 2], Some("2"));
    }
}
