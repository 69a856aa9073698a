//! The built-in answers of the target `test` (proxy.md section 13).

use proto::grip::CONTENT_LEN_MAX;

use super::actions::Actions;
use super::conn::State;
use super::exchange::Exchange;
use super::response::Input;
use super::{ConnKey, Core, Socket};

impl<S: Socket> Core<S> {
    /// Answers a request in the place of a backend, through the same path that a backend's answer
    /// takes.
    pub(super) fn answer_as_test_target(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        actions: &mut Actions,
    ) {
        // The answer does not depend on the content, but a hold needs all of it.
        let is_too_large = exchange.request.content_len() > CONTENT_LEN_MAX;
        if !exchange.upload.is_complete() && !is_too_large {
            self.go_on_uploading(key, &mut exchange, actions);
            self.set_state(key, State::Exchange(exchange));
            return;
        }
        let prefix = self
            .routes
            .get(exchange.route)
            .and_then(|local| local.route.condition.path_beg.clone());
        let response = response(
            &String::from_utf8_lossy(exchange.request.target()),
            prefix.as_deref().unwrap_or_default(),
            exchange.request.content_len(),
        );
        let input = Input {
            bytes: response.as_bytes(),
            offset: None,
        };
        self.read_head(key, exchange, input, actions);
    }
}

fn response(target: &str, prefix: &str, content_len: usize) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path
        .strip_prefix(prefix.trim_end_matches('/'))
        .unwrap_or(path);
    let path = if path.len() > 1 {
        path.strip_suffix('/').unwrap_or(path)
    } else {
        path
    };
    if content_len > CONTENT_LEN_MAX {
        return page("400 Bad Request", "", "request too large\n");
    }
    let hold = |mode: &str| format!("Grip-Hold: {mode}\r\nGrip-Channel: {}\r\n", channels(query));
    match path {
        "/" | "" => page("200 OK", "", "Hello from the Pincushion test handler!\n"),
        "/response" => page("200 OK", &hold("response"), "nothing for now\n"),
        "/stream" => page("200 OK", &hold("stream"), "[stream opened]\n"),
        _ => page("404 Not Found", "", "no such test resource\n"),
    }
}

fn page(status: &str, fields: &str, content: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{fields}Content-Length: {}\r\n\r\n{content}",
        content.len()
    )
}

/// All `channel=` parameters; `test` if there are none.
fn channels(query: &str) -> String {
    let names: Vec<String> = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("channel="))
        .map(percent_decoded)
        .collect();
    if names.is_empty() {
        "test".to_owned()
    } else {
        names.join(", ")
    }
}

/// Percent-decoding (RFC 3986 section 2.1), with line breaks taken out: the text goes into a field.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
            }
            (byte, _) => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    out.retain(|b| !b.is_ascii_control());
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_answered_as_documented() {
        assert!(response("/", "", 0).contains("Hello from"));
        assert!(
            response("/stream?channel=a&channel=b%2Bc", "", 0).contains("Grip-Channel: a, b+c\r\n")
        );
        assert!(response("/t/response/", "/t/", 0).contains("Grip-Channel: test\r\n"));
        assert!(response("/testX", "/test", 0).starts_with("HTTP/1.1 404"));
        assert!(response("/", "", CONTENT_LEN_MAX + 1).starts_with("HTTP/1.1 400"));
    }

    #[test]
    fn a_channel_name_cannot_bring_line_breaks() {
        assert_eq!(channels("channel=a%0d%0aX:1"), "aX:1");
    }
}
