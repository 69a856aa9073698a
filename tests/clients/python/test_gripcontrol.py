"""The Python libraries gripcontrol and pubcontrol with pincushion: a backend uses them to make its
holds and to check who asks, a publisher to publish. Clients are of Python's standard library.
"""
import os
import threading
import unittest

from gripcontrol import (
    Channel,
    GripPubControl,
    HttpResponseFormat,
    HttpStreamFormat,
    Response,
    create_grip_channel_header,
    create_hold_response,
    create_hold_stream,
    parse_grip_uri,
    validate_sig,
)
from pubcontrol import Item

import kit
from kit import Client, Poll, Stream, answer, instruct

GRIP_URL = os.environ["GRIP_URL"]
OTHER_KEY = "a-key-that-nobody-else-has-got-yet"


class GripTest(unittest.TestCase):
    """A publisher on the address that the environment gives."""

    @classmethod
    def setUpClass(cls):
        cls.publisher = GripPubControl(parse_grip_uri(GRIP_URL))

    def tearDown(self):
        kit.gone()

    def stream(self, item, channel, **options):
        self.publisher.publish_http_stream(channel, item, blocking=True, **options)

    def respond(self, item, channel, **options):
        self.publisher.publish_http_response(channel, item, blocking=True, **options)


class Publishing(GripTest):
    def test_a_response_answers_a_long_poll(self):
        instruct("/respond", create_hold_response("respond"))
        with Poll("/respond") as client:
            self.respond("news\n", "respond")
            status, _, _, content = client.finish()
        self.assertEqual((status, content), (200, b"news\n"))

    def test_a_response_comes_with_its_code_reason_and_fields(self):
        instruct("/whole", create_hold_response("whole"))
        with Poll("/whole") as client:
            item = HttpResponseFormat(404, "Not Here", {"X-Why": "moved"}, "gone\n")
            self.respond(item, "whole")
            status, reason, fields, content = client.finish()
        self.assertEqual((status, reason, content), (404, "Not Here", b"gone\n"))
        self.assertEqual(fields["X-Why"], "moved")

    def test_content_of_any_bytes_arrives_as_it_is(self):
        instruct("/bytes", create_hold_response("bytes"))
        with Poll("/bytes") as client:
            self.respond(HttpResponseFormat(body=bytes(range(256))), "bytes")
            self.assertEqual(client.finish()[3], bytes(range(256)))

    def test_stream_content_is_appended_in_order(self):
        instruct("/append", create_hold_stream("append", "welcome\n"))
        with Stream("/append") as client:
            client.read(b"welcome\n")
            self.stream("one\n", "append")
            self.stream(HttpStreamFormat(b"\xff\x00\n"), "append")
            client.read(b"one\n\xff\x00\n")

    def test_a_close_ends_a_stream_cleanly(self):
        instruct("/close", create_hold_stream("close", "welcome\n"))
        with Stream("/close") as client:
            self.stream(HttpStreamFormat(close=True), "close")
            self.assertEqual(client.finish()[3], b"welcome\n")

    def test_one_item_with_two_formats_serves_both_kinds_of_hold(self):
        instruct("/both-poll", create_hold_response("both"))
        instruct("/both-stream", create_hold_stream("both"))
        with Poll("/both-poll") as poll, Stream("/both-stream") as stream:
            formats = [HttpResponseFormat(body="answer\n"), HttpStreamFormat("piece\n")]
            self.publisher.publish("both", Item(formats), blocking=True)
            self.assertEqual(poll.finish()[3], b"answer\n")
            stream.read(b"piece\n")

    def test_items_are_put_in_order_by_their_ids(self):
        instruct("/order", create_hold_stream("order"))
        with Stream("/order") as client:
            self.stream("1\n", "order", id="1")
            self.stream("3\n", "order", id="3", prev_id="2")
            self.stream("2\n", "order", id="2", prev_id="1")
            client.read(b"1\n2\n3\n")

    def test_an_item_published_twice_arrives_once(self):
        instruct("/twice", create_hold_stream("twice"))
        with Stream("/twice") as client:
            self.stream("1\n", "twice", id="1")
            self.stream("1\n", "twice", id="1")
            self.stream("2\n", "twice", id="2", prev_id="1")
            client.read(b"1\n2\n")

    def test_an_item_with_meta_arrives(self):
        instruct("/meta", create_hold_stream("meta"))
        with Stream("/meta") as client:
            item = Item(HttpStreamFormat("news\n"), meta={"sender": "alice"})
            self.publisher.publish("meta", item, blocking=True)
            client.read(b"news\n")

    def test_publishing_in_the_background_reports_success(self):
        instruct("/async", create_hold_stream("async"))
        results, is_done = [], threading.Event()

        def done(success, _message):
            results.append(success)
            is_done.set()

        with Stream("/async") as client:
            self.publisher.publish_http_stream("async", "news\n", callback=done)
            client.read(b"news\n")
        self.assertTrue(is_done.wait(kit.WAIT_S_MAX))
        self.assertEqual(results, [True])

    def test_a_batch_in_the_background_arrives_in_order(self):
        instruct("/batch", create_hold_stream("batch"))
        publisher = GripPubControl(parse_grip_uri(GRIP_URL))
        with Stream("/batch") as client:
            for number in range(100):
                publisher.publish_http_stream("batch", f"{number}\n")
            publisher.close()
            client.read("".join(f"{number}\n" for number in range(100)).encode())

    def test_an_item_that_is_wrong_is_refused_with_the_reason(self):
        with self.assertRaisesRegex(ValueError, "400.*no formats specified"):
            self.publisher.publish("wrong", Item([]), blocking=True)


