package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

// The time between two candidates in the scenario cut.
const pause = 10 * time.Millisecond

// What a side does, by its scenario and role. The room is the callee's.
var plays = map[string]func(s *side, roomID string){
	"call caller":     func(s *side, _ string) { calls(s, 0) },
	"call callee":     func(s *side, roomID string) { isCalled(s, roomID, 0) },
	"cut caller":      func(s *side, _ string) { calls(s, pause) },
	"cut callee":      func(s *side, roomID string) { isCalled(s, roomID, pause) },
	"glare caller":    func(s *side, _ string) { callsInGlare(s) },
	"glare callee":    isCalledInGlare,
	"full callee":     func(s *side, roomID string) { isRefused(s, roomID, dyad.ErrRoomFull) },
	"unknown callee":  func(s *side, roomID string) { isRefused(s, roomID, dyad.ErrRoomNotFound) },
	"badtoken callee": isNotLetIn,
	"closing caller":  func(s *side, _ string) { s.create(); hears[dyad.PeerJoined](s); closes(s) },
	"closing callee":  func(s *side, roomID string) { s.join(roomID); closes(s) },
	"expiry caller":   func(s *side, _ string) { answersLate(s) },
	"expiry callee":   outlivesItsToken,

	"taken_over callee": isTakenOver,
	"too_large callee":  offersTooMuch,
	"again callee":      callsAgain,
	"detach callee":     keepsItsSeat,
}

func calls(s *side, pause time.Duration) {
	s.create()
	hears[dyad.PeerJoined](s)
	s.must(s.SendOffer(s.ctx, description(s.self, "offer")))
	trickled := s.trickle(pause)
	hears[dyad.Answer](s)
	s.hearsCandidates()
	s.must(<-trickled)
	s.leave()
}

func isCalled(s *side, roomID string, pause time.Duration) {
	s.join(roomID)
	hears[dyad.Offer](s)
	s.must(s.SendAnswer(s.ctx, description(s.self, "answer")))
	trickled := s.trickle(pause)
	s.hearsCandidates()
	s.must(<-trickled)
	hears[dyad.PeerLeft](s)
	s.leave()
}

func callsInGlare(s *side) {
	s.create()
	hears[dyad.PeerJoined](s)
	negotiateInGlare(s)
	s.leave()
}

func isCalledInGlare(s *side, roomID string) {
	s.join(roomID)
	negotiateInGlare(s)
	hears[dyad.PeerLeft](s)
	s.leave()
}

func negotiateInGlare(s *side) {
	s.must(s.SendOffer(s.ctx, description(s.self, "offer")))
	hears[dyad.Offer](s)
	if s.polite {
		s.must(s.SendAnswer(s.ctx, description(s.self, "answer")))
	} else {
		hears[dyad.Answer](s)
	}
}

func isRefused(s *side, roomID string, why dyad.Refusal) {
	_, err := s.Join(s.ctx, roomID)
	var refused *dyad.Refused
	if !errors.As(err, &refused) {
		s.must(unexpected(err))
	}
	s.print(refused)
	if refused.Code != why {
		s.must(refused)
	}
}

func isNotLetIn(s *side, roomID string) {
	_, err := s.Join(s.ctx, roomID)
	var ended *dyad.Ended
	if !errors.Is(err, dyad.ErrUnauthenticated) || !errors.As(err, &ended) || ended.Retryable() {
		s.must(unexpected(err))
	}
	sayEnded(ended)
}

func unexpected(err error) error {
	if err == nil {
		return errors.New("the server let it in")
	}
	return fmt.Errorf("an unexpected error: %w", err)
}
