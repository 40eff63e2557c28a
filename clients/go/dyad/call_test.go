package dyad_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"reflect"
	"runtime"
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
	if heard := hears[dyad.Offer](bob); heard != (dyad.Offer{SDP: "v=0 ☎", Sender: who}) {
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
		sent.Sender = who
		if heard := hears[dyad.Candidate](bob); !reflect.DeepEqual(heard, sent) {
			t.Errorf("Bob heard %+v, and Alice had sent %+v", heard, sent)
		}
	}

	alice.succeeds(alice.Leave(alice.ctx))
	if err := alice.hearsEnd(); err != nil {
		t.Errorf("Alice left, and heard %v", err)
	}
	if heard := hears[dyad.PeerLeft](bob); heard != (dyad.PeerLeft{Participant: who, Reason: dyad.DepartureLeft}) {
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
	for _, bad := range []string{"nonsense", "", "a.b.c"} {
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
	if _, err := dyad.Dial(t.Context(), here.address, dyad.Token("a\nb")); !errors.Is(err, dyad.ErrUnauthenticated) {
		t.Errorf("a token of two lines: %v", err)
	}
	failure := errors.New("the user is not signed in")
	source := func(context.Context) (string, error) { return "", failure }
	if _, err := dyad.Dial(t.Context(), here.address, source); !errors.Is(err, failure) {
		t.Errorf("no token: %v", err)
	}
}

func TestDialReportsAServerOutOfReach(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	silent, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := dyad.Dial(silent, address, dyad.Token("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that says nothing: %v", err)
	}
	_ = listener.Close()
	_, err = dyad.Dial(t.Context(), address, dyad.Token("x"))
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

func TestClosingLooksLikeALostConnection(t *testing.T) {
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address, dyad.WithoutResume())
	alice.succeeds(alice.Close())
	if err := alice.hearsEnd(); err != nil {
		t.Errorf("Alice closed, and heard %v", err)
	}
	if err := alice.SendOffer(alice.ctx, "v=0"); !errors.Is(err, dyad.ErrClosed) {
		t.Errorf("an offer after that: %v", err)
	}
	if heard := hears[dyad.PeerLeft](bob); heard.Reason != dyad.DepartureDisconnected {
		t.Errorf("Bob heard %+v", heard)
	}
}

func TestClosingDeliversWhatWasSentBefore(t *testing.T) {
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	for n := range 100 {
		alice.succeeds(alice.SendCandidate(alice.ctx, candidate("alice", n)))
	}
	alice.succeeds(alice.Close())
	for n := range 100 {
		if heard := hears[dyad.Candidate](bob); heard.Candidate != candidate("alice", n).Candidate {
			t.Fatalf("number %d is %s", n, heard.Candidate)
		}
	}
}

func TestClosingLeavesNothingRunning(t *testing.T) {
	here := serve(t)
	alice := dial(t, here.address, "alice")
	alice.creates()
	alice.succeeds(alice.Close())
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if strings.Contains(string(stacks), "dyad.(*Conn).") {
		t.Errorf("still running:\n%s", stacks)
	}
}

// A write on a stream that has ended does not learn why it ended.
func TestAnAppThatIsSendingLearnsTheServersStatus(t *testing.T) {
	here := serve(t, "--max-frame-bytes", "4096")
	for range 20 {
		alice, bob, _ := pair(t, here.address, here.address, dyad.WithoutResume())
		var err error
		for err == nil {
			if err = alice.SendCandidate(alice.ctx, candidate("alice", 1)); err == nil {
				err = alice.SendOffer(alice.ctx, strings.Repeat("x", 5000))
			}
		}
		var ended *dyad.Ended
		if !errors.Is(err, dyad.ErrOverloaded) || !errors.As(err, &ended) || !ended.Retryable() {
			t.Fatalf("sending ended with %v", err)
		}
		if err := alice.hearsEnd(); !errors.Is(err, dyad.ErrOverloaded) {
			t.Fatalf("the events ended with %v", err)
		}
		bob.succeeds(bob.Close())
	}
}

func TestSeveralGoroutinesMaySendAtOnce(t *testing.T) {
	here := serve(t)
	alice, bob, _ := pair(t, here.address, here.address)
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for n := range 25 {
				if err := alice.SendCandidate(alice.ctx, candidate("alice", n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		hears[dyad.Candidate](bob)
	}
	senders.Wait()
}

func TestMoreFramesThanMayBeUnacknowledgedAllArrive(t *testing.T) {
	here := serve(t, "--max-frames-per-second", "10000", "--max-waiting-frames", "10000",
		"--max-waiting-bytes", "10000000")
	alice, bob, _ := pair(t, here.address, here.address)
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
	_, err := dyad.Dial(t.Context(), "localhost:"+here.port(), dyad.Token("x"), stranger)
	if !errors.Is(err, dyad.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that is not trusted: %v", err)
	}
}
