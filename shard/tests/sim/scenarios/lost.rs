//! What random worlds ([`crate::reliable`]) have once found lost.

use super::links::{content, streaming};
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
