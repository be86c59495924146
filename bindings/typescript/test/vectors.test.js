// Decodes every golden vector with the generated messages and encodes it back: binary to the same
// bytes, JSON to the same value.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { fromBinary, fromJsonString, toBinary, toJson } from "@bufbuild/protobuf";
import { AgentToPlatformSchema, PlatformToAgentSchema } from "fleetwire/link/v1/envelope";

const vectors = new URL("../../../tests/vectors/", import.meta.url);
const envelopes = {
  agent_to_platform: AgentToPlatformSchema,
  platform_to_agent: PlatformToAgentSchema,
};

/**
 * Each vector of a kind, of which each envelope has some.
 * @param {string} kind
 */
function* each(kind) {
  for (const [folder, envelope] of Object.entries(envelopes)) {
    const names = readdirSync(new URL(`${kind}/${folder}/`, vectors));
    assert.notEqual(names.length, 0, `no vectors in ${kind}/${folder}`);
    for (const name of names) {
      const vector = readFileSync(new URL(`${kind}/${folder}/${name}`, vectors));
      yield { name: `${kind}/${folder}/${name}`, envelope, vector };
    }
  }
}

for (const { name, envelope, vector } of each("binary")) {
  test(name, () => {
    const message = fromBinary(envelope, vector);
    assert.equal(message.$unknown, undefined);
    assert.deepEqual(Buffer.from(toBinary(envelope, message)), vector);
  });
}

for (const { name, envelope, vector } of each("proto3-json")) {
  test(name, () => {
    const message = fromJsonString(envelope, vector.toString());
    assert.deepEqual(toJson(envelope, message), JSON.parse(vector.toString()));
  });
}
