package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// relay is a server in this process: what one end sends, the other receives,
// unless spoil changes it.
type relay struct {
	number int
	spoil  func(number int, what event) []event
}

type end struct {
	relay *relay
	in    chan event
	peer  *end
	gone  chan struct{}
}

var errGone = errors.New("the connection is closed")

func (e *end) join(string) (string, error) { return "room", nil }

func (e *end) send(what event) error {
	e.relay.number++
	for _, one := range e.relay.spoil(e.relay.number, what) {
		select {
		case e.peer.in <- one:
		case <-e.gone:
			return errGone
		}
	}
	return nil
}

func (e *end) receive() (event, error) {
	select {
	case what, open := <-e.in:
		if !open {
			return event{}, errGone
		}
		return what, nil
	case <-time.After(100 * time.Millisecond):
		return event{}, errGone
	}
}

func (e *end) hangUp() error {
	e.peer.in <- event{kind: left}
	return nil
}

func (e *end) abort() { close(e.gone) }

func relayed(spoil func(int, event) []event) *pair {
	through := &relay{spoil: spoil}
	caller := &end{through, make(chan event, 100), nil, make(chan struct{})}
	callee := &end{through, make(chan event, 100), caller, make(chan struct{})}
	caller.peer = callee
	return &pair{number: 7, caller: caller, callee: callee}
}

func TestACallPassesWhereEveryFrameArrivesAsItWasSent(t *testing.T) {
	one := relayed(func(_ int, what event) []event { return []event{what} })
	if err := one.negotiate(); err != nil {
		t.Fatal(err)
	}
	if err := one.hangUp(); err != nil {
		t.Fatal(err)
	}
}

func TestACallFailsWhereAFrameIsLostChangedTwiceOrOutOfOrder(t *testing.T) {
	var held *event
	spoilers := map[string]func(int, event) []event{
		"lost": func(number int, what event) []event {
			if number == 5 {
				return nil
			}
			return []event{what}
		},
		"changed": func(number int, what event) []event {
			if number == 15 {
				what.payload = strings.Replace(what.payload, "192.168.1.10", "192.168.1.11", 1)
			}
			return []event{what}
		},
		"twice": func(number int, what event) []event {
			if number == 4 {
				return []event{what, what}
			}
			return []event{what}
		},
		"out of order": func(number int, what event) []event {
			switch {
			case number == 5:
				held = &what
				return nil
			case number == 6:
				return []event{what, *held}
			default:
				return []event{what}
			}
		},
	}
	for name, spoil := range spoilers {
		t.Run(name, func(t *testing.T) {
			if relayed(spoil).negotiate() == nil {
				t.Error("nothing was noticed")
			}
		})
	}
}

func TestAStreamFailsWhereACandidateIsLost(t *testing.T) {
	one := relayed(func(number int, what event) []event {
		if number == 50 {
			return nil
		}
		return []event{what}
	})
	way := &way{from: one.caller, to: one.callee, first: 1 << 20}
	if _, err := way.saturated(time.Now().Add(time.Second), 4); err == nil {
		t.Error("nothing was noticed")
	}
}

func TestDescriptionsAndCandidatesAreAsLongAsABrowsersAndAllDifferent(t *testing.T) {
	if size := len(sdp(offer, 1)); size != offerBytes {
		t.Errorf("an offer of %d bytes", size)
	}
	if size := len(sdp(answer, 1)); size != answerBytes {
		t.Errorf("an answer of %d bytes", size)
	}
	if sdp(offer, 1) == sdp(offer, 2) || iceCandidate(1) == iceCandidate(2) {
		t.Error("two that are equal")
	}
}

func TestOnlyThisMachineIsCalled(t *testing.T) {
	for _, address := range []string{"192.0.2.1:80", "example.com:80", "nothing"} {
		if _, err := newDialer(command{Server: server{Protocol: "grpc", Address: address}}); err == nil {
			t.Errorf("%s was accepted", address)
		}
	}
}
