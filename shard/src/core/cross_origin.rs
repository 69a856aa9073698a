//! What routes with `aco`, or all routes with `auto_cross_origin`, add for pages of other sites:
//! CORS fields and JSON-P (proxy.md section 11).
//!
//! Pure: the request is looked at once when it arrives ([`arrive`]), what follows from it is kept
//! in one box beside the exchange and then the hold. Preflights are not answered here: `OPTIONS`
//! goes to the backend like any request, and only its answer is completed.

use config::{Jsonp, JsonpMode, Route};
use proto::http::Field;
use proto::http1::RequestHead;

use super::answer::Refusal;
use super::cors::CorsRequest;
use super::exchange::Answer;
use super::jsonp::{self, JsonpContext, JsonpRequest};

/// What the answer to one request gets.
#[derive(Debug)]
pub(super) struct CrossOrigin {
    cors: CorsRequest,
    jsonp: Option<JsonpContext>,
}

/// A request on a route with these options, or any other.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    /// For the answer; `None`: it stays as it is.
    pub(super) cross_origin: Option<Box<CrossOrigin>>,
    /// What the backend gets instead of the client's own request.
    pub(super) jsonp: Option<JsonpRequest>,
    /// The client is refused. The page gets CORS fields and is not wrapped (Pushpin does so).
    pub(super) refusal: Option<Refusal>,
}

/// Looks at a request that has come for `route`; `None` if there is none. `is_global`:
/// `auto_cross_origin` is set.
pub(super) fn arrive(
    head: &RequestHead<'_, '_>,
    route: Option<&Route>,
    is_global: bool,
) -> Arrival {
    let is_websocket = head
        .upgrade
        .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
    let is_on = is_global || route.is_some_and(|route| route.auto_cross_origin);
    if !is_on || is_websocket {
        return Arrival::default();
    }
    let read = match route {
        Some(route) => jsonp::read(head, &route.jsonp),
        None => jsonp::read(head, &plain_options()),
    };
    let (jsonp, context, refusal) = match read {
        Ok(Some((request, context))) => (Some(request), Some(context), None),
        Ok(None) => (None, None, None),
        Err(error) => (None, None, Some(Refusal::new(400, error.to_string()))),
    };
    let cross_origin = CrossOrigin {
        cors: CorsRequest::of(head),
        jsonp: context,
    };
    Arrival {
        cross_origin: Some(Box::new(cross_origin)),
        jsonp,
        refusal,
    }
}

impl Arrival {
    /// The fields of [`Arrival::head`], for its caller to keep.
    pub(super) fn fields(&self) -> Vec<Field<'_>> {
        let jsonp = self.jsonp.as_ref();
        jsonp.map(JsonpRequest::fields).unwrap_or_default()
    }

    /// The request that is meant by this one of a client's.
    pub(super) fn head<'a>(
        &'a self,
        fields: &'a [Field<'a>],
        client: &RequestHead<'a, 'a>,
    ) -> RequestHead<'a, 'a> {
        match &self.jsonp {
            Some(jsonp) => jsonp.head(fields, client),
            None => *client,
        }
    }
}

/// The options of a route without any: the page that says that there is no route is wrapped too.
fn plain_options() -> Jsonp {
    Jsonp {
        mode: JsonpMode::Extended,
        callback: "callback".to_owned(),
        body: None,
        default_callback: None,
        default_method: "GET".to_owned(),
    }
}

impl CrossOrigin {
    /// How the answer is wrapped, if it is.
    pub(super) fn jsonp(&self) -> Option<&JsonpContext> {
        self.jsonp.as_ref()
    }

    /// Completes a whole answer: an error page, a collected response, an item, a timeout.
    pub(super) fn complete(&self, mut answer: Answer) -> Answer {
        if let Some(jsonp) = &self.jsonp {
            return jsonp::wrap(jsonp, &answer);
        }
        self.cors.add_fields(&mut answer.fields, 0);
        answer
    }

    /// Completes the field lines that begin at `from` in `out`, of a response that is relayed as
    /// it is or becomes a stream. Streams are never wrapped: a script runs when it has ended.
    pub(super) fn add_fields(&self, out: &mut Vec<u8>, from: usize) {
        self.cors.add_fields(out, from);
    }
}

/// The lines of a block of fields as names and values.
pub(super) fn fields_of(block: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    block.split(|b| *b == b'\n').filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        Some((std::str::from_utf8(name).ok()?, value))
    })
}

#[cfg(test)]
mod tests {
    use proto::Parsed;
    use proto::http1::{FIELDS_MAX, HeadLimits, Slots, parse_request};

    use super::*;

    fn arrival(bytes: &str, is_global: bool) -> Arrival {
        let limits = HeadLimits {
            head_len_max: 8192,
            fields_max: FIELDS_MAX,
        };
        let mut slots = Slots::new();
        let Ok(Parsed::Complete(head, _)) = parse_request(bytes.as_bytes(), &mut slots, &limits)
        else {
            panic!("no request: {bytes}");
        };
        arrive(&head, None, is_global)
    }

    fn page() -> Answer {
        Answer::page(&Refusal::new(502, "no"))
    }

    #[test]
    fn nothing_is_added_where_it_is_off_and_to_websockets() {
        let get = "GET /?callback=f HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(arrival(get, false).cross_origin.is_none());
        let upgrade =
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
        assert!(arrival(upgrade, true).cross_origin.is_none());
    }

    #[test]
    fn a_page_gets_cors_fields_or_is_wrapped() {
        let plain = arrival("GET / HTTP/1.1\r\nHost: a\r\nOrigin: o\r\n\r\n", true);
        let answer = plain.cross_origin.unwrap().complete(page());
        let fields = String::from_utf8(answer.fields).unwrap();
        assert!(fields.contains("Access-Control-Allow-Origin: o\r\n"));
        assert_eq!((answer.status, answer.content), (502, b"no\n".to_vec()));

        let jsonp = arrival("GET /?callback=f HTTP/1.1\r\nHost: a\r\n\r\n", true);
        let answer = jsonp.cross_origin.unwrap().complete(page());
        assert_eq!(answer.status, 200);
        assert_eq!(answer.fields, b"Content-Type: application/javascript\r\n");
        let content = String::from_utf8(answer.content).unwrap();
        assert!(
            content.starts_with(r#"/**/f({"body":"no\n","code":502,"#),
            "{content}"
        );
    }

    #[test]
    fn a_refusal_is_not_wrapped() {
        let bad = arrival("GET /?callback= HTTP/1.1\r\nHost: a\r\n\r\n", true);
        let refusal = Refusal::new(400, "Invalid callback parameter.");
        assert_eq!(bad.refusal, Some(refusal));
        let answer = bad.cross_origin.unwrap().complete(page());
        assert_eq!(answer.status, 502);
        assert!(bad.jsonp.is_none());
    }

    #[test]
    fn a_post_is_no_jsonp() {
        let post = "POST /?callback=f HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        let arrival = arrival(post, true);
        assert!(arrival.jsonp.is_none() && arrival.refusal.is_none());
        assert!(arrival.cross_origin.unwrap().jsonp().is_none());
    }
}
