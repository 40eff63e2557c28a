package dyad_test

import (
	"errors"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

func TestEventsOfTheLastRoomDoNotReachTheNext(t *testing.T) {
	here := serve(t)
	alice, bob, first := pair(t, here.address, here.address)
	for n := range 20 {
		alice.succeeds(alice.SendCandidate(alice.ctx, candidate("alice", n)))
	}
	if heard := hears[dyad.Candidate](bob); heard.RoomID != first {
		t.Errorf("the candidate is of room %s", heard.RoomID)
	}
	bob.succeeds(bob.Leave(bob.ctx))
	if err := bob.hearsEnd(); err != nil {
		t.Errorf("Bob left, and heard %v", err)
	}
	if heard := hears[dyad.PeerLeft](alice); heard.RoomID != first {
		t.Errorf("Bob left room %s", heard.RoomID)
	}
	second := bob.creates().ID
	alice.succeeds(alice.Leave(alice.ctx))
	alice.joins(second)
	if heard := hears[dyad.PeerJoined](bob); heard.RoomID != second {
		t.Errorf("Alice joined room %s", heard.RoomID)
	}
}

func TestEveryEventSaysItsRoom(t *testing.T) {
	here := serve(t)
	net := through(t, here.address)
	alice, bob, roomID := pair(t, net.address, here.address)
	bob.offers("v=0")
	bob.succeeds(bob.SendAnswer(bob.ctx, "v=0"))
	rooms := []string{hears[dyad.Offer](alice).RoomID, hears[dyad.Answer](alice).RoomID}
	net.cut()
	rooms = append(rooms, hears[dyad.Reconnecting](alice).RoomID, hears[dyad.Reconnected](alice).Room.ID)
	bob.succeeds(bob.Leave(bob.ctx))
	rooms = append(rooms, hears[dyad.PeerLeft](alice).RoomID)
	alice.offers("v=0")
	rooms = append(rooms, hears[*dyad.Refused](alice).RoomID)
	for i, room := range rooms {
		if room != roomID {
			t.Errorf("event %d is of room %q", i, room)
		}
	}
}

func TestARoomIDThatIsNoUUIDIsRefusedWithoutAskingTheServer(t *testing.T) {
	alice := dialWith(t, "127.0.0.1:1", dyad.Token("x"))
	for _, bad := range []string{
		"", " ", "null", "6c1f3c3e9d2c4b7e8f530d6f3f9f7a10", "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a1g",
		"6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10 ", "{6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10}",
	} {
		if _, err := alice.Join(alice.ctx, bad); !errors.Is(err, dyad.ErrInvalidFrame) {
			t.Errorf("Join(%q): %v", bad, err)
		}
	}
}

func TestEventsBeforeTheFirstRoomAreAnError(t *testing.T) {
	alice := dialWith(t, "127.0.0.1:1", dyad.Token("x"))
	if err := alice.hearsEnd(); !errors.Is(err, dyad.ErrNotInRoom) {
		t.Errorf("the events end with %v", err)
	}
}