class Holding(GripTest):
    def test_a_channel_header_holds_on_each_of_its_channels(self):
        header = create_grip_channel_header([Channel("one"), Channel("two")])
        answer("/header", {"Grip-Hold": "stream", "Grip-Channel": header})
        with Stream("/header") as client:
            self.stream("of one\n", "one")
            self.stream("of two\n", "two")
            client.read(b"of one\nof two\n")

    def test_an_instruct_holds_on_each_of_its_channels(self):
        instruct("/channels", create_hold_stream([Channel("three"), Channel("four")]))
        with Stream("/channels") as client:
            self.stream("of four\n", "four")
            self.stream("of three\n", "three")
            client.read(b"of four\nof three\n")

    def test_a_held_response_has_the_code_and_fields_of_the_instruct(self):
        response = Response(201, "Made", {"X-From": "instruct"}, "welcome\n")
        instruct("/fields", create_hold_stream("fields", response))
        with Stream("/fields") as client:
            client.read(b"welcome\n")
            self.assertEqual((client.response.status, client.response.reason), (201, "Made"))
            self.assertEqual(client.response.headers["X-From"], "instruct")

    def test_clients_see_nothing_of_the_instruct(self):
        header = create_grip_channel_header("hidden")
        answer("/hidden", {"Grip-Hold": "stream", "Grip-Channel": header}, "welcome\n")
        with Stream("/hidden") as client:
            client.read(b"welcome\n")
            names = [name.lower() for name in client.response.headers]
        self.assertEqual([name for name in names if name.startswith("grip-")], [])

    def test_a_long_poll_that_nobody_answers_ends_with_the_response_of_the_instruct(self):
        # 5 seconds are the least that a hold lasts.
        instruct("/timeout", create_hold_response("timeout", "nothing new\n", timeout=5))
        with Poll("/timeout") as client:
            self.assertEqual(client.finish()[3], b"nothing new\n")

    def test_a_hold_with_a_position_is_answered_by_the_item_that_follows(self):
        instruct("/follow", create_hold_response(Channel("follow", prev_id="1")))
        with Poll("/follow") as client:
            self.respond("second\n", "follow", id="2", prev_id="1")
            self.assertEqual(client.finish()[3], b"second\n")


class Signing(GripTest):
    def signature(self, path):
        answer(path, {})
        with Client(path) as client:
            client.finish()
        return kit.Backend.seen[path]["Grip-Sig"]

    def test_the_signature_is_valid_under_the_key_and_issuer_of_the_grip_url(self):
        config = parse_grip_uri(GRIP_URL)
        token = self.signature("/signed")
        self.assertTrue(validate_sig(token, config["verify_key"], config["verify_iss"]))

    def test_the_signature_is_not_valid_under_another_key(self):
        self.assertFalse(validate_sig(self.signature("/other-key"), OTHER_KEY))

    def test_the_signature_is_not_valid_for_another_issuer(self):
        config = parse_grip_uri(GRIP_URL)
        token = self.signature("/other-issuer")
        self.assertFalse(validate_sig(token, config["verify_key"], "somebody else"))

    def test_a_publisher_that_signs_is_served(self):
        publisher = GripPubControl(parse_grip_uri(f"{GRIP_URL}&iss=me&key={OTHER_KEY}"))
        instruct("/signs", create_hold_stream("signs"))
        with Stream("/signs") as client:
            publisher.publish_http_stream("signs", "news\n", blocking=True)
            client.read(b"news\n")


if __name__ == "__main__":
    kit.Backend.start()
    unittest.main(verbosity=2)
