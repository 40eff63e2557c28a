package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// liveKitDialer speaks LiveKit's signaling, in protobuf over a WebSocket. LiveKit
// forwards media, so each participant negotiates with the server instead of with its peer.
type liveKitDialer struct{ to server }

// greets is false: LiveKit announces a participant without media only every 3 s. The second
// participant knows from its join that the first is there, and the first waits for nothing.
func (d *liveKitDialer) greets() bool { return false }

func (d *liveKitDialer) close() {}

// connect opens nothing: to connect is to join.
func (d *liveKitDialer) connect(user string) (participant, error) {
	return &liveKitParticipant{to: d.to, user: user}, nil
}

// Fields of livekit.SignalRequest and livekit.SignalResponse; both have lkTrickle and lkLeave.
const (
	lkOffer   protowire.Number = 1
	lkTrickle protowire.Number = 3
	lkLeave   protowire.Number = 8

	lkJoined   protowire.Number = 1
	lkAnswer   protowire.Number = 2
	lkToldOf   protowire.Number = 5
	lkHungUp                    = 1 // DisconnectReason.CLIENT_INITIATED
	lkGone                      = 3 // ParticipantInfo.State.DISCONNECTED
	lkAPIKey                    = "bench"
	lkProtocol                  = "protocol=16&sdk=js&auto_subscribe=1"
)

type liveKitParticipant struct {
	to     server
	user   string
	socket *socket
	// met says that this participant knows of its peer: the answer to its join said so, or an update.
	met bool
}

func (p *liveKitParticipant) join(room string) (string, error) {
	if room == "" {
		room = rand.Text()
	}
	claims := map[string]any{
		"iss":   lkAPIKey,
		"sub":   p.user,
		"nbf":   time.Now().Unix(),
		"exp":   time.Now().Add(time.Hour).Unix(),
		"video": map[string]any{"room": room, "roomJoin": true},
	}
	token := signed(p.to.Secret, claims)
	socket, err := openSocket(fmt.Sprintf("ws://%s/rtc?%s&access_token=%s", p.to.Address, lkProtocol, url.QueryEscape(token)))
	if err != nil {
		return "", err
	}
	p.socket = socket
	welcome, err := p.next(lkJoined)
	_, p.met = field(welcome, 3)
	return room, err
}

// next returns the next message that has this field.
func (p *liveKitParticipant) next(wanted protowire.Number) ([]byte, error) {
	for {
		message, err := p.socket.read()
		if err != nil {
			return nil, err
		}
		if body, found := field(message, wanted); found {
			return body, nil
		}
		if _, found := field(message, lkLeave); found {
			return nil, errors.New("the server ended the session")
		}
	}
}

// negotiate sends an offer and candidates to the server, and reads its answer.
func (p *liveKitParticipant) negotiate(number uint64) error {
	if err := p.write(lkOffer, texts("offer", liveKitOffer(number))); err != nil {
		return err
	}
	for index := range uint64(candidatesPerSide) {
		// A loopback address, so that a server that checks candidates reaches no other machine.
		line := fmt.Sprintf("candidate:%010d 1 udp 1677729535 127.0.0.1 9 typ host ufrag EsAw", index)
		init, err := json.Marshal(newRTCCandidate(line))
		if err != nil {
			return err
		}
		if err := p.write(lkTrickle, texts(string(init))); err != nil {
			return err
		}
	}
	body, err := p.next(lkAnswer)
	if err != nil {
		return err
	}
	if sdp, _ := field(body, 2); !strings.Contains(string(sdp), "webrtc-datachannel") {
		return fmt.Errorf("the offer was answered by %d bytes", len(sdp))
	}
	return nil
}

func (p *liveKitParticipant) send(event) error {
	return errors.New("LiveKit forwards no descriptions and no candidates")
}

func (p *liveKitParticipant) receive() (event, error) {
	for {
		update, err := p.next(lkToldOf)
		if err != nil {
			return event{}, err
		}
		what := p.news(update)
		if what == left || (what == joined && !p.met) {
			p.met = true
			return event{kind: what}, nil
		}
	}
}

// news says what an update tells of the peer. Its state is told each time that it changes.
func (p *liveKitParticipant) news(update []byte) (what kind) {
	each(update, func(_ protowire.Number, _ protowire.Type, value []byte) {
		info, _ := protowire.ConsumeBytes(value)
		identity, _ := field(info, 2)
		switch {
		case string(identity) == p.user:
		case number(info, 3) == lkGone:
			what = left
		default:
			what = joined
		}
	})
	return what
}

func (p *liveKitParticipant) hangUp() error {
	defer p.abort()
	reason := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), lkHungUp)
	if err := p.write(lkLeave, reason); err != nil {
		return err
	}
	// The server closes the connection. It forgets a leave of a client that closes it first.
	for {
		if _, err := p.socket.read(); err != nil {
			return nil
		}
	}
}

func (p *liveKitParticipant) abort() {
	if p.socket != nil {
		p.socket.close()
	}
}

func (p *liveKitParticipant) write(number protowire.Number, body []byte) error {
	message := protowire.AppendTag(nil, number, protowire.BytesType)
	return p.socket.writeBinary(protowire.AppendBytes(message, body))
}

// texts is a message whose first fields are these strings.
func texts(values ...string) []byte {
	var message []byte
	for index, value := range values {
		message = protowire.AppendTag(message, protowire.Number(index+1), protowire.BytesType)
		message = protowire.AppendString(message, value)
	}
	return message
}

// each calls visit with each field of a message.
func each(message []byte, visit func(number protowire.Number, kind protowire.Type, value []byte)) {
	for len(message) > 0 {
		number, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return
		}
		size := protowire.ConsumeFieldValue(number, kind, message[length:])
		if size < 0 {
			return
		}
		visit(number, kind, message[length:length+size])
		message = message[length+size:]
	}
}

// field is the first field of that number, of those that have a length.
func field(message []byte, wanted protowire.Number) (body []byte, found bool) {
	each(message, func(number protowire.Number, kind protowire.Type, value []byte) {
		if number == wanted && kind == protowire.BytesType && !found {
			body, _ = protowire.ConsumeBytes(value)
			found = true
		}
	})
	return body, found
}

// number is the field of that number, of those that are numbers; 0 where it is absent.
func number(message []byte, wanted protowire.Number) (found uint64) {
	each(message, func(number protowire.Number, kind protowire.Type, value []byte) {
		if number == wanted && kind == protowire.VarintType {
			found, _ = protowire.ConsumeVarint(value)
		}
	})
	return found
}

// liveKitOffer is the offer of a client that opens a data channel.
func liveKitOffer(number uint64) string {
	fingerprint := strings.TrimSuffix(strings.Repeat("AB:", 32), ":")
	return fmt.Sprintf("v=0\r\no=- %019d 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"+
		"a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n"+
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"+
		"a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=ice-options:trickle\r\n"+
		"a=fingerprint:sha-256 %s\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\n"+
		"a=max-message-size:262144\r\n", number, fingerprint)
}
