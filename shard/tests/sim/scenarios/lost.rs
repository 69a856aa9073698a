//! What random worlds ([`crate::reliable`]) have once found lost.

use super::links::{asked, content, count, page, positions, reply, streaming};
use super::positions::set_last_id;
use super::streams::pass;
use crate::stage::stage;

#[test]
fn items_behind_a_close_that_a_filter_drops_are_not_lost() {
    let mut world = stage();
    let fields = "Grip-Hold: stream\r\nGrip-Channel: c; filter=skip-self\r\n\
                  Grip-Set-Meta: user=me\r\n";
    let client = streaming(&mut world, "/a", fields);
    world.send_out(
        r#"{"items":[{"channel":"c","http-stream":{"content":"one"}},
            {"channel":"c","meta":{"sender":"me"},"http-stream":{"action":"close"}},
            {"channel":"c","http-stream":{"content":"two"}}]}"#,
    );
    assert_eq!(content(&world, client), "nowonetwo");
}

#[test]
fn items_that_came_before_a_next_link_brought_their_channel_are_asked_for() {
    let mut world = stage();
    let client = streaming(&mut world, "/a", "Grip-Link: </n>; rel=next\r\n");
    set_last_id(&world, "c", "5");
    let hold = "Grip-Hold: stream\r\nGrip-Channel: c; prev-id=4\r\nGrip-Link: </n>; rel=next\r\n";
    reply(&mut world, &page(hold, "four"));
    pass(&mut world, 200);
    assert_eq!(count(&mut world), 3);
    assert_eq!(positions(&asked(&mut world).1), ["c; last-id=4"]);
    let hold = hold.replace("prev-id=4", "prev-id=5");
    reply(&mut world, &page(&hold, "five"));
    pass(&mut world, 200);
    assert_eq!(
        (count(&mut world), content(&world, client)),
        (3, "nowfourfive".to_owned())
    );
}
