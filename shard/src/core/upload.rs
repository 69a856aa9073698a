//! The request's content on its way from the client to the backend.
//!
//! As long as it is short enough it is also kept, so that it can be sent again. It is forwarded as
//! soon as the backend connection is open; before that it is kept within a bound.

use proto::http1::{BodyError, BodyReader, BodyStep, Framing, RequestHead, encode};

use super::actions::{Action, Actions};
use super::answer::Refusal;
use super::conn::State;
use super::exchange::{Exchange, Link, Upload, UploadFraming};
use super::{ConnKey, Core, Socket};

/// A piece of an upload that was read.
enum Piece {
    Content(std::ops::Range<usize>),
    End { used: usize },
    NeedMore,
}

impl<S: Socket> Core<S> {
    /// Takes the content that came together with the head.
    pub(super) fn begin_upload(
        &self,
        exchange: &mut Exchange,
        head: &RequestHead<'_, '_>,
        rest: &[u8],
    ) -> Result<(), Refusal> {
        exchange.upload = Upload {
            reader: BodyReader::new(head.framing),
            framing: match head.framing {
                Framing::Length(len) => UploadFraming::Length(len),
                Framing::Chunked => UploadFraming::Chunked,
                Framing::None | Framing::UntilClose => UploadFraming::None,
            },
            is_replayable: true,
            received: 0,
            owes_continue: head.expect_continue && rest.is_empty(),
        };
        let max = self.settings.config.http.request_body_max;
        if let (Framing::Length(len), Some(max)) = (head.framing, max)
            && len > max.get()
        {
            return Err(too_large(max.get()));
        }
        let mut at = 0;
        loop {
            let input = rest.get(at..).unwrap_or_default();
            match self.next_piece(exchange, input)? {
                Piece::Content(range) => {
                    let content = input.get(range.clone()).unwrap_or_default();
                    exchange.request.bytes.extend_from_slice(content);
                    at += range.end;
                }
                Piece::End { used } => {
                    let leftover = input.get(used..).unwrap_or_default();
                    exchange.leftover.extend_from_slice(leftover);
                    return Ok(());
                }
                Piece::NeedMore => return Ok(()),
            }
        }
    }

    /// Reads one piece and counts it.
    fn next_piece(&self, exchange: &mut Exchange, input: &[u8]) -> Result<Piece, Refusal> {
        if exchange.upload.is_complete() {
            return Ok(Piece::End { used: 0 });
        }
        let upload = &mut exchange.upload;
        match upload
            .reader
            .step(input)
            .map_err(|error| bad_content(&error))?
        {
            BodyStep::Data { start, end } => {
                upload.received += (end - start) as u64;
                self.counters
                    .bytes
                    .client_content_received
                    .add((end - start) as u64);
                match self.settings.config.http.request_body_max {
                    Some(max) if upload.received > max.get() => Err(too_large(max.get())),
                    _ => Ok(Piece::Content(start..end)),
                }
            }
            BodyStep::End { used } => Ok(Piece::End { used }),
            BodyStep::NeedMore { .. } => Ok(Piece::NeedMore),
        }
    }

    /// More content has come.
    pub(super) fn received_upload(&mut self, key: ConnKey, bytes: &[u8], actions: &mut Actions) {
        let State::Exchange(mut exchange) = self.take_state(key) else {
            return;
        };
        if exchange.upload.is_complete() {
            // Read before reading was paused: it belongs to the next request.
            exchange.leftover.extend_from_slice(bytes);
            self.set_state(key, State::Exchange(exchange));
            return;
        }
        match self.forward_upload(key, &mut exchange, bytes, actions) {
            // The built-in target: it answers when it has seen enough.
            Ok(()) if exchange.backend == Link::None => {
                self.after_upload(key, &exchange, actions);
                self.dispatch(key, exchange, actions);
            }
            Ok(()) => {
                self.after_upload(key, &exchange, actions);
                self.set_state(key, State::Exchange(exchange));
            }
            Err(refusal) => {
                self.counters.errors.bad_request.add(1);
                exchange.terms.is_persistent = false;
                self.fail(key, exchange, &refusal, actions);
            }
        }
    }

