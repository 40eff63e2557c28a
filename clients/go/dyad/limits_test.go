package dyad_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

func TestAFrameThatIsTooLargeIsRefusedAndTheCallGoesOn(t *testing.T) {
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	large := strings.Repeat("x", 70_000)
	for _, err := range []error{
		alice.SendOffer(alice.ctx, large),
		alice.SendAnswer(alice.ctx, large),
		alice.SendCandidate(alice.ctx, dyad.Candidate{Candidate: large}),
	} {
		if !errors.Is(err, dyad.ErrTooLarge) {
			t.Errorf("70,000 bytes: %v", err)
		}
	}
	alice.offers("v=0")
	bob.hearsOffer("v=0")
}

func TestTheLargestFrameThatTheClientAcceptsPassesTheServer(t *testing.T) {
	here := serve(t, "--max-frame-bytes", "4096")
	small := dyad.WithLimits(dyad.Limits{FrameBytes: 4096})
	alice, bob, _ := pair(t, here.address, here.address, small)
	size := 4096
	for alice.SendOffer(alice.ctx, strings.Repeat("x", size)) != nil {
		size--
	}
	if size < 4000 {
		t.Errorf("only %d bytes were accepted", size)
	}
	bob.hearsOffer(strings.Repeat("x", size))
}

func TestEightHundredCandidatesAtOnceAllArrive(t *testing.T) {
	t.Parallel()
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	const many = 800
	for n := range many {
		alice.succeeds(alice.SendCandidate(alice.ctx, candidate("alice", n)))
	}
	for n := range many {
		if heard := hears[dyad.Candidate](bob); heard.Candidate != candidate("alice", n).Candidate {
			t.Fatalf("number %d is %s", n, heard.Candidate)
		}
	}
}

func TestADozenLargeOffersAtOnceAllArrive(t *testing.T) {
	t.Parallel()
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	for range 12 {
		alice.offers(strings.Repeat("x", 20_000))
	}
	for range 12 {
		bob.hearsOffer(strings.Repeat("x", 20_000))
	}
}

func TestWhatIsSentInOneRoomCountsInTheNext(t *testing.T) {
	t.Parallel()
	here := serve(t)
	alice, bob, roomID := pair(t, here.address, here.address)
	for range 4 {
		for range 2 {
			alice.offers(strings.Repeat("x", 50_000))
			bob.hearsOffer(strings.Repeat("x", 50_000))
		}
		alice.succeeds(alice.Leave(alice.ctx))
		bob.hearsPeerLeave(dyad.DepartureLeft)
		alice.joins(roomID)
		hears[dyad.PeerJoined](bob)
	}
}
