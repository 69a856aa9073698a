//! Where next links lead: over the route of the client's request, or anywhere else (grip-http.md
//! section 12).

use super::links::{STREAM, asked, content, count, page, reply, streaming};
use super::streams::pass;
use crate::stage::{OK, stage};
use crate::world::{World, small_config};

#[test]
fn a_relative_link_is_resolved_against_the_url_that_it_came_from() {
    let mut world = stage();
    let fields = format!("{STREAM}Grip-Link: <n2?x=1>; rel=next; timeout=1\r\n");
    streaming(&mut world, "/a/b?c=d", &fields);
    pass(&mut world, 1200);
    assert_eq!(asked(&mut world).1.target(), "/a/n2?x=1");
    let fields = format!("{STREAM}Grip-Link: <n3?y=2>; rel=next; timeout=2\r\n");
    reply(&mut world, &page(&fields, ""));
    pass(&mut world, 1950);
    assert_eq!(count(&mut world), 2);
    pass(&mut world, 250);
    assert_eq!(asked(&mut world).1.target(), "/a/n3?y=2");
    let fields = format!("{STREAM}Grip-Link: <../n4>; rel=next; timeout=2\r\n");
    reply(&mut world, &page(&fields, ""));
    pass(&mut world, 2200);
    assert_eq!(asked(&mut world).1.target(), "/n4");
}

#[test]
fn a_link_to_another_host_is_fetched_there() {
    let mut world = stage();
    let client = streaming(
        &mut world,
        "/a",
        "Grip-Link: <http://127.0.0.2:8080/n>; rel=next\r\n",
    );
    let (wire, request) = asked(&mut world);
    assert_eq!(
        world.wires[wire].peer,
        crate::wire::Peer::Backend("127.0.0.2:8080".parse().unwrap())
    );
    assert_eq!(request.field("Host"), Some("127.0.0.2:8080"));
    assert!(request.field("Grip-Feature").is_some());
    // What it links to in turn is its own.
    reply(&mut world, &page("Grip-Link: <m>; rel=next\r\n", "there"));
    let (_, request) = asked(&mut world);
    assert_eq!(request.field("Host"), Some("127.0.0.2:8080"));
    assert_eq!(request.target(), "/m");
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "nowthereok");
}

#[test]
fn a_link_to_a_name_waits_for_its_addresses() {
    let mut world = stage();
    let client = streaming(
        &mut world,
        "/a",
        "Grip-Link: <http://other:81/n>; rel=next\r\n",
    );
    assert_eq!(world.questions[0].port, 81);
    world.resolve(0, &["127.0.0.3:81".parse().unwrap()]);
    let (_, request) = asked(&mut world);
    assert_eq!(request.field("Host"), Some("other:81"));
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "nowok");
}

#[test]
fn a_link_to_a_name_without_addresses_is_a_fetch_that_failed() {
    let mut world = stage();
    let client = streaming(
        &mut world,
        "/a",
        "Grip-Link: <http://other/n>; rel=next\r\n",
    );
    world.resolve(0, &[]);
    assert!(!world.responses(client)[0].is_complete);
    pass(&mut world, 2100);
    world.resolve(0, &["127.0.0.3:80".parse().unwrap()]);
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "nowok");
}

#[test]
fn a_link_inside_is_no_way_out_of_an_untrusted_route() {
    let mut world = World::new(small_config(), "* 8.8.8.8:1,untrusted\n");
    let client = streaming(
        &mut world,
        "/a",
        "Grip-Link: <http://127.0.0.2:8080/n>; rel=next\r\n",
    );
    let before = world.backends.len();
    for _ in 0..40 {
        pass(&mut world, 1000);
    }
    assert_eq!(world.backends.len(), before);
    assert!(world.responses(client)[0].is_complete);
}

#[test]
fn a_link_of_the_same_host_that_the_route_does_not_cover_goes_over_the_network() {
    let mut world = World::new(small_config(), "*,path_beg=/in 127.0.0.1:1\n");
    streaming(
        &mut world,
        "/in/a",
        "Grip-Link: <http://h/out>; rel=next\r\n",
    );
    assert_eq!(world.questions.len(), 1);
    let mut world = World::new(small_config(), "*,path_beg=/in 127.0.0.1:1\n");
    streaming(
        &mut world,
        "/in/a",
        "Grip-Link: <http://h/in/b>; rel=next\r\n",
    );
    assert_eq!(asked(&mut world).1.target(), "/in/b");
}

#[test]
fn a_link_is_one_of_the_clients_world_and_rewritten_like_its_request() {
    let routes = "*,path_beg=/in,replace_beg=/app,as_host=inner 127.0.0.1:1\n";
    let mut world = World::new(small_config(), routes);
    let client = world.client("GET /in/a/b HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(asked(&mut world).1.target(), "/app/a/b");
    reply(&mut world, &page("Grip-Link: <n>; rel=next\r\n", "now"));
    assert_eq!(asked(&mut world).1.target(), "/app/a/n");
    assert_eq!(asked(&mut world).1.field("Host"), Some("inner"));
    reply(
        &mut world,
        &page("Grip-Link: <http://h/in/m>; rel=next\r\n", "."),
    );
    assert_eq!(asked(&mut world).1.target(), "/app/m");
    reply(&mut world, OK);
    assert_eq!(content(&world, client), "now.ok");
}
