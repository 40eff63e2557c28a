package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"reflect"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"google.golang.org/genproto/googleapis/rpc/code"
)

// side is one side of the call. It prints what it receives, and ends the program if
// that is not what the script says.
type side struct {
	*dyad.Conn
	ctx                       context.Context
	self, other               string
	polite                    bool
	next                      func() (dyad.Event, error, bool)
	offers, answers, trickled int
}

func dial(ctx context.Context, role, target string, token dyad.TokenSource) *side {
	s := &side{ctx: ctx, self: role, other: "caller"}
	if role == s.other {
		s.other = "callee"
	}
	connection, err := dyad.Dial(target, token, dyad.WithPlaintext())
	s.must(err)
	s.Conn = connection
	return s
}

func (s *side) entered(room dyad.Room) {
	s.polite = room.Polite
	s.next, _ = iter.Pull2(s.Events(s.ctx))
}

// must ends the program if there is an error.
func (s *side) must(err error) {
	if err == nil {
		return
	}
	var ended *dyad.Ended
	if errors.As(err, &ended) {
		sayEnded(ended)
	}
	fmt.Fprintf(os.Stderr, "dyad-pair, as %s: %v\n", s.self, err)
	os.Exit(1)
}

func (s *side) create() {
	room, err := s.Create(s.ctx)
	s.must(err)
	s.entered(room)
	say(line{"event": "created", "room": room.ID})
}

func (s *side) join(roomID string) {
	room, err := s.Join(s.ctx, roomID)
	s.must(err)
	s.entered(room)
	joined := line{"event": "joined", "room": room.ID, "polite": room.Polite, "peer": nil}
	if room.Peer != nil {
		joined["peer"] = room.Peer.UserID
	}
	say(joined)
}

// leave hangs up. No event may be left that the script has not received.
func (s *side) leave() {
	s.must(s.Leave(s.ctx))
	for event, err, ok := s.next(); ok; event, err, ok = s.next() {
		s.must(err)
		s.print(event)
		if !passing(event) {
			s.must(fmt.Errorf("%T came after all that was due", event))
		}
	}
	say(line{"event": "left"})
}

// trickle sends all candidates, with a pause after each. The channel says when it
// is done.
func (s *side) trickle(pause time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() {
		var err error
		for n := 1; n <= candidates+1 && err == nil; n++ {
			err = s.SendCandidate(s.ctx, candidate(s.self, n))
			time.Sleep(pause)
		}
		done <- err
	}()
	return done
}

func (s *side) hearsCandidates() {
	for range candidates + 1 {
		hears[dyad.Candidate](s)
	}
}

// hears receives the next event, which must be an E.
func hears[E dyad.Event](s *side) {
	for {
		event, err, ok := s.next()
		s.must(err)
		var due E
		if !ok {
			s.must(fmt.Errorf("the events ended where %T was due", due))
		}
		s.print(event)
		if _, heard := event.(E); heard {
			return
		}
		if !passing(event) {
			s.must(fmt.Errorf("%T came where %T was due", event, due))
		}
	}
}

// passing reports whether an event may come at any time.
func passing(event dyad.Event) bool {
	switch event.(type) {
	case dyad.Reconnecting, dyad.Reconnected:
		return true
	default:
		return false
	}
}

// print prints an event, and checks it against the script.
func (s *side) print(event dyad.Event) {
	switch event := event.(type) {
	case dyad.PeerJoined:
		say(line{"event": "peer_joined", "peer": event.Participant.UserID})
	case dyad.Offer:
		s.offers++
		say(line{"event": "offer", "n": s.offers, "sdp": event.SDP})
		s.must(same("the offer", event.SDP, description(s.other, "offer")))
	case dyad.Answer:
		s.answers++
		say(line{"event": "answer", "n": s.answers, "sdp": event.SDP})
		s.must(same("the answer", event.SDP, description(s.other, "answer")))
	case dyad.Candidate:
		s.trickled++
		say(line{"event": "candidate", "n": s.trickled, "candidate": event.Candidate})
		due := candidate(s.other, s.trickled)
		due.RoomID, due.Sender = event.RoomID, event.Sender
		s.must(same("the candidate", event, due))
	case dyad.PeerLeft:
		say(line{"event": "peer_left", "reason": event.Reason.String()})
		s.must(same("the reason", event.Reason, dyad.DepartureLeft))
	case *dyad.Refused:
		say(line{"event": "refused", "code": event.Code.String()})
	case dyad.Reconnecting:
		say(line{"event": "reconnecting"})
	case dyad.Reconnected:
		say(line{"event": "reconnected", "resumed": event.Resumed})
		s.must(same("resumed", event.Resumed, true))
	}
}

func same(what string, got, due any) error {
	if reflect.DeepEqual(got, due) {
		return nil
	}
	return fmt.Errorf("%s is %+v, not %+v", what, got, due)
}

type line map[string]any

// say prints a line; standard output is not buffered.
func say(said line) {
	// If it cannot be printed, that cannot be reported either.
	_ = json.NewEncoder(os.Stdout).Encode(said)
}

func sayEnded(ended *dyad.Ended) {
	name := code.Code(ended.Code).String()
	say(line{"event": "ended", "code": name, "retry": ended.Retryable()})
}
