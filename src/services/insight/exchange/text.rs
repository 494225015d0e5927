//! The mapping language: what a field is filled with, written as a text.
//!
//! | written | stands for |
//! |---|---|
//! | `{column}` | the value of a column |
//! | `{column\|filter\|filter}` | that value, passed through filters from left to right |
//! | `[ for {column}]` | the text between the brackets, left out when a column within has no value |
//! | `\{ \} \[ \] \\` | the character itself |
//! | anything else | itself |
//!
//! A text whose columns are all empty is no value: `{first}.{last}@example.com` makes no address of nobody. In a
//! column's name and in a filter's values, double quotes keep characters that would end them: `{"a|b"}`.

use csv::StringRecord;

use super::filter::Filter;
use crate::condition::fold::fold;

/// A text with columns in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(String),
    Column(Slot),
    Optional(Vec<Part>),
}

/// A column, and what its value passes through.
#[derive(Clone, Debug, PartialEq)]
struct Slot {
    name: String,
    index: usize,
    filters: Vec<Filter>,
}

/// Why a row's text could not be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The column.
    pub column: String,
    /// What it held.
    pub value: String,
    /// What is wrong.
    pub message: String,
}

impl Text {
    /// Reads a text such as `{product} for {account}`.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let parts = reader.parts(false)?;
        Ok(Self { parts })
    }

    /// Reads a column with its filters, such as `revenue | times 1000000`: the same as between braces.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn column(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let slot = reader.slot(None)?;
        Ok(Self { parts: vec![Part::Column(slot)] })
    }

    /// Finds the columns among a file's headings.
    ///
    /// # Errors
    /// A sentence for people that names what is missing.
    pub fn bind(&mut self, headings: &Headings) -> Result<(), String> {
        let mut result = Ok(());
        each(&mut self.parts, &mut |slot| match headings.find(&slot.name) {
            Ok(index) => slot.index = index,
            Err(message) if result.is_ok() => result = Err(message),
            Err(_) => {}
        });
        result
    }

    /// The indexes of the columns it names.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        let mut found = Vec::new();
        collect(&self.parts, &mut |slot| found.push(slot.index));
        found
    }

    /// The column, where the text is one column as it stands.
    #[must_use]
    pub fn plain_column(&self) -> Option<usize> {
        match self.parts.as_slice() {
            [Part::Column(slot)] if slot.filters.is_empty() => Some(slot.index),
            _ => None,
        }
    }

    /// The text for a row; `None` when it has no value.
    ///
    /// # Errors
    /// When a filter does not take the value of its column.
    pub fn fill(&self, row: &StringRecord) -> Result<Option<String>, Unfit> {
        let mut filled = String::new();
        let (mut columns, mut full) = (0, 0);
        fill(&self.parts, row, &mut filled, &mut columns, &mut full)?;
        if columns > 0 && full == 0 {
            return Ok(None);
        }
        let filled = filled.trim();
        Ok((!filled.is_empty()).then(|| filled.to_owned()))
    }
}

fn fill(
    parts: &[Part],
    row: &StringRecord,
    into: &mut String,
    columns: &mut usize,
    full: &mut usize,
) -> Result<(), Unfit> {
    for part in parts {
        match part {
            Part::Literal(text) => into.push_str(text),
            Part::Column(slot) => {
                let value = slot.value(row)?;
                *columns += 1;
                *full += usize::from(!value.is_empty());
                into.push_str(&value);
            }
            Part::Optional(parts) => {
                let (mut within, mut full_within, mut text) = (0, 0, String::new());
                fill(parts, row, &mut text, &mut within, &mut full_within)?;
                *columns += within;
                *full += full_within;
                if within == full_within {
                    into.push_str(&text);
                }
            }
        }
    }
    Ok(())
}

fn each(parts: &mut [Part], act: &mut impl FnMut(&mut Slot)) {
    for part in parts {
        match part {
            Part::Literal(_) => {}
            Part::Column(slot) => act(slot),
            Part::Optional(parts) => each(parts, act),
        }
    }
}

fn collect(parts: &[Part], act: &mut impl FnMut(&Slot)) {
    for part in parts {
        match part {
            Part::Literal(_) => {}
            Part::Column(slot) => act(slot),
            Part::Optional(parts) => collect(parts, act),
        }
    }
}

impl Slot {
    fn value(&self, row: &StringRecord) -> Result<String, Unfit> {
        let given = row.get(self.index).unwrap_or_default().trim();
        let mut value = given.to_owned();
        for filter in &self.filters {
            value = filter.apply(value).map_err(|message| Unfit {
                column: self.name.clone(),
                value: given.to_owned(),
                message,
            })?;
        }
        Ok(value)
    }
}

/// The names in the first line of a file.
#[derive(Clone, Debug)]
pub struct Headings(Vec<String>);

impl Headings {
    /// The headings of a file.
    #[must_use]
    pub fn new(row: &StringRecord) -> Self {
        Self(row.iter().map(|heading| heading.trim().to_owned()).collect())
    }

    /// They, in the file's order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The place of a column: by its exact name, or else by its name without regard to case, accents and spaces.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn find(&self, name: &str) -> Result<usize, String> {
        let exact = |heading: &&String| heading.as_str() == name.trim();
        let alike = |heading: &&String| fold(heading) == fold(name);
        let listed = || self.0.iter().map(|heading| format!("\"{heading}\"")).collect::<Vec<_>>().join(", ");
        let place = |find: &dyn Fn(&&String) -> bool| -> Vec<usize> {
            self.0.iter().enumerate().filter(|(_, heading)| find(heading)).map(|(index, _)| index).collect()
        };
        let mut found = place(&exact);
        if found.is_empty() {
            found = place(&alike);
        }
        match found.as_slice() {
            [index] => Ok(*index),
            [] => Err(format!("the file has no column \"{}\"; it has {}", name.trim(), listed())),
            _ => Err(format!("the file has several columns \"{}\"; give them different names", name.trim())),
        }
    }
}