    fn after_upload(&mut self, key: ConnKey, exchange: &Exchange, actions: &mut Actions) {
        let is_complete = exchange.upload.is_complete();
        let is_full = exchange.request.content_len() >= self.settings.config.proxy.replay_max;
        // Nobody to send it to yet.
        let is_stuck = !is_complete && is_full && exchange.open_backend().is_none();
        if is_complete || is_stuck {
            actions.list.push(Action::PauseReading(key));
        }
        match exchange.backend {
            // Its timer is for how long it waits.
            Link::Waiting => {}
            _ if is_complete || is_stuck => self.wheel.cancel(&mut self.rows, key),
            Link::None
            | Link::Resolving
            | Link::Following
            | Link::Connecting(_)
            | Link::Open(_) => {
                self.schedule_in(key, self.settings.body_idle_timeout_ms);
            }
        }
        if let Some(backend) = exchange.open_backend() {
            self.schedule_in(backend, self.settings.response_timeout_ms);
        }
    }

    fn forward_upload(
        &self,
        key: ConnKey,
        exchange: &mut Exchange,
        bytes: &[u8],
        actions: &mut Actions,
    ) -> Result<(), Refusal> {
        debug_assert!(matches!(
            self.rows.get(key).map(|row| &row.state),
            Some(State::Gone)
        ));
        let mut at = 0;
        loop {
            let input = bytes.get(at..).unwrap_or_default();
            match self.next_piece(exchange, input)? {
                Piece::Content(range) => {
                    let content = input.get(range.clone()).unwrap_or_default();
                    self.keep_for_replay(exchange, content);
                    if let Link::Open(backend) = exchange.backend {
                        let len = (range.end - range.start) as u64;
                        self.counters.bytes.server_content_sent.add(len);
                        let place = at + range.start..at + range.end;
                        let is_chunked = exchange.upload.framing == UploadFraming::Chunked;
                        send_piece(backend, place, is_chunked, actions);
                    }
                    at += range.end;
                }
                Piece::End { used } => {
                    let leftover = input.get(used..).unwrap_or_default();
                    exchange.leftover.extend_from_slice(leftover);
                    if let (Link::Open(backend), UploadFraming::Chunked) =
                        (exchange.backend, exchange.upload.framing)
                    {
                        let start = actions.scratch.len();
                        actions.scratch.extend_from_slice(encode::LAST_CHUNK);
                        actions.send_scratch(backend, start);
                    }
                    return Ok(());
                }
                Piece::NeedMore => return Ok(()),
            }
        }
    }

    /// Keeps content while it may have to be sent again, and as long as nobody else has it.
    fn keep_for_replay(&self, exchange: &mut Exchange, content: &[u8]) {
        if !exchange.upload.is_replayable {
            return;
        }
        let len = exchange.request.content_len() + content.len();
        if exchange.open_backend().is_some() && len > self.settings.config.proxy.replay_max {
            exchange.upload.is_replayable = false;
            exchange.request.drop_content();
            return;
        }
        exchange.request.bytes.extend_from_slice(content);
    }
}

/// Sends a range of the input, as a chunk of its own if need be.
pub(super) fn send_piece(
    conn: ConnKey,
    place: std::ops::Range<usize>,
    is_chunked: bool,
    actions: &mut Actions,
) {
    if !is_chunked {
        actions.send_input(conn, place);
        return;
    }
    let start = actions.scratch.len();
    encode::chunk_head(&mut actions.scratch, place.len() as u64);
    actions.send_scratch(conn, start);
    actions.send_input(conn, place);
    let start = actions.scratch.len();
    actions.scratch.extend_from_slice(encode::CRLF);
    actions.send_scratch(conn, start);
}

fn too_large(max: u64) -> Refusal {
    Refusal::new(413, format!("Body must not exceed {max} bytes"))
}

fn bad_content(error: &BodyError) -> Refusal {
    Refusal::new(400, format!("Failed to parse request: {error}"))
}
