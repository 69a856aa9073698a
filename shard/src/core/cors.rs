//! CORS fields of responses (Fetch, section "CORS protocol"; which and when: proxy.md section 11
//! and grip-http.md section 19).

use proto::http::{Field, field_value, field_values};
use proto::http1::{RequestHead, encode};

use super::cross_origin::fields_of;

/// What a response says about methods when the client did not ask for one.
const METHODS: &[u8] = b"OPTIONS, HEAD, GET, POST, PUT, DELETE";

/// Seconds for which a browser may keep the answer to a preflight.
const MAX_AGE_S: &[u8] = b"3600";

/// Names that scripts may see without being told so, in Pushpin's choice.
const SIMPLE: [&str; 7] = [
    "Cache-Control",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "Expires",
    "Last-Modified",
    "Pragma",
];

/// What the fields depend on, kept for as long as the request is answered or held. These are the
/// client's own fields, not what a route makes of them.
#[derive(Debug, Default)]
pub(super) struct CorsRequest {
    origin: Option<Box<[u8]>>,
    method: Option<Box<[u8]>>,
    /// The members of all `Access-Control-Request-Headers`.
    headers: Option<Box<[u8]>>,
}

impl CorsRequest {
    /// Of a client's request.
    pub(super) fn of(head: &RequestHead<'_, '_>) -> Self {
        let first = |name| {
            let value = field_value(head.fields, name)?;
            (!value.is_empty()).then(|| value.into())
        };
        Self {
            origin: first("Origin"),
            method: first("Access-Control-Request-Method"),
            headers: joined(head.fields, "Access-Control-Request-Headers"),
        }
    }

    /// Appends to the field lines that begin at `from` in `out` those that are missing. A
    /// backend's own win.
    pub(super) fn add_fields(&self, out: &mut Vec<u8>, from: usize) {
        let lines = out.get(from..).unwrap_or_default();
        let exposed = exposed_names(lines);
        let origin = self.origin.as_deref().unwrap_or(b"*");
        let own: [(&str, Option<&[u8]>); 6] = [
            (
                "Access-Control-Allow-Methods",
                Some(self.method.as_deref().unwrap_or(METHODS)),
            ),
            ("Access-Control-Allow-Headers", self.headers.as_deref()),
            ("Access-Control-Expose-Headers", exposed.as_deref()),
            ("Access-Control-Allow-Credentials", Some(b"true")),
            ("Access-Control-Allow-Origin", Some(origin)),
            ("Access-Control-Max-Age", Some(MAX_AGE_S)),
        ];
        let is_there = own
            .map(|(name, _)| fields_of(lines).any(|(found, _)| found.eq_ignore_ascii_case(name)));
        for ((name, value), is_there) in own.into_iter().zip(is_there) {
            if let (Some(value), false) = (value, is_there) {
                encode::field(out, name, value);
            }
        }
    }
}

/// The values of all fields of this name as one list; `None` if there is nothing in them.
fn joined(fields: &[Field<'_>], name: &str) -> Option<Box<[u8]>> {
    let values: Vec<&[u8]> = field_values(fields, name)
        .filter(|value| !value.is_empty())
        .collect();
    (!values.is_empty()).then(|| values.join(&b", "[..]).into())
}

/// The names that scripts would not see without being told so, each once.
fn exposed_names(lines: &[u8]) -> Option<Vec<u8>> {
    let starts = |name: &str, prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in fields_of(lines) {
        let is_known = SIMPLE
            .iter()
            .chain(&names)
            .any(|known| known.eq_ignore_ascii_case(name));
        if !is_known && !starts(name, "Access-Control-") && !starts(name, "Grip-") {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| names.join(", ").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(request: &CorsRequest, lines: &str) -> String {
        let mut out = b"HTTP/1.1 200 OK\r\n".to_vec();
        let from = out.len();
        out.extend_from_slice(lines.as_bytes());
        request.add_fields(&mut out, from);
        let text = String::from_utf8(out).unwrap();
        text.strip_prefix("HTTP/1.1 200 OK\r\n").unwrap().to_owned()
    }

    #[test]
    fn a_request_that_says_nothing_gets_the_defaults() {
        assert_eq!(
            completed(&CorsRequest::default(), ""),
            "Access-Control-Allow-Methods: OPTIONS, HEAD, GET, POST, PUT, DELETE\r\n\
             Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Origin: *\r\n\
             Access-Control-Max-Age: 3600\r\n"
        );
    }

    #[test]
    fn what_the_client_asks_for_is_echoed() {
        let field = |name, value: &'static str| Field {
            name,
            value: value.as_bytes(),
        };
        let fields = [
            field("Access-Control-Request-Headers", "A"),
            field("access-control-request-headers", "B, C"),
        ];
        let request = CorsRequest {
            origin: Some(b"http://o"[..].into()),
            method: Some(b"PUT"[..].into()),
            headers: joined(&fields, "Access-Control-Request-Headers"),
        };
        assert_eq!(
            completed(&request, ""),
            "Access-Control-Allow-Methods: PUT\r\nAccess-Control-Allow-Headers: A, B, C\r\n\
             Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Origin: http://o\r\n\
             Access-Control-Max-Age: 3600\r\n"
        );
    }

    #[test]
    fn what_is_there_already_stays() {
        let lines = "access-control-allow-origin: only\r\nAccess-Control-Max-Age: 5\r\n\
                     Access-Control-Allow-Methods: X\r\nAccess-Control-Expose-Headers: \r\n\
                     Access-Control-Allow-Credentials: false\r\nX-A: 1\r\n";
        assert_eq!(completed(&CorsRequest::default(), lines), lines);
    }

    #[test]
    fn all_but_simple_names_are_exposed_once() {
        let lines = "Content-Type: a\r\nX-Custom: 1\r\ncache-control: b\r\nx-custom: 2\r\n\
                     Grip-Foo: c\r\nVary: d\r\nAccess-Control-Max-Age: 1\r\n";
        let completed = completed(&CorsRequest::default(), lines);
        let exposed = "Access-Control-Expose-Headers: X-Custom, Vary\r\n";
        assert!(completed.contains(exposed), "{completed}");
    }
}
