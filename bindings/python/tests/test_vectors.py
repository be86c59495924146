"""Decodes every golden vector with the generated messages and encodes it back: binary to the same
bytes, JSON to the same value."""

import json
from pathlib import Path

import pytest
from fleetwire.link.v1.envelope_pb2 import AgentToPlatform, PlatformToAgent
from google.protobuf import json_format, unknown_fields

VECTORS = Path(__file__).parents[3] / "tests" / "vectors"
ENVELOPES = {"agent_to_platform": AgentToPlatform, "platform_to_agent": PlatformToAgent}


def vectors(kind):
    """Each vector of a kind, of which each envelope has some."""
    found = []
    for folder, envelope in ENVELOPES.items():
        paths = sorted((VECTORS / kind / folder).iterdir())
        assert paths, f"no vectors in {kind}/{folder}"
        found += [pytest.param(envelope, path, id=f"{folder}/{path.name}") for path in paths]
    return found


@pytest.mark.parametrize(("envelope", "path"), vectors("binary"))
def test_binary(envelope, path):
    vector = path.read_bytes()
    message = envelope.FromString(vector)
    assert len(unknown_fields.UnknownFieldSet(message)) == 0
    assert message.SerializeToString(deterministic=True) == vector


@pytest.mark.parametrize(("envelope", "path"), vectors("proto3-json"))
def test_proto3_json(envelope, path):
    vector = path.read_text(encoding="utf-8")
    message = json_format.Parse(vector, envelope())
    assert json.loads(json_format.MessageToJson(message)) == json.loads(vector)
