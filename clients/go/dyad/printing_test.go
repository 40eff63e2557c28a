package dyad_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

const private = "hidden@example.com"

func TestNothingPersonalIsPrinted(t *testing.T) {
	who := dyad.Participant{UserID: "alice", Email: private}
	room := dyad.Room{ID: nowhere, Peer: &who}
	for _, value := range []any{
		who, &who, room, &room,
		dyad.PeerJoined{Participant: who},
		dyad.PeerLeft{Participant: who, Reason: dyad.DepartureLeft},
		dyad.Offer{SDP: private, Sender: who},
		dyad.Answer{SDP: private, Sender: who},
		dyad.Candidate{Candidate: private, UsernameFragment: pointer(private), Sender: who},
		&dyad.Candidate{Candidate: private, Sender: who},
		dyad.Reconnected{Room: room},
		[]dyad.Event{dyad.Offer{SDP: private, Sender: who}, dyad.PeerJoined{Participant: who}},
		map[string]dyad.Participant{"peer": who},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			if said := fmt.Sprintf(verb, value); strings.Contains(said, private) ||
				strings.Contains(said, fmt.Sprintf("%x", private)) {
				t.Errorf("%s of a %T is %s", verb, value, said)
			}
		}
	}
}

func TestNothingPersonalIsLoggedByAHandler(t *testing.T) {
	who := dyad.Participant{UserID: "alice", Email: private}
	for _, value := range []any{
		who, dyad.Room{Peer: &who},
		dyad.PeerJoined{Participant: who},
		dyad.PeerLeft{Participant: who},
		dyad.Offer{SDP: private, Sender: who},
		dyad.Answer{SDP: private, Sender: who},
		dyad.Candidate{Candidate: private, Sender: who},
		dyad.Reconnected{Room: dyad.Room{Peer: &who}},
	} {
		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, nil)).Info("heard", "event", value)
		slog.New(slog.NewTextHandler(&out, nil)).Info("heard", "event", value)
		if strings.Contains(out.String(), private) || !strings.Contains(out.String(), "alice") {
			t.Errorf("the log of a %T is %s", value, out.String())
		}
	}
}

// logged is a log that several goroutines write.
type logged struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(text)
}

func TestTheLogTellsTheCallAndNothingPersonal(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	said := &logged{}
	log := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	alice, bob, roomID := pair(t, net.address, here.address, dyad.WithLogger(log))
	alice.offers("the SDP of Alice")
	alice.succeeds(alice.SendCandidate(alice.ctx, dyad.Candidate{Candidate: "a candidate of Alice"}))
	bob.hearsOffer("the SDP of Alice")
	net.cut()
	hears[dyad.Reconnecting](alice)
	hears[dyad.Reconnected](alice)
	alice.succeeds(alice.Close())
	bob.succeeds(bob.Close())
	text := said.out.String()
	for _, due := range []string{"connecting", "entered a room", "reconnecting\" try=1", "reconnected", "left the room"} {
		if !strings.Contains(text, due) {
			t.Errorf("the log lacks %q:\n%s", due, text)
		}
	}
	for _, private := range []string{token(t, "alice"), "alice@example.com", "of Alice", roomID, "bob"} {
		if strings.Contains(text, private) {
			t.Errorf("the log has %q:\n%s", private, text)
		}
	}
}
