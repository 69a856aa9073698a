//! Responses that are made here: error pages, and whole answers sent in one go.

use proto::http::{Version, reason_phrase};
use proto::http1::encode;

use super::actions::Actions;
use super::conn::{ClientTerms, State};
use super::exchange::{Answer, Exchange, ReplyFraming, ResponsePhase};
use super::filter::RequestFailure;
use super::request_log::Outcome;
use super::{ConnKey, Core, Socket};

/// What went wrong, as the client is told (proxy.md section 8.2 gives the texts).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// One line, without its end.
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// 502 whose reason is only told in debug mode.
    pub(super) fn gateway(is_debug: bool, why: impl Into<String>) -> Self {
        let text = if is_debug {
            why.into()
        } else {
            "Error while proxying to origin.".to_owned()
        };
        Self { status: 502, text }
    }
}

impl Answer {
    /// The page of a refusal.
    pub(super) fn page(refusal: &Refusal) -> Self {
        Self {
            status: refusal.status,
            reason: reason_phrase(refusal.status).as_bytes().to_vec(),
            fields: b"Content-Type: text/plain\r\n".to_vec(),
            content: format!("{}\n", refusal.text).into_bytes(),
        }
    }
}

/// The lowest status code of a final response. Instructions and items may name any number up to
/// 999, but a client takes what is below for an interim response (RFC 9110 section 15.2) and the
/// next answer for this one.
pub(super) const FINAL_STATUS_MIN: u16 = 200;

/// Whether a response with this status has no content by definition (RFC 9110 section 6.4.1).
pub(super) const fn is_contentless(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

/// Ends a response head: framing and connection fields, then the empty line.
pub(super) fn end_head(
    out: &mut Vec<u8>,
    terms: &ClientTerms,
    framing: ReplyFraming,
    content_len: Option<u64>,
) {
    match framing {
        ReplyFraming::Chunked => encode::transfer_encoding_chunked(out),
        ReplyFraming::Length | ReplyFraming::None => {
            if let Some(len) = content_len {
                encode::content_length(out, len);
            }
        }
        ReplyFraming::UntilClose => {}
    }
    match (terms.version, terms.is_persistent) {
        (_, false) => encode::field(out, "Connection", b"close"),
        (Version::Http10, true) => encode::field(out, "Connection", b"keep-alive"),
        (Version::Http11, true) => {}
    }
    encode::end_of_head(out);
}

/// Appends a whole response with `Content-Length`.
pub(super) fn write_answer(out: &mut Vec<u8>, terms: &ClientTerms, answer: &Answer) {
    encode::status_line(out, terms.version, answer.status, &answer.reason);
    out.extend_from_slice(&answer.fields);
    let is_contentless = is_contentless(answer.status);
    let len = (!is_contentless).then_some(answer.content.len() as u64);
    end_head(out, terms, ReplyFraming::Length, len);
    if !terms.is_head && !is_contentless {
        out.extend_from_slice(&answer.content);
    }
}

impl<S: Socket> Core<S> {
    /// Sends a whole answer.
    pub(super) fn send_answer(
        &self,
        key: ConnKey,
        terms: &ClientTerms,
        answer: &Answer,
        actions: &mut Actions,
    ) {
        let start = actions.scratch.len();
        write_answer(&mut actions.scratch, terms, answer);
        actions.send_scratch(key, start);
        self.counters.requests.count_response(answer.status);
    }

    /// Answers a request that could not be read, and ends the connection: where the next request
    /// would begin is unknown.
    pub(super) fn refuse_unread(&mut self, key: ConnKey, refusal: &Refusal, actions: &mut Actions) {
        let page = Answer::page(refusal);
        self.send_answer(key, &ClientTerms::UNKNOWN, &page, actions);
        self.finish(key, actions);
    }

    /// Ends an exchange with an error. If the response has begun already, the connection is cut:
    /// a clean end would make a broken answer look whole.
    pub(super) fn fail(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        refusal: &Refusal,
        actions: &mut Actions,
    ) {
        if exchange.errand.is_some() {
            let failure = RequestFailure::ConnectionRefused;
            self.errand_failed(key, exchange, failure, actions);
            return;
        }
        let followers = self.take_followers(&mut exchange);
        if matches!(exchange.response, ResponsePhase::Relay { .. }) {
            self.set_state(key, State::Exchange(exchange));
            self.close_client(key, actions);
            return;
        }
        self.let_go_of_backend(&mut exchange, actions);
        if !exchange.upload.is_complete() {
            exchange.terms.is_persistent = false;
        }
        self.log_request(key, &exchange, Outcome::Status(refusal.status));
        let mut page = Answer::page(refusal);
        if let Some(cross_origin) = &exchange.cross_origin {
            page = cross_origin.complete(page);
        }
        self.send_answer(key, &exchange.terms, &page, actions);
        self.next_request(key, exchange, actions);
        self.share_failure(followers, refusal, actions);
    }

    /// Writes what is queued, then ends the connection without a reset.
    pub(super) fn finish(&mut self, key: ConnKey, actions: &mut Actions) {
        self.set_state(key, State::Finishing);
        let ms = if self.is_blocked(key) {
            self.settings.body_timeout_ms
        } else {
            self.settings.linger_ms
        };
        self.schedule_in(key, ms);
        actions.list.push(super::Action::ResumeReading(key));
        actions.list.push(super::Action::Finish(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(version: Version, is_persistent: bool, is_head: bool) -> ClientTerms {
        ClientTerms {
            version,
            is_persistent,
            is_head,
            is_trusted: false,
        }
    }

    fn text(terms: &ClientTerms, answer: &Answer) -> String {
        let mut out = Vec::new();
        write_answer(&mut out, terms, answer);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_page_has_its_length_and_says_when_the_connection_ends() {
        let page = Answer::page(&Refusal::gateway(false, "secret"));
        assert_eq!(
            text(&terms(Version::Http11, false, false), &page),
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 32\r\n\
             Connection: close\r\n\r\nError while proxying to origin.\n"
        );
    }

    #[test]
    fn the_answer_to_head_has_a_length_but_no_content() {
        let page = Answer::page(&Refusal::new(404, "no"));
        let out = text(&terms(Version::Http10, true, true), &page);
        assert!(out.contains("Content-Length: 3\r\n"));
        assert!(out.ends_with("Connection: keep-alive\r\n\r\n"));
    }

    #[test]
    fn a_204_has_neither_length_nor_content() {
        let answer = Answer {
            status: 204,
            reason: b"No".to_vec(),
            content: b"x".to_vec(),
            ..Answer::default()
        };
        assert_eq!(
            text(&terms(Version::Http11, true, false), &answer),
            "HTTP/1.1 204 No\r\n\r\n"
        );
    }
}
