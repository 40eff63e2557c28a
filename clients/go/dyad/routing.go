package dyad

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
)

const (
	// A proxy sends connections with the same key to the same node.
	routingHeader = "dyad-routing-key"
	routingDigits = 8
)

// routingKey returns the key to connect with: the last digits of the room's id. If roomID is
// empty, the room is the one that the token names, or a new one. For a new room the key is
// random, and the server makes an id that ends with it.
func routingKey(roomID, token string) string {
	if roomID == "" {
		roomID = namedBy(token)
	}
	if len(roomID) >= routingDigits {
		return strings.ToLower(roomID[len(roomID)-routingDigits:])
	}
	random := make([]byte, routingDigits/2)
	_, _ = rand.Read(random) // It never fails.
	return hex.EncodeToString(random)
}

// namedBy returns the room that a token names, or nothing. The server is what checks tokens.
func namedBy(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) < 2 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct{ Room string }
	if json.Unmarshal(payload, &claims) != nil || !isUUID(claims.Room) {
		return ""
	}
	return claims.Room
}
