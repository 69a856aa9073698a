//! Requests begin: heads in pieces, several in one piece.

use crate::stage::{GET, OK, stage};

#[test]
fn a_head_split_at_any_byte_is_the_same_request() {
    for cut in 1..GET.len() {
        let mut world = stage();
        let client = world.client(&GET[..cut]);
        assert!(world.backends.is_empty(), "cut at {cut}");
        world.say(client, &GET[cut..]);
        let backend = world.backend(0);
        world.say(backend, OK);
        assert_eq!(world.statuses(client), [200], "cut at {cut}");
    }
}

#[test]
fn an_answer_split_at_any_byte_is_the_same_answer() {
    let answer = "HTTP/1.1 103 E\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    for cut in 1..answer.len() {
        let mut world = stage();
        let (client, backend) = world.asking(GET);
        world.say(backend, &answer[..cut]);
        world.say(backend, &answer[cut..]);
        let responses = world.responses(client);
        assert_eq!(responses[0].content, b"abc", "cut at {cut}");
        assert!(responses[0].is_complete, "cut at {cut}");
        assert_eq!(
            world.counters.connections.backends_idle.get(),
            1,
            "cut at {cut}"
        );
    }
}

#[test]
fn requests_in_one_piece_are_answered_one_after_the_other() {
    let mut world = stage();
    let (client, backend) = world.asking(&GET.repeat(3));
    for answered in 1..=3 {
        assert_eq!(world.requests(backend).len(), answered);
        world.say(backend, OK);
        assert_eq!(world.statuses(client).len(), answered);
    }
    assert_eq!(world.backends.len(), 1);
}

#[test]
fn thousands_of_requests_in_one_piece_do_not_pile_up_on_the_stack() {
    let mut world = stage();
    let client = world.client(&"GET /test HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2000));
    assert_eq!(world.statuses(client).len(), 2000);
}

#[test]
fn all_requests_sent_ahead_are_answered_although_the_client_has_ended_its_side() {
    let mut world = stage();
    let client = world.client(&"GET /test HTTP/1.1\r\nHost: h\r\n\r\n".repeat(100));
    world.end(client);
    assert_eq!(world.statuses(client).len(), 100);
}

#[test]
fn what_is_no_request_is_refused_and_ends_the_connection() {
    let mut world = stage();
    let client = world.client("GET /a HTTP/1.1\r\nHost : h\r\n\r\n");
    assert_eq!(world.statuses(client), [400]);
    assert!(world.wires[client].is_output_ended && !world.is_closed(client));
    world.end(client);
    assert!(world.is_closed(client));
}

#[test]
fn a_request_behind_one_that_asks_to_close_is_not_read() {
    let mut world = stage();
    let (client, backend) = world.asking(&format!(
        "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n{GET}"
    ));
    world.say(backend, OK);
    assert_eq!(world.requests(backend).len(), 1);
    assert_eq!(world.statuses(client), [200]);
    assert!(world.wires[client].is_output_ended);
}

#[test]
fn an_old_client_gets_no_chunks_and_no_interim_answers() {
    let mut world = stage();
    let (client, backend) =
        world.asking("GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    world.say(
        backend,
        "HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n",
    );
    world.say(backend, "ab\r\n0\r\n\r\n");
    assert_eq!(
        world.heard(client),
        "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nab"
    );
    assert!(world.wires[client].is_output_ended);
}
