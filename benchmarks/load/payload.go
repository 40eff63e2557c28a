package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const (
	candidatesPerSide = 10
	offerBytes        = 5200
	answerBytes       = 4300
)

// tokenFor is a JWT of one hour.
func tokenFor(secret, user string) string {
	return signed(secret, map[string]any{
		"sub":   user,
		"email": user + "@example.com",
		"iat":   time.Now().Unix(),
		"exp":   time.Now().Add(time.Hour).Unix(),
	})
}

// signed is a JWT with these claims.
func signed(secret string, claims map[string]any) string {
	encode := base64.RawURLEncoding.EncodeToString
	body, _ := json.Marshal(claims)
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// attributes are lines that a browser's SDP repeats for each codec.
const attributes = "a=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\n" +
	"a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n" +
	"a=rtpmap:102 H264/90000\r\n" +
	"a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\n"

// lines is enough of them for the longest SDP.
var lines = strings.Repeat(attributes, offerBytes/len(attributes)+1)

// sdp is a description as long as a browser's for one audio and one video
// track, and different for each number.
func sdp(what kind, number uint64) string {
	size := offerBytes
	if what == answer {
		size = answerBytes
	}
	head := fmt.Sprintf("v=0\r\no=- %019d 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"+
		"m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 105 106 107\r\nc=IN IP4 0.0.0.0\r\n", number)
	return head + lines[:size-len(head)]
}

// iceCandidate is a server-reflexive candidate, as long as a browser's, and
// different for each number.
func iceCandidate(number uint64) string {
	return fmt.Sprintf("candidate:%010d 1 udp 1677729535 203.0.113.7 51234 typ srflx raddr 192.168.1.10 "+
		"rport 51234 generation 0 ufrag EsAw network-id 1 network-cost 10", number)
}
