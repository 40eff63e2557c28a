package dyad_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

const nowhere = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"

func pointer[T any](value T) *T { return &value }

func TestACallFromTheRoomToTheHangUp(t *testing.T) {
	here := serve(t)
	alice, bob := dial(t, here.address, "alice"), dial(t, here.address, "bob")
	created := alice.creates()
	joined := bob.joins(created.ID)
	if created.Polite || created.Peer != nil {
		t.Errorf("Alice created %+v", created)
	}
	who := dyad.Participant{UserID: "alice", Email: "alice@example.com"}
	if !joined.Polite || joined.ID != created.ID || joined.Peer == nil || *joined.Peer != who {
		t.Errorf("Bob joined %+v", joined)
	}
	if heard := hears[dyad.PeerJoined](alice); heard.Participant.UserID != "bob" {
		t.Errorf("Alice heard %+v", heard)
	}

	alice.succeeds(alice.SendOffer(alice.ctx, "v=0 ☎"))
	if heard := hears[dyad.Offer](bob); heard != (dyad.Offer{RoomID: created.ID, SDP: "v=0 ☎", Sender: who}) {
		t.Errorf("Bob heard %+v", heard)
	}
	bob.succeeds(bob.SendAnswer(bob.ctx, "v=0 answer"))
	if heard := hears[dyad.Answer](alice); heard.SDP != "v=0 answer" {
		t.Errorf("Alice heard %+v", heard)
	}
	for _, sent := range []dyad.Candidate{
		{Candidate: "candidate:1", SDPMid: pointer(""), SDPMLineIndex: pointer(uint32(0)), UsernameFragment: pointer("u")},
		{Candidate: "candidate:2", SDPMLineIndex: pointer(uint32(7))},
		{},
	} {
		alice.succeeds(alice.SendCandidate(alice.ctx, sent))
		sent.RoomID, sent.Sender = created.ID, who
		if heard := hears[dyad.Candidate](bob); !reflect.DeepEqual(heard, sent) {
			t.Errorf("Bob heard %s, and Alice had sent %s", heard.Candidate, sent.Candidate)
		}
	}

	alice.succeeds(alice.Leave(alice.ctx))
	if err := alice.hearsEnd(); err != nil {
		t.Errorf("Alice left, and heard %v", err)
	}
	if heard := hears[dyad.PeerLeft](bob); heard != (dyad.PeerLeft{RoomID: created.ID, Participant: who, Reason: dyad.DepartureLeft}) {
		t.Errorf("Bob heard %+v", heard)
	}
	again := alice.joins(created.ID)
	if again.Peer == nil || again.Peer.UserID != "bob" {
		t.Errorf("Alice rejoined %+v", again)
	}
}

func TestARefusalHasItsCode(t *testing.T) {
	here := serve(t)
	alice, bob, roomID := pair(t, here.address, here.address)
	carol := dial(t, here.address, "carol")
	_, err := carol.Join(carol.ctx, roomID)
	if said := "dyad: refused: ROOM_FULL: "; !errors.Is(err, dyad.ErrRoomFull) || !strings.HasPrefix(err.Error(), said) {
		t.Errorf("a third participant in the room: %v", err)
	}
	if _, err := carol.Join(carol.ctx, nowhere); !errors.Is(err, dyad.ErrRoomNotFound) {
		t.Errorf("a room that does not exist: %v", err)
	}
	if err := carol.SendOffer(carol.ctx, "v=0"); !errors.Is(err, dyad.ErrNotInRoom) {
		t.Errorf("an offer without a room: %v", err)
	}
	if _, err := alice.Create(alice.ctx); !errors.Is(err, dyad.ErrInvalidFrame) {
		t.Errorf("a second room: %v", err)
	}
	bob.succeeds(bob.Leave(bob.ctx))
	hears[dyad.PeerLeft](alice)
	alice.succeeds(alice.SendOffer(alice.ctx, "v=0"))
	if refused := hears[*dyad.Refused](alice); refused.Code != dyad.ErrPeerAbsent {
		t.Errorf("an offer without a peer: %v", refused)
	}
	// No connection has ended.
	carol.joins(roomID)
	hears[dyad.PeerJoined](alice)
}

func TestAnInvalidTokenEndsTheConnection(t *testing.T) {
	here := serve(t)
	for _, bad := range []string{"nonsense", "", "a.b.c", "a\nb"} {
		alice := dialWith(t, here.address, dyad.Token(bad))
		_, err := alice.Create(alice.ctx)
		var ended *dyad.Ended
		if !errors.Is(err, dyad.ErrUnauthenticated) || !errors.As(err, &ended) || ended.Retryable() {
			t.Errorf("the token %q: %v", bad, err)
		}
		if err := alice.hearsEnd(); !errors.Is(err, dyad.ErrUnauthenticated) {
			t.Errorf("the token %q: the events end with %v", bad, err)
		}
	}
}

func TestAServerOutOfReachIsReportedAtOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	alice := dialWith(t, address, dyad.Token("x"))
	silent, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := alice.Create(silent); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that says nothing: %v", err)
	}
	_ = listener.Close()
	_, err = alice.Create(alice.ctx)
	var ended *dyad.Ended
	if !errors.Is(err, dyad.ErrUnavailable) || !errors.As(err, &ended) || !ended.Retryable() {
		t.Errorf("no server: %v", err)
	}
}

func TestAContextEndsTheMethodAndNotTheConnection(t *testing.T) {
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for event, err := range bob.Events(short) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("heard %#v, %v", event, err)
		}
	}
	alice.succeeds(alice.SendOffer(alice.ctx, "v=0"))
	hears[dyad.Offer](bob)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bob.Leave(over); !errors.Is(err, context.Canceled) {
		t.Errorf("leaving with a context that is over: %v", err)
	}
}

func TestSeveralGoroutinesMaySendAtOnce(t *testing.T) {
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	var senders sync.WaitGroup
	for range 8 {
		senders.Add(1)
		go func() {
			defer senders.Done()
			for n := range 25 {
				if err := alice.SendCandidate(alice.ctx, candidate("alice", n)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range 200 {
		hears[dyad.Candidate](bob)
	}
	senders.Wait()
}

func TestMoreFramesThanMayBeUnacknowledgedAllArrive(t *testing.T) {
	here := serve(t, "--max-frames-per-second", "10000", "--max-waiting-frames", "10000",
		"--max-waiting-bytes", "10000000", "--max-bytes-per-second", "1000000")
	alice, bob, _ := pair(t, here.address, here.address, fast)
	const many = 2000
	for n := range many {
		alice.succeeds(alice.SendCandidate(alice.ctx, candidate("alice", n)))
	}
	for n := range many {
		if heard := hears[dyad.Candidate](bob); heard.Candidate != candidate("alice", n).Candidate {
			t.Fatalf("number %d is %s", n, heard.Candidate)
		}
	}
}

func TestAConnectionMayUseTLS(t *testing.T) {
	certificate, key, pool := selfSigned(t)
	here := serve(t, "--tls-cert", certificate, "--tls-key", key)
	secure := dyad.WithTransportCredentials(tlsWith(&tls.Config{RootCAs: pool}))
	alice := dial(t, "localhost:"+here.port(), "alice", secure)
	alice.creates()
	stranger := dyad.WithTransportCredentials(tlsWith(&tls.Config{}))
	mallory := dialWith(t, "localhost:"+here.port(), dyad.Token("x"), stranger)
	_, err := mallory.Create(mallory.ctx)
	if !errors.Is(err, dyad.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that is not trusted: %v", err)
	}
}
