package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

// closes closes the connection when it breaks, or hears that the other side did.
func closes(s *side) {
	event, err, _ := s.next()
	s.must(err)
	s.print(event)
	switch event.(type) {
	case dyad.Reconnecting:
		say(line{"event": "closing"})
		s.must(s.Close())
		say(line{"event": "closed"})
	case dyad.PeerLeft:
		s.leave()
	default:
		s.must(fmt.Errorf("%T came where the end was due", event))
	}
}

func answersLate(s *side) {
	s.create()
	hears[dyad.PeerJoined](s)
	hears[dyad.Offer](s)
	s.must(s.SendAnswer(s.ctx, description(s.self, "answer")))
	hears[dyad.PeerLeft](s)
	s.leave()
}

func outlivesItsToken(s *side, roomID string) {
	s.join(roomID)
	hears[dyad.Reconnecting](s)
	hears[dyad.Reconnected](s)
	s.must(s.SendOffer(s.ctx, description(s.self, "offer")))
	hears[dyad.Answer](s)
	s.leave()
}

func isTakenOver(s *side, roomID string) {
	s.join(roomID)
	event, err, _ := s.next()
	var ended *dyad.Ended
	if !errors.Is(err, dyad.ErrTakenOver) || !errors.As(err, &ended) || ended.Retryable() {
		s.must(fmt.Errorf("%T, %v came where the end was due", event, err))
	}
	sayEnded(ended)
}

func offersTooMuch(s *side, roomID string) {
	s.join(roomID)
	if err := s.SendOffer(s.ctx, strings.Repeat("x", 70_000)); !errors.Is(err, dyad.ErrTooLarge) {
		s.must(fmt.Errorf("70,000 bytes were not refused: %v", err))
	}
	say(line{"event": "too_large"})
	s.must(s.SendOffer(s.ctx, description(s.self, "offer")))
	hears[dyad.Answer](s)
	s.leave()
}

func callsAgain(s *side, roomID string) {
	s.join(roomID)
	hears[dyad.Candidate](s)
	s.leave()
	s.create()
	hears[dyad.PeerJoined](s)
	s.leave()
}

func keepsItsSeat(s *side, roomID string) {
	s.join(roomID)
	hears[dyad.Offer](s)
	s.must(s.SendAnswer(s.ctx, description(s.self, "answer")))
	s.must(s.Detach())
	say(line{"event": "detached"})
}