/// Reads the language.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn parts(&mut self, optional: bool) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let flush = |literal: &mut String, parts: &mut Vec<Part>| {
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(literal)));
            }
        };
        loop {
            match self.next() {
                None if optional => return Err("\"[\" has no \"]\"".to_owned()),
                None => {
                    flush(&mut literal, &mut parts);
                    return Ok(parts);
                }
                Some(']') if optional => {
                    flush(&mut literal, &mut parts);
                    if !parts.iter().any(|part| matches!(part, Part::Column(_))) {
                        return Err("between \"[\" and \"]\" stands no column; write \\[ for the character".to_owned());
                    }
                    return Ok(parts);
                }
                Some('[') if optional => return Err("\"[\" stands within \"[\"".to_owned()),
                Some('[') => {
                    flush(&mut literal, &mut parts);
                    parts.push(Part::Optional(self.parts(true)?));
                }
                Some('{') => {
                    flush(&mut literal, &mut parts);
                    parts.push(Part::Column(self.slot(Some('}'))?));
                }
                Some(c @ ('}' | ']')) => return Err(format!("\"{c}\" closes nothing; write \\{c} for the character")),
                Some('\\') => match self.next() {
                    Some(c @ ('{' | '}' | '[' | ']' | '\\')) => literal.push(c),
                    Some(c) => literal.extend(['\\', c]),
                    None => literal.push('\\'),
                },
                Some(c) => literal.push(c),
            }
        }
    }

    /// A column and its filters, up to `end` or the end of the text.
    fn slot(&mut self, end: Option<char>) -> Result<Slot, String> {
        let mut pieces = vec![String::new()];
        let mut quoted = false;
        loop {
            match self.next() {
                None if quoted => return Err("a double quote is not closed".to_owned()),
                None if end.is_some() => return Err("\"{\" has no \"}\"".to_owned()),
                None => break,
                Some(c) if !quoted && Some(c) == end => break,
                Some('|') if !quoted => pieces.push(String::new()),
                Some(c) => {
                    quoted ^= c == '"';
                    if let Some(piece) = pieces.last_mut() {
                        piece.push(c);
                    }
                }
            }
        }
        let mut pieces = pieces.into_iter();
        let name = pieces.next().unwrap_or_default();
        let name = name.trim();
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name).to_owned();
        if name.is_empty() {
            return Err("a column has no name".to_owned());
        }
        let filters = pieces.map(|piece| Filter::parse(piece.trim())).collect::<Result<_, _>>()?;
        Ok(Slot { name, index: usize::MAX, filters })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str, row: &[&str]) -> Result<Option<String>, String> {
        let headings = Headings::new(&StringRecord::from(vec!["product", "account", "Full Name", "a|b"]));
        let mut text = Text::parse(text)?;
        text.bind(&headings)?;
        text.fill(&StringRecord::from(row.to_vec())).map_err(|unfit| format!("{}: {}", unfit.column, unfit.message))
    }

    #[test]
    fn columns_stand_in_texts() {
        let row = ["GTX Pro", "Isdom", "Moses Frase", "x"];
        for (text, expected) in [
            ("{product} for {account}", "GTX Pro for Isdom"),
            ("{product}[ for {account}]", "GTX Pro for Isdom"),
            ("{ full name | slug . }@example.com", "moses.frase@example.com"),
            (r#"{"a|b"}"#, "x"),
            ("ACTIVE", "ACTIVE"),
            (r"\{no\} \[column\] \\", r"{no} [column] \"),
        ] {
            assert_eq!(filled(text, &row), Ok(Some(expected.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_left_out() {
        let row = ["GTX Pro", "", "", ""];
        assert_eq!(filled("{product}[ for {account}]", &row), Ok(Some("GTX Pro".to_owned())));
        assert_eq!(filled("{product} for {account|or nobody}", &row), Ok(Some("GTX Pro for nobody".to_owned())));
        assert_eq!(filled("{account}@example.com", &row), Ok(None));
        assert_eq!(filled("{account}", &row), Ok(None));
        assert_eq!(filled("   ", &row), Ok(None));
        // A row that is too short has no value there.
        assert_eq!(filled("{account}", &["GTX Pro"]), Ok(None));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (text, part) in [
            ("{product", "no \"}\""),
            ("product}", "closes nothing"),
            ("[ for ]", "no column"),
            ("[ for {account}", "no \"]\""),
            ("[a[{account}]]", "within"),
            ("{}", "no name"),
            ("{\"product}", "not closed"),
            ("{product|shout}", "no filter \"shout\""),
            ("{sector}", "it has \"product\", \"account\""),
            ("{product|times 2}", "product: \"GTX Pro\" is no number"),
        ] {
            let message = filled(text, &["GTX Pro", "", "", ""]).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-c{}|\\[\\]\"\\\\ =,.%]{0,30}", cell in "\\PC{0,10}") {
            let _ = Text::column(&text);
            if let Ok(mut text) = Text::parse(&text) {
                let headings = Headings::new(&StringRecord::from(vec!["a", "b", "c"]));
                if text.bind(&headings).is_ok() {
                    let _ = text.fill(&StringRecord::from(vec![cell.as_str(), "", "1"]));
                }
            }
        }
    }
}
