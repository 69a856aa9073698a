// The Node library @fanoutio/grip with pincushion: a backend uses it to make its holds and to check
// who asks, a publisher to publish. Clients are Node's own.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";

import {
  Channel,
  createGripChannelHeader,
  GripInstruct,
  HttpResponseFormat,
  HttpStreamFormat,
  Item,
  parseGripUri,
  Publisher,
  PublishException,
  validateSig,
} from "@fanoutio/grip";

import {
  answer, Client, gone, seenAt, startBackend, stopBackend, WAIT_MS_MAX, withPoll, withStream,
} from "./kit.mjs";

const { GRIP_URL, KEYS } = process.env;
const OTHER_KEY = "a-key-that-nobody-else-has-got-yet";
const publisher = new Publisher(GRIP_URL);

/** An instruct that holds a stream, as fields. */
function stream(channels) {
  const instruct = new GripInstruct(channels);
  instruct.setHoldStream();
  return instruct.toHeaders();
}

/** An instruct that holds a response, as fields. */
function longPoll(channels) {
  const instruct = new GripInstruct(channels);
  instruct.setHoldLongPoll();
  return instruct.toHeaders();
}

before(startBackend);
after(stopBackend);
afterEach(gone);

describe("publishing", { timeout: 3 * WAIT_MS_MAX }, () => {
  test("a response answers a long-poll", async () => {
    answer("/respond", longPoll("respond"));
    await withPoll("/respond", async (client) => {
      await publisher.publishHttpResponse("respond", "news\n");
      assert.equal(String(await client.finish()), "news\n");
    });
  });

  test("a response comes with its code, reason and fields", async () => {
    answer("/whole", longPoll("whole"));
    await withPoll("/whole", async (client) => {
      const format = new HttpResponseFormat(
        { code: 404, reason: "Not Here", headers: { "X-Why": "moved" }, body: "gone\n" });
      await publisher.publishHttpResponse("whole", format);
      const { statusCode, statusMessage, headers } = await client.head();
      assert.deepEqual([statusCode, statusMessage, headers["x-why"]], [404, "Not Here", "moved"]);
      assert.equal(String(await client.finish()), "gone\n");
    });
  });

  test("content of any bytes arrives as it is", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    answer("/bytes", longPoll("bytes"));
    await withPoll("/bytes", async (client) => {
      await publisher.publishHttpResponse("bytes", new HttpResponseFormat({ body: bytes }));
      assert.deepEqual(new Uint8Array(await client.finish()), bytes);
    });
  });

  test("stream content is appended in order", async () => {
    answer("/append", stream("append"), "welcome\n");
    await withStream("/append", async (client) => {
      assert.equal(await client.read("welcome\n".length), "welcome\n");
      await publisher.publishHttpStream("append", "one\n");
      await publisher.publishHttpStream("append", new HttpStreamFormat(new TextEncoder().encode("two\n")));
      assert.equal(await client.read("one\ntwo\n".length), "one\ntwo\n");
    });
  });

  test("a close ends a stream cleanly", async () => {
    answer("/close", stream("close"), "welcome\n");
    await withStream("/close", async (client) => {
      await publisher.publishHttpStream("close", new HttpStreamFormat(null, true));
      assert.equal(String(await client.finish()), "welcome\n");
    });
  });

  test("one item with two formats serves both kinds of hold", async () => {
    answer("/both-poll", longPoll("both"));
    answer("/both-stream", stream("both"));
    await withPoll("/both-poll", (poll) =>
      withStream("/both-stream", async (held) => {
        const formats = [new HttpResponseFormat({ body: "answer\n" }), new HttpStreamFormat("piece\n")];
        await publisher.publish("both", new Item(formats));
        assert.equal(String(await poll.finish()), "answer\n");
        assert.equal(await held.read("piece\n".length), "piece\n");
      }));
  });

  test("items are put in order by their ids", async () => {
    answer("/order", stream("order"));
    await withStream("/order", async (client) => {
      await publisher.publishHttpStream("order", "1\n", "1");
      await publisher.publishHttpStream("order", "3\n", "3", "2");
      await publisher.publishHttpStream("order", "2\n", "2", "1");
      assert.equal(await client.read("1\n2\n3\n".length), "1\n2\n3\n");
    });
  });

  test("an item published twice arrives once", async () => {
    answer("/twice", stream("twice"));
    await withStream("/twice", async (client) => {
      await publisher.publishHttpStream("twice", "1\n", "1");
      await publisher.publishHttpStream("twice", "1\n", "1");
      await publisher.publishHttpStream("twice", "2\n", "2", "1");
      assert.equal(await client.read("1\n2\n".length), "1\n2\n");
    });
  });

  test("many at once all arrive", async () => {
    const texts = Array.from({ length: 100 }, (_, at) => `${String(at).padStart(2, "0")}\n`);
    answer("/many", stream("many"));
    await withStream("/many", async (client) => {
      await Promise.all(texts.map((text) => publisher.publishHttpStream("many", text)));
      const content = await client.read(texts.join("").length);
      assert.deepEqual(content.match(/.*\n/g).sort(), texts);
    });
  });

  test("an item that is wrong is refused with the reason", async () => {
    await assert.rejects(publisher.publish("wrong", new Item([])), (error) => {
      assert.ok(error instanceof PublishException);
      assert.equal(error.context.statusCode, 400);
      assert.match(error.message, /no formats specified/);
      return true;
    });
  });

  test("a publisher that signs is served", async () => {
    const signing = new Publisher(`${GRIP_URL}&iss=me&key=${OTHER_KEY}`);
    answer("/signs", stream("signs"));
    await withStream("/signs", async (client) => {
      await signing.publishHttpStream("signs", "news\n");
      assert.equal(await client.read("news\n".length), "news\n");
    });
  });
});

