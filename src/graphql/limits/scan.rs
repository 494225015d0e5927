//! The first look at a document's text: counts tokens and the nesting of brackets, byte by byte, before a parser that
//! recurses and allocates sees it. What it lets through need not be GraphQL; that is for the parser to say.

use super::{Limits, Refusal};

/// Counts the tokens of `text`.
pub(super) fn scan(text: &str, limits: &Limits) -> Result<usize, Refusal> {
    let bytes = text.as_bytes();
    let (mut at, mut tokens, mut nesting) = (0, 0, 0_u32);
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at += until(bytes, at, |byte| byte == b'\n' || byte == b'\r');
                continue;
            }
            b'{' | b'(' | b'[' => {
                nesting += 1;
                if nesting > limits.nesting {
                    return Err(Refusal::too_deep("the document nests brackets", limits.nesting, None));
                }
                1
            }
            b'}' | b')' | b']' => {
                nesting = nesting.saturating_sub(1);
                1
            }
            b'"' => string(bytes, at),
            b'.' if bytes[at..].starts_with(b"...") => 3,
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => until(bytes, at, |byte| byte != b'_' && !byte.is_ascii_alphanumeric()),
            b'-' | b'0'..=b'9' => {
                1 + until(bytes, at + 1, |byte| !byte.is_ascii_digit() && !matches!(byte, b'.' | b'e' | b'E'))
            }
            // The rest of a character that is not ASCII belongs to the token its first byte counts for.
            0x80..=0xBF => {
                at += 1;
                continue;
            }
            _ => 1,
        };
        at += length;
        tokens += 1;
        if tokens > limits.tokens {
            return Err(Refusal::too_much("tokens", limits.tokens, None));
        }
    }
    Ok(tokens)
}

/// How far it is from `start` to the first byte that `end` accepts, or to the end of the text.
fn until(bytes: &[u8], start: usize, end: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|byte| end(*byte)).unwrap_or(bytes.len() - start)
}

/// The length of the string or block string that opens at `start`.
fn string(bytes: &[u8], start: usize) -> usize {
    let block = bytes[start..].starts_with(br#"""""#);
    let mut at = start + if block { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if block && bytes[at + 1..].starts_with(br#"""""#) => at += 4,
            b'\\' if !block => at += 2,
            b'"' if block && bytes[at..].starts_with(br#"""""#) => return at + 3 - start,
            b'"' if !block => return at + 1 - start,
            b'\n' | b'\r' if !block => break,
            _ => at += 1,
        }
    }
    at.min(bytes.len()) - start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> usize {
        scan(text, &Limits::default()).unwrap()
    }

    #[test]
    fn counts_tokens_as_the_grammar_does() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("{ a }"), 3);
        assert_eq!(tokens("query Q($a: Int! = 1) { a(b: $a) ...F @include(if: true) }"), 29);
        assert_eq!(tokens("{ a # comment { { {\n b }"), 4);
        assert_eq!(tokens(r#"{ a(s: "} \" {", t: """ " \""" } """) }"#), 11);
        assert_eq!(tokens("{ a(n: -1.5e10, é: 2) }"), 11);
        assert_eq!(tokens("{ a...B }"), 5);
    }

    #[test]
    fn ends_whatever_is_left_open() {
        for text in ["\"", "\"\\", "\"\"\"", "\"\"\"\\", "\"a\nb", "#", "-", "..", "\"\"\"\\\"\"", "é\"\\"] {
            assert!(tokens(text) <= 3, "{text:?}");
        }
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        let limits = Limits { nesting: 2, ..Limits::default() };
        assert!(scan(r#"{ a(s: "((((((") }"#, &limits).is_ok());
        assert_eq!(scan("{ a(s: [1]) }", &limits).unwrap_err().code, "DEPTH_EXCEEDED");
    }
}
