//! What the fake backend answers to which path, and what it remembers.

use super::FILLING;
use super::shelf::Shelf;
use super::watch::Watch;
use crate::clock;
use crate::message::{self, Stamp};

/// The largest plain body, in bytes.
pub(crate) const PLAIN_LEN_MAX: usize = 64 * 1024 * 1024;

/// A message in an answer of the backend's own to a page, in bytes.
const PAGE_MESSAGE_LEN: usize = 100;

/// Requests answered, by kind.
#[derive(Debug, Default)]
struct Stats {
    streams: u64,
    polls: u64,
    plain: u64,
}

/// What is to be done about a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The answer is written; so many filling bytes must follow.
    Now {
        /// Their number.
        filling: usize,
    },
    /// A page for this channel, to be answered after the watch's delay.
    Later(String),
}

/// The backend's mind.
#[derive(Debug, Default)]
pub(super) struct Desk {
    stats: Stats,
    pub(super) watch: Watch,
    shelf: Shelf,
}

impl Desk {
    /// Writes the response to `target` to `out`, unless it comes later.
    pub(super) fn respond(&mut self, target: &str, out: &mut Vec<u8>) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let channel = || value(query, "channel").unwrap_or_default();
        match path {
            "/stream" => {
                self.stats.streams += 1;
                hold(out, "stream", channel(), "", "open\n");
            }
            "/filtered" => {
                self.stats.streams += 1;
                filtered(out, query);
            }
            "/poll" => {
                self.stats.polls += 1;
                hold(
                    out,
                    "response",
                    channel(),
                    "Grip-Timeout: 55\r\n",
                    "timeout\n",
                );
            }
            "/page" => {
                self.stats.polls += 1;
                if self.watch.is_on {
                    return Reply::Later(channel().to_owned());
                }
                self.page(channel(), out);
            }
            "/items" => {
                self.stats.polls += 1;
                self.items(query, out);
            }
            _ => return self.rest(path, query, out),
        }
        Reply::Now { filling: 0 }
    }

    /// Writes the answer to a page: held, or a message at once when the watch says so.
    pub(super) fn page(&self, channel: &str, out: &mut Vec<u8>) {
        if !self.watch.answers {
            // Longer than any run holds its polls.
            hold(
                out,
                "response",
                channel,
                "Grip-Timeout: 3600\r\n",
                "timeout\n",
            );
            return;
        }
        let sent_ns = clock::now_ns();
        let mut body = Vec::new();
        message::write(&mut body, Stamp { seq: 0, sent_ns }, PAGE_MESSAGE_LEN);
        plain_text(out, "200 OK", &body);
    }

    /// Answers a poll that says how far its client is.
    fn items(&mut self, query: &str, out: &mut Vec<u8>) {
        let last = number(query, "last").unwrap_or(0);
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        if let Some(body) = self.shelf.missed(last) {
            plain_text(out, "200 OK", &body);
            return;
        }
        let channel = value(query, "channel").unwrap_or_default();
        let channel = format!("{channel}; prev-id={last}");
        hold(
            out,
            "response",
            &channel,
            "Grip-Timeout: 55\r\n",
            "timeout\n",
        );
    }

    /// Answers what holds nothing.
    fn rest(&mut self, path: &str, query: &str, out: &mut Vec<u8>) -> Reply {
        let len = path
            .strip_prefix("/plain/")
            .and_then(|len| len.parse().ok());
        if let Some(len) = len.filter(|&len| len <= PLAIN_LEN_MAX) {
            self.stats.plain += 1;
            let filling = plain(len, out);
            return Reply::Now { filling };
        }
        let (status, body) = match path {
            "/stats" => ("200 OK", self.stats_json()),
            "/watch" => {
                self.watch = Watch::begin(query);
                ("200 OK", "watching\n".to_owned())
            }
            "/watched" => ("200 OK", self.watch.to_json()),
            "/put" if self.shelf.put(query) => ("200 OK", "taken\n".to_owned()),
            "/put" => ("400 Bad Request", "not the next message\n".to_owned()),
            _ => ("404 Not Found", "no such path\n".to_owned()),
        };
        plain_text(out, status, body.as_bytes());
        Reply::Now { filling: 0 }
    }

    fn stats_json(&self) -> String {
        let Stats {
            streams,
            polls,
            plain,
        } = &self.stats;
        let held = self.shelf.held();
        format!("{{\"streams\":{streams},\"polls\":{polls},\"plain\":{plain},\"held\":{held}}}\n")
    }
}

/// Writes an answer that is to be held; `more` are further fields, `body` its content.
fn hold(out: &mut Vec<u8>, mode: &str, channel: &str, more: &str, body: &str) {
    let len = body.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nGrip-Hold: {mode}\r\n\
         Grip-Channel: {channel}\r\n{more}Content-Length: {len}\r\n\r\n{body}"
    );
    out.extend_from_slice(text.as_bytes());
}

/// Holds a stream with a filter on its channel, for a client of that name.
fn filtered(out: &mut Vec<u8>, query: &str) {
    let of = |name| value(query, name).unwrap_or_default();
    let channel = format!("{}; filter={}", of("channel"), of("filter"));
    let meta = format!("Grip-Set-Meta: user={}\r\n", of("user"));
    hold(out, "stream", &channel, &meta, "open\n");
}

fn plain_text(out: &mut Vec<u8>, status: &str, body: &[u8]) {
    let len = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n");
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body);
}

/// Answers with `len` bytes; returns how many of them must follow.
fn plain(len: usize, out: &mut Vec<u8>) -> usize {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {len}\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    // A small body is put behind its head, so that both leave in one packet; the rest is filling.
    let joined = len.min(4096);
    out.extend_from_slice(FILLING.get(..joined).unwrap_or_default());
    len - joined
}

/// The value of `name` in a query, as it stands there.
fn value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then_some(value)
    })
}

/// The number `name` in a query.
pub(super) fn number(query: &str, name: &str) -> Option<u64> {
    value(query, name)?.parse().ok()
}

#[cfg(test)]
mod tests;
