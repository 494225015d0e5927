//! Folding: the form in which text is compared.
//!
//! The two engines differ in `lower`, `LIKE` and collation, and neither ignores accents. So the platform folds text
//! itself, once, when it is written, into a shadow column, and folds what it is compared with in the same way. The
//! answer is then the same on SQLite, on PostgreSQL and in memory, and an index can serve it.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// `text` in lower case and without accents, trimmed, runs of white space made one space: "  Ångström  ÉTÉ" becomes
/// "angstrom ete". Letters that Unicode does not decompose but people read as accented are spelt out ("ß" is "ss").
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        if c.is_whitespace() {
            if !folded.is_empty() && !folded.ends_with(' ') {
                folded.push(' ');
            }
            continue;
        }
        for lower in c.to_lowercase().filter(|c| !is_combining_mark(*c)) {
            match lower {
                'ß' => folded.push_str("ss"),
                'æ' => folded.push_str("ae"),
                'œ' => folded.push_str("oe"),
                'þ' => folded.push_str("th"),
                'ø' => folded.push('o'),
                'đ' | 'ð' => folded.push('d'),
                'ł' => folded.push('l'),
                'ħ' => folded.push('h'),
                'ı' => folded.push('i'),
                'ς' => folded.push('σ'),
                other => folded.push(other),
            }
        }
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fold;

    #[test]
    fn folds_case_accents_and_space() {
        for (text, folded) in [
            ("  Ångström\t ÉTÉ ", "angstrom ete"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("İstanbul", "istanbul"),
            ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
            ("ﬁne", "fine"),
            ("Łódź", "lodz"),
            ("", ""),
        ] {
            assert_eq!(fold(text), folded);
        }
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn case_does_not_matter(text in "[a-zA-ZäöüÄÖÜéÉñÑ ]{0,40}") {
            prop_assert_eq!(fold(&text.to_uppercase()), fold(&text.to_lowercase()));
        }
    }
}
