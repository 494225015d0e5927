//! What became of the rows, and what was odd about them.
//!
//! Odd values are kept as they are: a person decides. What is noticed: columns that are empty in some rows, values
//! that look like another one of the same column, and industries and countries that look misspelt. Only columns of
//! few different values are looked at, so this takes little memory whatever the file.

use std::collections::BTreeMap;

use csv::StringRecord;
use serde::{Deserialize, Serialize};

use super::{
    mapping::{Plan, Way},
    text::Headings,
    words::{COUNTRIES, INDUSTRIES},
};
use crate::condition::fold::fold;

/// A column with more different values than this is not looked at.
const MOST_VALUES: usize = 60;
/// A value longer than this is prose.
const LONGEST_VALUE: usize = 60;
/// How many remarks one column gets.
const MOST_REMARKS: usize = 10;

/// Counts that grow with the rows. Kept with the progress of the import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Rows read, besides the headings and empty ones.
    pub rows: u64,
    /// New records.
    pub created: u64,
    /// Records that were there and changed.
    pub updated: u64,
    /// Records that were there and the same.
    pub unchanged: u64,
    /// Rows that were left out.
    pub refused: u64,
    /// Rows that went in without a reference to a row further down, because there is none.
    pub incomplete: u64,
    /// Rows without any value.
    pub empty: u64,
    /// Rows that refer to a row further down.
    pub deferred: u64,
    columns: BTreeMap<usize, ColumnTally>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ColumnTally {
    empty: u64,
    /// The different values, unless they are too many.
    values: BTreeMap<String, u64>,
    many: bool,
}

impl Tally {
    /// Takes note of a row's values in the columns that are used.
    pub fn note(&mut self, cells: &StringRecord, used: &[usize]) {
        for index in used {
            let value = cells.get(*index).unwrap_or_default().trim();
            let column = self.columns.entry(*index).or_default();
            if value.is_empty() {
                column.empty += 1;
            } else if column.many {
                // Nothing more to see.
            } else if let Some(count) = column.values.get_mut(value) {
                *count += 1;
            } else if column.values.len() < MOST_VALUES && value.chars().count() <= LONGEST_VALUE {
                column.values.insert(value.to_owned(), 1);
            } else {
                column.many = true;
                column.values.clear();
            }
        }
    }

    /// What was odd, in sentences.
    #[must_use]
    pub fn remarks(&self, plan: &Plan, headings: &Headings) -> Vec<String> {
        let mut remarks = Vec::new();
        if !plan.unused.is_empty() {
            remarks.push(format!("columns that nothing uses: {}", plan.unused.join(", ")));
        }
        if self.empty > 0 {
            remarks.push(format!("{} left out because they are empty", rows(self.empty)));
        }
        if self.deferred > 0 {
            remarks.push(format!("{} refer to a row further down", rows(self.deferred)));
        }
        for (index, column) in &self.columns {
            let name = headings.names().get(*index).map_or("", String::as_str);
            if column.empty > 0 {
                remarks.push(format!("{name} is empty in {}", rows(column.empty)));
            }
            remarks.extend(column.spellings(name, dictionary(plan, *index)));
        }
        remarks
    }
}

impl ColumnTally {
    fn spellings(&self, name: &str, words: &[&str]) -> Vec<String> {
        let mut remarks = Vec::new();
        let values: Vec<(&String, &u64)> = self.values.iter().collect();
        let known = |value: &str| words.iter().any(|word| fold(word) == fold(value));
        for (place, (value, count)) in values.iter().enumerate() {
            if !known(value)
                && let Some(word) = words.iter().find(|word| alike(word, value))
            {
                remarks.push(format!("{name} \"{value}\" ({}) looks like \"{word}\"", rows(**count)));
                continue;
            }
            for (other, others) in values.iter().skip(place + 1) {
                if alike(value, other) && !(known(value) && known(other)) {
                    let (rare, common) = if count < others { (value, other) } else { (other, value) };
                    remarks.push(format!(
                        "{name} \"{rare}\" ({}) looks like \"{common}\" ({})",
                        rows(**count.min(others)),
                        rows(**count.max(others))
                    ));
                }
            }
        }
        let more = remarks.len().saturating_sub(MOST_REMARKS);
        remarks.truncate(MOST_REMARKS);
        if more > 0 {
            remarks.push(format!("{name} has {more} more values that look alike"));
        }
        remarks
    }
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

/// The words that the field is known to hold which a column fills.
fn dictionary(plan: &Plan, column: usize) -> &'static [&'static str] {
    let filled = plan.entries.iter().filter(|entry| matches!(entry.way, Way::Value));
    for entry in filled.filter(|entry| entry.text.columns() == [column]) {
        match entry.column.name {
            "industry" => return INDUSTRIES,
            "country" | "address_country" => return COUNTRIES,
            _ => {}
        }
    }
    &[]
}

/// Whether two texts may be one, spelt differently: they differ in spaces, hyphens and the like alone, or in a letter
/// or two of a long word. Numbers must agree.
#[must_use]
pub fn alike(one: &str, other: &str) -> bool {
    let (one, other) = (fold(one), fold(other));
    if one == other {
        return true;
    }
    let bare = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<Vec<char>>();
    let (one, other) = (bare(&one), bare(&other));
    let digits = |text: &[char]| text.iter().copied().filter(|c| c.is_numeric()).collect::<Vec<char>>();
    if one.is_empty() || other.is_empty() || digits(&one) != digits(&other) {
        return false;
    }
    let most = match one.len().min(other.len()) {
        0..=4 => 0,
        5..=7 => 1,
        _ => 2,
    };
    one.len().abs_diff(other.len()) <= most && distance(&one, &other) <= most
}

/// How many letters must be put in, taken away, changed or swapped to make one text of the other.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (last[j + 1] + 1).min(row[j] + 1).min(last[j] + usize::from(a != b));
            if i > 0 && j > 0 && one[i - 1] == *b && other[j - 1] == *a {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_alike() {
        for (one, other) in [
            ("GTXPro", "GTX Pro"),
            ("technolgy", "Technology"),
            ("Philipines", "Philippines"),
            ("co-operation", "Cooperation"),
            ("Untied States", "United States"),
        ] {
            assert!(alike(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("GTK 500", "GTK 501"),
            ("retail", "detail shop"),
            ("Iran", "Iraq"),
            ("GTX Basic", "GTX Plus Basic"),
            ("", "a"),
        ] {
            assert!(!alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn columns_of_many_values_are_forgotten() {
        let mut tally = Tally::default();
        for number in 0..1000 {
            tally.note(&StringRecord::from(vec![number.to_string(), String::new()]), &[0, 1]);
        }
        assert!(tally.columns[&0].many && tally.columns[&0].values.is_empty());
        assert_eq!(tally.columns[&1].empty, 1000);
    }

    proptest! {
        #[test]
        fn likeness_goes_both_ways(one in "[a-c ]{0,9}", other in "[a-c ]{0,9}") {
            prop_assert_eq!(alike(&one, &other), alike(&other, &one));
        }
    }
}
