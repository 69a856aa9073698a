//! How a response that is relayed is framed towards the client, and its head.

use proto::grip::Instruct;
use proto::http::Version;
use proto::http1::{BodyReader, BodyStep, Framing, ResponseHead, encode};

use super::next_piece;
use crate::core::answer::{end_head, is_contentless};
use crate::core::conn::ClientTerms;
use crate::core::cross_origin::CrossOrigin;
use crate::core::exchange::ReplyFraming;
use crate::core::jsonp::{self, JsonpBody, JsonpContext};
use crate::core::rewrite::write_response_fields;

/// How a response is framed towards the client.
pub(super) struct Plan {
    /// The status code that the client is told, or the script tells.
    pub(super) status: u16,
    pub(super) framing: ReplyFraming,
    content_len: Option<u64>,
    pub(super) reader: BodyReader,
}

impl Plan {
    /// For the response with this head, of whose content `rest` is here.
    pub(super) fn new(
        head: &ResponseHead<'_, '_>,
        rest: &[u8],
        terms: &ClientTerms,
        is_held: bool,
        instruct: Option<&Instruct>,
    ) -> Self {
        let status = instruct
            .and_then(|instruct| instruct.status.as_ref())
            .map_or(head.status, |status| status.code);
        let reader = BodyReader::new(head.framing);
        let open_end = open_end(terms.version);
        let plan = |framing, content_len| Self {
            status,
            framing,
            content_len,
            reader,
        };
        if is_contentless(status) {
            return plan(ReplyFraming::None, None);
        }
        if terms.is_head {
            return plan(ReplyFraming::None, head_content_length(head));
        }
        match head.framing {
            _ if is_held => plan(open_end, None),
            Framing::None => plan(ReplyFraming::Length, Some(0)),
            Framing::Length(len) => plan(ReplyFraming::Length, Some(len)),
            Framing::Chunked => match whole_len(reader, rest) {
                Some(len) => plan(ReplyFraming::Length, Some(len)),
                None => plan(open_end, None),
            },
            Framing::UntilClose => plan(open_end, None),
        }
    }

    /// The content becomes part of a script, which is longer and never without content.
    pub(super) fn become_script(&mut self, terms: &ClientTerms) {
        self.framing = open_end(terms.version);
        self.content_len = None;
    }
}

/// How content without a known end is framed for a client of this version.
const fn open_end(version: Version) -> ReplyFraming {
    match version {
        Version::Http11 => ReplyFraming::Chunked,
        Version::Http10 => ReplyFraming::UntilClose,
    }
}

/// The length that the answer to a GET would have (RFC 9110 section 9.3.2).
fn head_content_length(head: &ResponseHead<'_, '_>) -> Option<u64> {
    let value = proto::http::field_value(head.fields, "Content-Length")?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The length of chunked content that is all there.
fn whole_len(mut reader: BodyReader, rest: &[u8]) -> Option<u64> {
    let (mut at, mut len) = (0, 0);
    loop {
        match next_piece(&mut reader, rest, at).ok()? {
            BodyStep::Data { start, end } => {
                len += (end - start) as u64;
                at = end;
            }
            BodyStep::End { .. } => return Some(len),
            BodyStep::NeedMore { .. } => return None,
        }
    }
}

/// Appends the head of a relayed response, with what it gets on top: CORS fields, or a script
/// around its content, whose start is written too.
pub(super) fn write_start(
    head: &ResponseHead<'_, '_>,
    plan: &Plan,
    terms: &ClientTerms,
    instruct: Option<&Instruct>,
    (cross_origin, script): (Option<&CrossOrigin>, Option<&JsonpContext>),
    out: &mut Vec<u8>,
) -> Option<Box<JsonpBody>> {
    let Some(context) = script else {
        write_head(head, plan, terms, instruct, cross_origin, out);
        return None;
    };
    let body = write_script_start(head, plan, terms, instruct, context, out);
    Some(Box::new(body))
}

fn write_head(
    head: &ResponseHead<'_, '_>,
    plan: &Plan,
    terms: &ClientTerms,
    instruct: Option<&Instruct>,
    cross_origin: Option<&CrossOrigin>,
    out: &mut Vec<u8>,
) {
    match instruct.and_then(|instruct| instruct.status.as_ref()) {
        Some(status) => encode::status_line(out, terms.version, status.code, &status.reason),
        None => encode::status_line(out, terms.version, head.status, head.reason),
    }
    let keeps = |name: &str| instruct.is_none_or(|instruct| instruct.keeps_field(name));
    let from = out.len();
    write_response_fields(head.fields, instruct.is_some(), &keeps, out);
    if let Some(cross_origin) = cross_origin {
        cross_origin.add_fields(out, from);
    }
    end_head(out, terms, plan.framing, plan.content_len);
}

/// The head of a script, and all of its content that comes before the relayed one.
fn write_script_start(
    head: &ResponseHead<'_, '_>,
    plan: &Plan,
    terms: &ClientTerms,
    instruct: Option<&Instruct>,
    context: &JsonpContext,
    out: &mut Vec<u8>,
) -> JsonpBody {
    let own = instruct.and_then(|instruct| instruct.status.as_ref());
    let reason = own.map_or(head.reason, |status| &status.reason);
    let keeps = |name: &str| instruct.is_none_or(|instruct| instruct.keeps_field(name));
    let mut lines = Vec::new();
    write_response_fields(head.fields, instruct.is_some(), &keeps, &mut lines);
    encode::status_line(out, terms.version, jsonp::STATUS.0, jsonp::STATUS.1);
    context.write_fields(&lines, out);
    end_head(out, terms, plan.framing, None);
    JsonpBody::begin(context, plan.framing, (plan.status, reason), &lines, out)
}
