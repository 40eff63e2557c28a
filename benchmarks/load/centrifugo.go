package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
)

// centrifugoDialer speaks Centrifugo's protocol in JSON: a room is a channel
// that its two ends subscribe to and publish into.
type centrifugoDialer struct{ to server }

func (d *centrifugoDialer) greets() bool { return true }

func (d *centrifugoDialer) close() {}

// cfCommand is what a client sends.
type cfCommand struct {
	ID          uint32         `json:"id"`
	Connect     *cfConnect     `json:"connect,omitempty"`
	Subscribe   *cfSubscribe   `json:"subscribe,omitempty"`
	Unsubscribe *cfSubscribe   `json:"unsubscribe,omitempty"`
	Publish     *cfPublication `json:"publish,omitempty"`
}

type cfConnect struct {
	Token  string `json:"token,omitempty"`
	Client string `json:"client,omitempty"`
}

type cfSubscribe struct {
	Channel string `json:"channel"`
}

type cfPublication struct {
	Channel string  `json:"channel,omitempty"`
	Data    *cfData `json:"data"`
	Info    cfInfo  `json:"info,omitzero"`
}

// cfData is what the app publishes.
type cfData struct {
	Event kind `json:"event"`
	signal
}

type cfInfo struct {
	Client string `json:"client"`
}

// cfReply is what the server sends; empty, it is a ping.
type cfReply struct {
	ID        uint32          `json:"id"`
	Error     json.RawMessage `json:"error"`
	Connect   *cfConnect      `json:"connect"`
	Subscribe *struct{}       `json:"subscribe"`
	Push      *cfPush         `json:"push"`
}

type cfPush struct {
	Pub   *cfPublication `json:"pub"`
	Join  *cfPresence    `json:"join"`
	Leave *cfPresence    `json:"leave"`
}

type cfPresence struct {
	Info cfInfo `json:"info"`
}

func (d *centrifugoDialer) connect(user string) (participant, error) {
	socket, err := openSocket("ws://" + d.to.Address + "/connection/websocket")
	if err != nil {
		return nil, err
	}
	p := &centrifugoParticipant{socket: socket}
	err = p.write(cfCommand{Connect: &cfConnect{Token: tokenFor(d.to.Secret, user)}})
	if err == nil {
		var reply cfReply
		reply, err = p.next(func(one cfReply) bool { return one.ID != 0 })
		if err == nil && reply.Connect == nil {
			err = errors.New("connect was not answered")
		}
		if err == nil {
			p.client = reply.Connect.Client
		}
	}
	if err != nil {
		p.abort()
		return nil, err
	}
	return p, nil
}

type centrifugoParticipant struct {
	socket  *socket
	client  string
	channel string
	// second says that this participant joined a room in which the other one was.
	second bool
	ids    atomic.Uint32
	// queue holds what else came in the message that was read last.
	queue [][]byte
}

func (p *centrifugoParticipant) write(command cfCommand) error {
	command.ID = p.ids.Add(1)
	text, err := json.Marshal(command)
	if err != nil {
		return err
	}
	return p.socket.write(text)
}

// next returns the next reply that is wanted; it answers pings.
func (p *centrifugoParticipant) next(wanted func(cfReply) bool) (cfReply, error) {
	for {
		if len(p.queue) == 0 {
			text, err := p.socket.read()
			if err != nil {
				return cfReply{}, err
			}
			p.queue = bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		}
		text := p.queue[0]
		p.queue = p.queue[1:]
		if bytes.Equal(text, []byte("{}")) {
			if err := p.socket.write(text); err != nil {
				return cfReply{}, err
			}
			continue
		}
		var reply cfReply
		if err := json.Unmarshal(text, &reply); err != nil {
			return cfReply{}, err
		}
		if reply.Error != nil {
			return cfReply{}, fmt.Errorf("the server refused command %d: %s", reply.ID, reply.Error)
		}
		if wanted(reply) {
			return reply, nil
		}
	}
}

func (p *centrifugoParticipant) join(room string) (string, error) {
	p.second = room != ""
	if !p.second {
		room = "room:" + rand.Text()
	}
	p.channel = room
	if err := p.write(cfCommand{Subscribe: &cfSubscribe{room}}); err != nil {
		return "", err
	}
	_, err := p.next(func(one cfReply) bool { return one.Subscribe != nil })
	return room, err
}

func (p *centrifugoParticipant) send(what event) error {
	data := &cfData{Event: what.kind}
	if what.kind == candidate {
		data.Candidate = newRTCCandidate(what.payload)
	} else {
		data.SDP = what.payload
	}
	return p.write(cfCommand{Publish: &cfPublication{Channel: p.channel, Data: data}})
}

// others says whether a push is about the peer, because a publisher receives its own messages
// too. The second participant may or may not be told that the first one has joined.
func (p *centrifugoParticipant) others(one cfReply) bool {
	switch push := one.Push; {
	case push == nil:
		return false
	case push.Pub != nil:
		return push.Pub.Info.Client != p.client
	case push.Join != nil:
		return !p.second && push.Join.Info.Client != p.client
	default:
		return push.Leave != nil && push.Leave.Info.Client != p.client
	}
}

func (p *centrifugoParticipant) receive() (event, error) {
	reply, err := p.next(p.others)
	if err != nil {
		return event{}, err
	}
	switch push := reply.Push; {
	case push.Join != nil:
		return event{kind: joined}, nil
	case push.Leave != nil:
		return event{kind: left}, nil
	case push.Pub.Data.Candidate != nil:
		return event{push.Pub.Data.Event, push.Pub.Data.Candidate.Candidate}, nil
	default:
		return event{push.Pub.Data.Event, push.Pub.Data.SDP}, nil
	}
}

func (p *centrifugoParticipant) hangUp() error {
	defer p.abort()
	return p.write(cfCommand{Unsubscribe: &cfSubscribe{p.channel}})
}

func (p *centrifugoParticipant) abort() { p.socket.close() }
