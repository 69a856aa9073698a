//! Content on its way to a backend.

use crate::stage::{OK, stage};

fn post(len: usize) -> String {
    format!("POST /two HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n\r\n")
}

#[test]
fn an_upload_too_long_to_keep_still_reaches_the_second_target_whole() {
    let mut world = stage();
    let client = world.client(&post(20_000));
    world.say(client, &"x".repeat(5000));
    assert!(
        world.wires[client].is_paused,
        "nobody takes what would have to be kept"
    );
    world.connected(world.backends[0], false);
    let second = world.backend(1);
    world.say(client, &"x".repeat(15_000));
    assert_eq!(world.requests(second)[0].content.len(), 20_000);
    world.say(second, OK);
    assert_eq!(world.statuses(client), [200]);
}

#[test]
fn an_upload_too_long_to_keep_is_not_sent_again() {
    let mut world = stage();
    let (_, backend) = world.asking(&post(0));
    world.say(backend, OK);
    let client = world.client(&post(20_000).replace("POST", "PUT"));
    world.say(client, &"x".repeat(6000));
    world.reset(backend);
    assert_eq!(world.backends.len(), 1);
    assert_eq!(world.statuses(client), [502]);
    assert!(
        world.wires[client].is_output_ended,
        "the rest of the upload is not waited for"
    );
}

#[test]
fn a_short_upload_under_way_is_sent_again_with_all_that_has_come() {
    let mut world = stage();
    let (_, backend) = world.asking(&post(0));
    world.say(backend, OK);
    let chunked = "PUT /two HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let client = world.client(chunked);
    world.end(backend);
    let fresh = world.backend(1);
    world.say(client, "2\r\nde\r\n0\r\n\r\n");
    let request = &world.requests(fresh)[0];
    assert!(request.is_complete);
    assert_eq!(request.content, b"abcde");
}

#[test]
fn an_upload_split_at_any_byte_is_the_same_upload() {
    let all = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for cut in 1..all.len() {
        for is_connected_first in [true, false] {
            let mut world = stage();
            let client = world.client(&all[..cut]);
            if is_connected_first && !world.backends.is_empty() {
                world.backend(0);
            }
            world.say(client, &all[cut..]);
            let backend = world.backend(0);
            let requests = world.requests(backend);
            assert!(
                requests.len() == 1 && requests[0].is_complete,
                "cut at {cut}"
            );
            assert_eq!(requests[0].content, b"abcde", "cut at {cut}");
        }
    }
}

#[test]
fn an_answer_before_the_upload_is_complete_ends_the_connection() {
    let mut world = stage();
    let client = world.client(&post(10));
    let backend = world.backend(0);
    world.say(backend, OK);
    assert_eq!(world.statuses(client), [200]);
    assert!(world.responses(client)[0].says_close());
    assert!(world.wires[client].is_output_ended);
    assert!(world.is_closed(backend), "half a request is on it");
    world.say(client, "0123456789");
    world.end(client);
    assert!(world.is_closed(client));
}

#[test]
fn continue_is_said_when_there_is_a_backend_to_send_to() {
    let mut world = stage();
    let client = world
        .client("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(world.heard(client), "");
    let backend = world.backend(0);
    assert_eq!(world.heard(client), "HTTP/1.1 100 Continue\r\n\r\n");
    world.say(client, "hi");
    world.say(backend, OK);
    assert_eq!(world.requests(backend)[0].content, b"hi");
    assert_eq!(world.statuses(client), [200]);
}

#[test]
fn bad_chunks_are_refused() {
    let mut world = stage();
    let client = world.client("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let backend = world.backend(0);
    world.say(client, "x\r\n");
    assert_eq!(world.statuses(client), [400]);
    assert!(world.is_closed(backend));
}

#[test]
fn a_slow_backend_pauses_the_upload() {
    let mut world = stage();
    let client = world.client(&post(30_000));
    let backend = world.backend(0);
    world.wires[backend].room = 1000;
    world.say(client, &"x".repeat(5000));
    assert!(world.wires[client].is_paused);
    world.make_room(backend, usize::MAX);
    world.say(client, &"x".repeat(25_000));
    assert_eq!(world.requests(backend)[0].content.len(), 30_000);
}

#[test]
fn a_backend_that_answered_without_reading_all_is_not_used_again() {
    let mut world = stage();
    let client = world.client(&post(3000));
    let backend = world.backend(0);
    world.wires[backend].room = 1000;
    world.say(client, &"x".repeat(3000));
    world.say(backend, OK);
    assert_eq!(world.statuses(client), [200]);
    // Its queue would grow without anybody being paused.
    assert!(world.is_closed(backend));
}
