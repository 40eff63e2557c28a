package dyad_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

// isReplaced checks the end of a connection after the same user took its seat with
// another connection.
func isReplaced(t *testing.T, err error) {
	t.Helper()
	var ended *dyad.Ended
	if !errors.Is(err, dyad.ErrTakenOver) || !errors.As(err, &ended) {
		t.Fatalf("it ended with %v", err)
	}
	if ended.Message == "" || ended.RetryAfter >= 0 || ended.Retryable() {
		t.Errorf("it ended with %v, to reconnect after %s", err, ended.RetryAfter)
	}
}

// displaced returns a laptop whose network is down, the phone that took its seat
// meanwhile, and their peer.
func displaced(t *testing.T) (laptop, phone, bob *end, net *network) {
	t.Helper()
	here := serve(t)
	net = through(t, here.address)
	laptop, bob, roomID := pair(t, net.address, here.address)
	laptop.loses(net)
	phone = dial(t, here.address, "alice")
	phone.joins(roomID)
	hears[dyad.PeerLeft](bob)
	hears[dyad.PeerJoined](bob)
	return laptop, phone, bob, net
}

func TestAnotherDeviceOfTheUserTakesTheSeatForGood(t *testing.T) {
	t.Parallel()
	here := serve(t)
	phone, bob, roomID := pair(t, here.address, here.address)
	laptop := dial(t, here.address, "alice")
	if room := laptop.joins(roomID); room.Peer == nil || room.Peer.UserID != "bob" {
		t.Errorf("the laptop entered %+v", room)
	}
	if heard := hears[dyad.PeerLeft](bob); heard.Reason != dyad.DepartureReplaced {
		t.Errorf("Bob heard %+v", heard)
	}
	hears[dyad.PeerJoined](bob)
	isReplaced(t, phone.hearsEnd())
	// The phone does not take it back.
	laptop.offers("v=0 from the laptop")
	bob.hearsOffer("v=0 from the laptop")
}

func TestAWakingDeviceLeavesTheSeatToTheUsersOtherDevice(t *testing.T) {
	t.Parallel()
	laptop, phone, bob, net := displaced(t)
	net.accept()
	isReplaced(t, laptop.hearsEnd())
	phone.offers("v=0 from the phone")
	bob.hearsOffer("v=0 from the phone")
}

func TestAHangUpAfterTheSeatWasTakenSucceeds(t *testing.T) {
	t.Parallel()
	laptop, phone, bob, net := displaced(t)
	laptop.leavesOver(net)
	// Its leave_room did not end the phone's seat.
	phone.offers("v=0")
	bob.hearsOffer("v=0")
	if err := laptop.hearsEnd(); err != nil {
		t.Errorf("the laptop left, and heard %v", err)
	}
	// And it may enter another room.
	dave := dial(t, net.target, "dave")
	if room := dave.joins(laptop.creates().ID); room.Peer == nil || room.Peer.UserID != "alice" {
		t.Errorf("Dave entered %+v", room)
	}
	for event, err := range laptop.Events(laptop.ctx) {
		if joined, ok := event.(dyad.PeerJoined); !ok || joined.Participant.UserID != "dave" {
			t.Errorf("the laptop heard %#v, %v", event, err)
		}
		break
	}
}

func TestAHangUpSucceedsIfTheSeatIsTakenBeforeItArrives(t *testing.T) {
	t.Parallel()
	here := serve(t)
	for name, options := range map[string][]dyad.Option{
		"resumable": nil, "not resumable": {dyad.WithoutResume()},
	} {
		t.Run(name, func(t *testing.T) {
			between := relayed(t, here.address)
			laptop, bob, roomID := pair(t, between.address, here.address, options...)
			phone := dial(t, here.address, "alice")
			joined := make(chan error, 1)
			between.beforeLeave(func() {
				_, err := phone.Join(phone.ctx, roomID)
				joined <- err
			})
			laptop.succeeds(laptop.Leave(laptop.ctx))
			phone.succeeds(<-joined)
			if heard := hears[dyad.PeerLeft](bob); heard.Reason != dyad.DepartureReplaced {
				t.Errorf("Bob heard %+v", heard)
			}
			if err := laptop.hearsEnd(); err != nil {
				t.Errorf("the laptop left, and heard %v", err)
			}
			laptop.creates()
		})
	}
}

func TestARoomIDInUpperCaseNamesTheSameRoom(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice := dial(t, here.address, "alice")
	roomID := alice.creates().ID
	bob := dial(t, net.address, "bob")
	if room := bob.joins(strings.ToUpper(roomID)); room.ID != roomID {
		t.Errorf("Bob joined %q, not %q", room.ID, roomID)
	}
	hears[dyad.PeerJoined](alice)
	net.cut()
	hears[dyad.Reconnecting](bob)
	if back := hears[dyad.Reconnected](bob); !back.Resumed || back.Room.ID != roomID {
		t.Errorf("Bob reconnected to %+v", back)
	}
	bob.succeeds(bob.SendOffer(bob.ctx, "v=0"))
	hears[dyad.Offer](alice)
}
