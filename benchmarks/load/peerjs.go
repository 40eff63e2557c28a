package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// peerJSDialer speaks the protocol of PeerJS' server: no rooms and no tokens of
// users; a peer is called by its id.
type peerJSDialer struct{ to server }

func (d *peerJSDialer) greets() bool { return false }

func (d *peerJSDialer) close() {}

// peerJSMessage is a message in either direction.
type peerJSMessage struct {
	Type    string         `json:"type"`
	Source  string         `json:"src,omitempty"`
	Target  string         `json:"dst,omitempty"`
	Payload *peerJSPayload `json:"payload,omitempty"`
}

type peerJSPayload struct {
	SDP          *peerJSDescription `json:"sdp,omitempty"`
	Candidate    *rtcCandidate      `json:"candidate,omitempty"`
	Type         string             `json:"type"`
	ConnectionID string             `json:"connectionId"`
}

type peerJSDescription struct {
	Type string `json:"type"`
	SDP  string `json:"sdp"`
}

func (d *peerJSDialer) connect(user string) (participant, error) {
	socket, err := openSocket(fmt.Sprintf("ws://%s/peerjs?key=peerjs&id=%s&token=k%s&version=1.5.5",
		d.to.Address, user, user))
	if err != nil {
		return nil, err
	}
	p := &peerJSParticipant{socket: socket, user: user}
	opened, err := p.message()
	if err == nil && opened.Type != "OPEN" {
		err = fmt.Errorf("the server said %s", opened.Type)
	}
	if err != nil {
		p.abort()
		return nil, err
	}
	return p, nil
}

type peerJSParticipant struct {
	socket *socket
	user   string
	peer   string
}

func (p *peerJSParticipant) message() (peerJSMessage, error) {
	var message peerJSMessage
	text, err := p.socket.read()
	if err == nil {
		err = json.Unmarshal(text, &message)
	}
	return message, err
}

// join is nothing that this server knows: each knows the other's id from the app.
func (p *peerJSParticipant) join(room string) (string, error) {
	p.peer = room
	if room == "" {
		p.peer = strings.Replace(p.user, "caller", "callee", 1)
	}
	return p.user, nil
}

func (p *peerJSParticipant) write(message peerJSMessage) error {
	message.Target = p.peer
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return p.socket.write(text)
}

func (p *peerJSParticipant) send(what event) error {
	payload := &peerJSPayload{Type: "media", ConnectionID: "mc_5rt9hk2mz7"}
	name := "CANDIDATE"
	switch what.kind {
	case candidate:
		payload.Candidate = newRTCCandidate(what.payload)
	case offer:
		name, payload.SDP = "OFFER", &peerJSDescription{"offer", what.payload}
	default:
		name, payload.SDP = "ANSWER", &peerJSDescription{"answer", what.payload}
	}
	return p.write(peerJSMessage{Type: name, Payload: payload})
}

func (p *peerJSParticipant) receive() (event, error) {
	message, err := p.message()
	if err != nil {
		return event{}, err
	}
	switch {
	case message.Type == "LEAVE":
		return event{kind: left}, nil
	case message.Payload != nil && message.Payload.Candidate != nil:
		return event{candidate, message.Payload.Candidate.Candidate}, nil
	case message.Payload != nil && message.Payload.SDP != nil:
		return event{kind(message.Payload.SDP.Type), message.Payload.SDP.SDP}, nil
	default:
		return event{}, fmt.Errorf("the server said %s", message.Type)
	}
}

func (p *peerJSParticipant) beat() error { return p.socket.write([]byte(`{"type":"HEARTBEAT"}`)) }

func (p *peerJSParticipant) hangUp() error {
	defer p.abort()
	return p.write(peerJSMessage{Type: "LEAVE"})
}

func (p *peerJSParticipant) abort() { p.socket.close() }
