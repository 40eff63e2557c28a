package dyad

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

const (
	room      = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
	otherRoom = "00000000-0000-4000-8000-00000000abcd"
)

func claiming(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".signature"
}

func TestAllWhoEnterARoomHaveTheSameKey(t *testing.T) {
	for _, one := range []struct{ roomID, token string }{
		{room, "not.a.jwt"},
		{strings.ToUpper(room), "not.a.jwt"},
		{room, claiming(`{"room": "` + otherRoom + `"}`)},
		{"", claiming(`{"room": "` + room + `"}`)},
		{"", claiming(`{"sub": "Jörg’s 😀", "room": "` + strings.ToUpper(room) + `"}`)},
	} {
		if key := routingKey(one.roomID, one.token); key != "3f9f7a10" {
			t.Errorf("for %q and %q the key is %q", one.roomID, one.token, key)
		}
	}
}

func TestWithoutARoomTheKeyIsRandom(t *testing.T) {
	wellFormed := regexp.MustCompile("^[0-9a-f]{8}$")
	for _, token := range []string{
		"", "a", "a.b", "a.b.c", "..", "a.ü.c", claiming("null"), claiming("[]"), claiming("7"),
		claiming(`{"sub": "alice"}`), claiming(`{"room": null}`), claiming(`{"room": 7}`),
		claiming(`{"room": ""}`), claiming(`{"room": "lobby"}`), claiming(`{"room": " ` + room + `"}`),
		claiming(strings.Repeat("[", 100_000)),
	} {
		keys := make(map[string]bool)
		for range 100 {
			key := routingKey("", token)
			if !wellFormed.MatchString(key) {
				t.Fatalf("the key is %q", key)
			}
			keys[key] = true
		}
		if len(keys) != 100 {
			t.Errorf("for %.40q there are %d keys, not 100", token, len(keys))
		}
	}
}
