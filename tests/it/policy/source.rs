//! Reading Rust sources well enough to hold rules on them: which paths a file names, outside comments, strings and
//! tests. It reads characters, not syntax: what it misses is what macros build.

use std::path::{Path, PathBuf};

/// A file below `src/`.
pub struct Source {
    /// Its path from the project's folder, with `/`.
    pub path: String,
    /// Its module, such as `["services", "sales", "ticket"]`; empty for `main.rs` and `lib.rs`.
    pub module: Vec<String>,
    /// Its text.
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let stem = path.trim_start_matches("src/").trim_end_matches(".rs");
        let stem = stem.strip_suffix("/mod").unwrap_or(stem);
        let module = match stem {
            "main" | "lib" => Vec::new(),
            stem => stem.split('/').map(str::to_owned).collect(),
        };
        Self { path: path.to_owned(), module, text: text.to_owned() }
    }

    /// The code that ships: without comments, strings' contents and what is marked `#[cfg(test)]`.
    pub fn code(&self) -> String {
        without_tests(&strip(&self.text, Strings::Emptied))
    }

    /// As [`Source::code`], with strings.
    pub fn code_with_strings(&self) -> String {
        without_tests(&strip(&self.text, Strings::Kept))
    }
}

/// Every file below `src/` that ships: files of tests are left out.
pub fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    assert!(files.len() > 10, "the sources were not found");
    let sources = files.into_iter().map(|file| {
        let text = std::fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        Source::new(&path, &text)
    });
    sources.filter(|source| source.module.last().is_none_or(|name| name != "tests")).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "tests") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Strings {
    Kept,
    Emptied,
}

/// Takes comments away, and the contents of strings where that is asked for.
fn strip(text: &str, strings: Strings) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let word_before = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if at(i) == 'r' && !word_before && matches!(at(i + 1), '"' | '#') && raw_hashes(&chars, i + 1).is_some()
        {
            let hashes = raw_hashes(&chars, i + 1).unwrap();
            let start = i + 1 + hashes;
            let mut end = start + 1;
            while end < chars.len() && !(at(end) == '"' && (1..=hashes).all(|n| at(end + n) == '#')) {
                end += 1;
            }
            push_string(&mut out, &chars[start.min(end)..end.min(chars.len())], strings);
            i = end + 1 + hashes;
        } else if at(i) == '"' {
            let start = i;
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            push_string(&mut out, &chars[start..i.min(chars.len())], strings);
            i += 1;
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character, not a lifetime.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            out.push_str("' '");
            i += 1;
        } else {
            out.push(at(i));
            i += 1;
        }
    }
    out
}

/// How many `#` a raw string that begins here has, if one does.
fn raw_hashes(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    (chars.get(from + hashes) == Some(&'"')).then_some(hashes)
}

/// `opened` begins with the opening quote.
fn push_string(out: &mut String, opened: &[char], strings: Strings) {
    out.push('"');
    if strings == Strings::Kept {
        out.extend(opened.iter().skip(1));
    }
    out.push('"');
}

/// Takes away what follows each `#[cfg(test)]`: up to the end of its braces, or to its semicolon.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, after)) = rest.split_once(MARK) {
        out.push_str(before);
        let mut depth = 0;
        let end = after.char_indices().find_map(|(index, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0 && matches!(c, '}' | ';')).then_some(index + 1)
        });
        rest = &after[end.unwrap_or(after.len())..];
    }
    out.push_str(rest);
    out
}

/// Every path that code names from `crate::`, `super::` or `self::`, as the words from the crate's root. Groups
/// (`crate::{a::b, c}`) are spread out.
pub fn paths(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (index, _) in code.match_indices("::") {
        let word = last_word(&code[..index]);
        let before = &code[..index - word.len()];
        // Only where a path begins; `super::super` is followed from its first word.
        if before.trim_end().ends_with("::") {
            continue;
        }
        let mut base = match word {
            "crate" => Vec::new(),
            "self" => module.to_vec(),
            "super" => parent(module),
            _ => continue,
        };
        let mut rest = &code[index + 2..];
        while let Some(after) =
            rest.trim_start().strip_prefix("super").and_then(|rest| rest.trim_start().strip_prefix("::"))
        {
            base = parent(&base);
            rest = after;
        }
        spread(rest, &base, &mut found);
    }
    found
}

fn parent(module: &[String]) -> Vec<String> {
    module[..module.len().saturating_sub(1)].to_vec()
}

fn last_word(text: &str) -> &str {
    let start = text.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |index| index + 1);
    // The found character may be longer than a byte, but Rust's code outside strings is ASCII here.
    text.get(start..).unwrap_or("")
}

/// Reads a path, or a group of paths in braces, and returns what follows it.
fn spread<'a>(text: &'a str, base: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let mut text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let mut rest = group;
        loop {
            rest = spread(rest, base, found).trim_start();
            // `as name` is skipped up to what ends the item.
            rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut path = base.to_vec();
    if end > 0 && &text[..end] != "self" {
        path.push(text[..end].to_owned());
    }
    text = &text[end..];
    match text.trim_start().strip_prefix("::") {
        Some(after) if after.trim_start().starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => {
            spread(after, &path, found)
        }
        _ => {
            found.push(path);
            text
        }
    }
}

/// Whether code names `word`, as a whole word.
pub fn names(code: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word)
        .any(|(index, _)| !part(code[..index].chars().next_back()) && !part(code[index + word.len()..].chars().next()))
}

/// The line of a byte of the text.
pub fn line(text: &str, index: usize) -> usize {
    text[..index].matches('\n').count() + 1
}

#[test]
fn comments_strings_and_tests_are_left_out() {
    let source = Source::new(
        "src/a.rs",
        r####"
        use crate::one; // crate::comment
        /* crate::block /* crate::nested */ */
        const A: &str = "crate::string \" crate::quoted";
        const B: &str = r#"crate::raw " "#;
        const C: [char; 3] = ['"', '\'', '{'];
        fn life<'a>(x: &'a crate::two::X) {}
        #[cfg(test)]
        use crate::unit;
        #[cfg(test)]
        mod tests { fn x() { crate::test::x(); } }
        fn after() { crate::three::x() }
        "####,
    );
    let found: Vec<_> = paths(&source.code(), &source.module).into_iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["one", "two::X", "three::x"]);
    assert!(source.code_with_strings().contains("crate::raw"));
}

#[test]
fn groups_and_relative_paths_are_spread_out() {
    let source = Source::new(
        "src/services/sales/ticket.rs",
        "use crate::{data::{self, find::Scoped}, error::Result as R, services::sales};\n\
         use super::lead; use super::super::support::{sla, ticket::X}; use self::inner::Y;\n\
         fn f() -> crate::error::Result<super::super::insight::T> { std::mem::drop(1) }",
    );
    let found: Vec<_> = paths(&source.code(), &source.module).into_iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        [
            "data",
            "data::find::Scoped",
            "error::Result",
            "services::sales",
            "services::sales::lead",
            "services::support::sla",
            "services::support::ticket::X",
            "services::sales::ticket::inner::Y",
            "error::Result",
            "services::insight::T",
        ]
    );
}

#[test]
fn files_know_their_modules() {
    let module = |path| Source::new(path, "").module.join("::");
    assert_eq!(module("src/lib.rs"), "");
    assert_eq!(module("src/data/mod.rs"), "data");
    assert_eq!(module("src/services/sales/lead.rs"), "services::sales::lead");
}