describe("holding", { timeout: 3 * WAIT_MS_MAX }, () => {
  test("an instruct holds on each of its channels", async () => {
    answer("/channels", stream(["one", new Channel("two")]));
    await withStream("/channels", async (client) => {
      await publisher.publishHttpStream("two", "of two\n");
      await publisher.publishHttpStream("one", "of one\n");
      assert.equal(await client.read("of two\nof one\n".length), "of two\nof one\n");
    });
  });

  test("a channel header holds without an instruct", async () => {
    answer("/header", { "Grip-Hold": "stream", "Grip-Channel": createGripChannelHeader("header") });
    await withStream("/header", async (client) => {
      await publisher.publishHttpStream("header", "news\n");
      assert.equal(await client.read("news\n".length), "news\n");
    });
  });

  test("an instruct with a status sets the code of the response", async () => {
    const instruct = new GripInstruct("status");
    instruct.setHoldStream();
    instruct.setStatus(202);
    answer("/status", instruct.toHeaders(), "welcome\n");
    await withStream("/status", async (client) => {
      assert.equal((await client.head()).statusCode, 202);
    });
  });

  test("an idle stream gets the keep-alive of its instruct", async () => {
    // With all that the library has to escape.
    const content = ": \\still there\r\n\n";
    const instruct = new GripInstruct("keep-alive");
    instruct.setHoldStream();
    instruct.setKeepAlive(content, 1);
    answer("/keep-alive", instruct.toHeaders());
    await withStream("/keep-alive", async (client) => {
      assert.equal(await client.read(2 * content.length), content + content);
    });
  });

  test("an instruct with meta holds, and clients see nothing of it", async () => {
    const instruct = new GripInstruct("meta");
    instruct.setHoldStream();
    instruct.meta = { user: "alice", "some text": "with \"quotes\", commas; and more" };
    answer("/meta", instruct.toHeaders(), "welcome\n");
    await withStream("/meta", async (client) => {
      const names = Object.keys((await client.head()).headers);
      assert.deepEqual(names.filter((name) => name.startsWith("grip-")), []);
      await publisher.publishHttpStream("meta", "news\n");
      assert.equal(await client.read("welcome\nnews\n".length), "welcome\nnews\n");
    });
  });

  test("a long-poll that nobody answers ends with what the backend said", async () => {
    const instruct = new GripInstruct("timeout");
    // The least that a hold lasts, in seconds.
    instruct.setHoldLongPoll(5);
    answer("/timeout", instruct.toHeaders(), "nothing new\n");
    await withPoll("/timeout", async (client) => {
      assert.equal(String(await client.finish()), "nothing new\n");
    });
  });

  test("a hold with a position is answered by the item that follows", async () => {
    answer("/follow", longPoll(new Channel("follow", "1")));
    await withPoll("/follow", async (client) => {
      await publisher.publishHttpResponse("follow", "second\n", "2", "1");
      assert.equal(String(await client.finish()), "second\n");
    });
  });
});

describe("signing", { timeout: 3 * WAIT_MS_MAX }, () => {
  /** The signature of a request that pincushion sends to the backend. */
  async function signature(path) {
    answer(path, {});
    await new Client(path).finish();
    return seenAt(path)["grip-sig"];
  }

  test("the signature is valid under the key and issuer of the GRIP URL", async () => {
    const { verify_key, verify_iss } = parseGripUri(GRIP_URL);
    assert.equal(await validateSig(await signature("/signed"), verify_key, verify_iss), true);
  });

  test("a publisher made of the GRIP URL sees that the request is signed", async () => {
    const seen = await publisher.validateGripSig(await signature("/publisher"));
    assert.deepEqual(seen, { isProxied: true, needsSigned: true, isSigned: true });
  });

  test("the signature is not valid under another key", async () => {
    assert.equal(await validateSig(await signature("/other-key"), OTHER_KEY), false);
  });

  test("the signature is not valid for another issuer", async () => {
    const { verify_key } = parseGripUri(GRIP_URL);
    assert.equal(await validateSig(await signature("/other-issuer"), verify_key, "somebody else"), false);
  });

  for (const [algorithm, file] of [["es256", "ec"], ["rs256", "rsa"]]) {
    test(`a signature in ${algorithm.toUpperCase()} is valid under the public key`, async () => {
      const key = readFileSync(`${KEYS}/${file}-public.pem`, "utf8");
      assert.equal(await validateSig(await signature(`/${algorithm}`), key, "client-tests"), true);
    });
  }
});
