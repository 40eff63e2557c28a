package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// socketIODialer speaks socket.io 5 over engine.io 4, as the official client
// does: over a WebSocket, or over HTTP long polling that is then upgraded.
type socketIODialer struct{ to server }

func (d *socketIODialer) greets() bool { return true }

func (d *socketIODialer) close() {}

// signal is what the gateway's events carry.
type signal struct {
	RoomID    string        `json:"room_id,omitempty"`
	SDP       string        `json:"sdp,omitempty"`
	Candidate *rtcCandidate `json:"candidate,omitempty"`
}

// rtcCandidate is an RTCIceCandidateInit.
type rtcCandidate struct {
	Candidate        string `json:"candidate"`
	SDPMid           string `json:"sdpMid"`
	SDPMLineIndex    int    `json:"sdpMLineIndex"`
	UsernameFragment string `json:"usernameFragment"`
}

func newRTCCandidate(text string) *rtcCandidate {
	return &rtcCandidate{Candidate: text, SDPMid: "0", UsernameFragment: "EsAw"}
}

func (d *socketIODialer) connect(user string) (participant, error) {
	greeting, err := json.Marshal(map[string]string{"token": tokenFor(d.to.Secret, user)})
	if err != nil {
		return nil, err
	}
	greeting = append([]byte("40"), greeting...)
	if d.to.Protocol == "socket.io-polling" {
		return upgrade(d.to.Address, greeting)
	}
	socket, err := openSocket("ws://" + d.to.Address + "/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		return nil, err
	}
	p := &socketIOParticipant{socket: socket}
	if _, err := p.packet("0"); err != nil {
		p.abort()
		return nil, err
	}
	if err := socket.write(greeting); err != nil {
		p.abort()
		return nil, err
	}
	if _, err := p.packet("40"); err != nil {
		p.abort()
		return nil, err
	}
	return p, nil
}

type socketIOParticipant struct {
	socket *socket
	room   string
}

// packet returns what follows this prefix in the next packet; it must have it.
func (p *socketIOParticipant) packet(prefix string) ([]byte, error) {
	for {
		text, err := p.socket.read()
		if err != nil {
			return nil, err
		}
		if bytes.Equal(text, []byte("2")) { // engine.io's ping
			if err := p.socket.write([]byte("3")); err != nil {
				return nil, err
			}
			continue
		}
		rest, found := bytes.CutPrefix(text, []byte(prefix))
		if !found {
			return nil, fmt.Errorf("%.80q came; %s was due", text, prefix)
		}
		return rest, nil
	}
}

func (p *socketIOParticipant) join(room string) (string, error) {
	// 1 asks for an acknowledgement of that number.
	if err := p.emit("421", joined, signal{RoomID: room}); err != nil {
		return "", err
	}
	text, err := p.packet("431")
	if err != nil {
		return "", err
	}
	var answers []signal
	if err := json.Unmarshal(text, &answers); err != nil || len(answers) != 1 || answers[0].RoomID == "" {
		return "", fmt.Errorf("join_room was answered by %.80q", text)
	}
	p.room = answers[0].RoomID
	return p.room, nil
}

func (p *socketIOParticipant) emit(prefix string, name kind, what signal) error {
	text, err := json.Marshal([]any{name, what})
	if err != nil {
		return err
	}
	return p.socket.write(append([]byte(prefix), text...))
}

func (p *socketIOParticipant) send(what event) error {
	message := signal{RoomID: p.room}
	if what.kind == candidate {
		message.Candidate = newRTCCandidate(what.payload)
	} else {
		message.SDP = what.payload
	}
	return p.emit("42", what.kind, message)
}

func (p *socketIOParticipant) receive() (event, error) {
	text, err := p.packet("42")
	if err != nil {
		return event{}, err
	}
	var name kind
	var message signal
	if err := json.Unmarshal(text, &[]any{&name, &message}); err != nil {
		return event{}, err
	}
	if message.Candidate != nil {
		return event{name, message.Candidate.Candidate}, nil
	}
	return event{name, message.SDP}, nil
}

func (p *socketIOParticipant) hangUp() error {
	defer p.abort()
	if err := p.emit("42", left, signal{RoomID: p.room}); err != nil {
		return err
	}
	return p.socket.write([]byte("41"))
}

func (p *socketIOParticipant) abort() { p.socket.close() }
