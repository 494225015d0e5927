//! Content negotiation: in which form the caller wants its answer.

use axum::http::{HeaderMap, header};

pub(crate) const JSON: &str = "application/json; charset=utf-8";
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json; charset=utf-8";

/// The forms of a single answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json`, whose status says only whether there was a request.
    Json,
    /// `application/graphql-response+json`, whose status says whether it could be run.
    GraphqlResponse,
}

impl Media {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::GraphqlResponse => GRAPHQL_RESPONSE,
        }
    }
}

/// What a caller accepts. The best quality of each form; nothing where it is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) media: Option<Media>,
    pub(crate) event_stream: bool,
    /// The caller would rather have an event stream than a single answer.
    pub(crate) prefers_event_stream: bool,
    /// The caller is a browser that shows a page.
    pub(crate) prefers_html: bool,
}

/// A media range of the header.
struct Range {
    main: String,
    sub: String,
    /// In thousandths.
    quality: u16,
}

/// How well a form is accepted: the quality, and how exactly it was named.
type Match = (u16, u8);

pub(crate) fn negotiate(headers: &HeaderMap) -> Accepted {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range> = values.flat_map(split).filter_map(range).collect();
    let nothing_said = headers.get_all(header::ACCEPT).iter().all(|value| value.as_bytes().trim_ascii().is_empty());
    if nothing_said {
        let media = Some(Media::Json);
        return Accepted { media, event_stream: false, prefers_event_stream: false, prefers_html: false };
    }
    let best = |main: &str, sub: &str| -> Option<Match> {
        let precise = |range: &&Range| precision(range, main, sub);
        let range = ranges.iter().filter(|range| precise(range).is_some()).max_by_key(precise)?;
        Some((range.quality, precision(range, main, sub)?)).filter(|(quality, _)| *quality > 0)
    };
    // A page and a stream must be asked for by name: `*/*` means a plain answer.
    let named = |main, sub| best(main, sub).filter(|(_, precision)| *precision == 2);
    let json = best("application", "json");
    let graphql = best("application", "graphql-response+json");
    let media = match (json, graphql) {
        (None, None) => None,
        (Some(_), None) => Some(Media::Json),
        (None, Some(_)) => Some(Media::GraphqlResponse),
        // Between equals, the one that says more; but only to those who know it by name.
        (Some(json), Some(graphql)) if graphql > json || (graphql == json && graphql.1 == 2) => {
            Some(Media::GraphqlResponse)
        }
        _ => Some(Media::Json),
    };
    let single = json.max(graphql).map(|(quality, _)| quality);
    let stream = named("text", "event-stream").map(|(quality, _)| quality);
    let html = named("text", "html").map(|(quality, _)| quality);
    Accepted {
        media,
        event_stream: stream.is_some(),
        prefers_event_stream: stream > single,
        prefers_html: html.is_some() && html >= single.max(stream),
    }
}

/// How exactly a range names a form: 2 by name, 1 by its main type, 0 as anything.
fn precision(range: &Range, main: &str, sub: &str) -> Option<u8> {
    match (range.main.as_str(), range.sub.as_str()) {
        ("*", "*") => Some(0),
        (m, "*") if m == main => Some(1),
        (m, s) if m == main && s == sub => Some(2),
        _ => None,
    }
}

/// Splits at commas outside of quotes.
fn split(value: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let comma = move |character: char| {
        let separates = character == ',' && !quoted;
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && quoted && !escaped;
        separates
    };
    value.split(comma).collect()
}

fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let (main, sub) = parts.next()?.split_once('/')?;
    let mut quality = 1000;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => quality = thousandths(value)?,
            // Answers are UTF-8 and nothing else.
            "charset" if !is_utf8(value) => return None,
            _ => {}
        }
    }
    Some(Range { main: main.trim().to_ascii_lowercase(), sub: sub.trim().to_ascii_lowercase(), quality })
}

pub(super) fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

fn thousandths(value: &str) -> Option<u16> {
    let quality: f32 = value.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    (0.0..=1.0).contains(&quality).then(|| (quality * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accepted(accept: &[&str]) -> Accepted {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        negotiate(&headers)
    }

    #[test]
    fn chooses_the_best_form_of_an_answer() {
        use Media::{GraphqlResponse, Json};
        const NEW: &str = "application/graphql-response+json";
        let cases: [(&[&str], Option<Media>); 17] = [
            (&[], Some(Json)),
            (&[""], Some(Json)),
            (&["*/*"], Some(Json)),
            (&["application/*"], Some(Json)),
            (&["application/json"], Some(Json)),
            (&["APPLICATION/JSON; charset=\"UTF-8\""], Some(Json)),
            (&["application/json; charset=utf-16"], None),
            (&[NEW], Some(GraphqlResponse)),
            (&[NEW, "application/json"], Some(GraphqlResponse)),
            (&["application/json, application/graphql-response+json"], Some(GraphqlResponse)),
            (&["application/graphql-response+json;q=0.9, application/json"], Some(Json)),
            (&["application/graphql-response+json, application/json;q=0.9, */*;q=0.1"], Some(GraphqlResponse)),
            (&["application/json;q=0, */*"], Some(GraphqlResponse)),
            (&["application/json;q=0"], None),
            (&["text/html"], None),
            (&["nonsense"], None),
            (&["text/plain;x=\"a,application/json\""], None),
        ];
        for (accept, media) in cases {
            assert_eq!(accepted(accept).media, media, "{accept:?}");
        }
    }

    #[test]
    fn streams_and_pages_are_asked_for_by_name() {
        assert!(!accepted(&["*/*"]).event_stream && !accepted(&["text/*"]).prefers_html);
        let mixed = accepted(&["application/graphql-response+json, application/json, text/event-stream"]);
        assert!(mixed.event_stream && !mixed.prefers_event_stream);
        let only = accepted(&["text/event-stream"]);
        assert!(only.prefers_event_stream && only.media.is_none());
        assert!(accepted(&["text/event-stream, application/json;q=0.5"]).prefers_event_stream);
        let browser = accepted(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]);
        assert!(browser.prefers_html);
        assert!(!accepted(&["application/json, text/html;q=0.5"]).prefers_html);
    }
}
