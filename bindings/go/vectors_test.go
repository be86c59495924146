// Decodes every golden vector with the generated messages and encodes it back: binary to the same
// bytes, JSON to the same value.
package fleetwire_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	linkv1 "fleetwire/link/v1"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const vectors = "../../tests/vectors"

// each runs a test for every vector of a kind, of which each envelope has some.
func each(t *testing.T, kind string, test func(*testing.T, proto.Message, []byte)) {
	envelopes := map[string]proto.Message{
		"agent_to_platform": new(linkv1.AgentToPlatform),
		"platform_to_agent": new(linkv1.PlatformToAgent),
	}
	for folder, envelope := range envelopes {
		paths, err := filepath.Glob(filepath.Join(vectors, kind, folder, "*"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no vectors in %s/%s: %v", kind, folder, err)
		}
		for _, path := range paths {
			t.Run(filepath.Base(path), func(t *testing.T) {
				vector, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				test(t, envelope.ProtoReflect().New().Interface(), vector)
			})
		}
	}
}

func TestBinary(t *testing.T) {
	each(t, "binary", func(t *testing.T, message proto.Message, vector []byte) {
		if err := proto.Unmarshal(vector, message); err != nil {
			t.Fatal(err)
		}
		if unknown := message.ProtoReflect().GetUnknown(); len(unknown) > 0 {
			t.Fatalf("unknown fields: %x", unknown)
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, vector) {
			t.Fatalf("encoded back to\n%x, not\n%x", again, vector)
		}
	})
}

func TestProto3JSON(t *testing.T) {
	each(t, "proto3-json", func(t *testing.T, message proto.Message, vector []byte) {
		if err := protojson.Unmarshal(vector, message); err != nil {
			t.Fatal(err)
		}
		again, err := protojson.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(value(t, again), value(t, vector)) {
			t.Fatalf("encoded back to\n%s, not\n%s", again, vector)
		}
	})
}

// value reads JSON for comparison.
func value(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
