package dyad_test

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

// front is a proxy whose back end is away: it answers every request with a status and HTML.
type front struct {
	address string
	asked   atomic.Int32
	enough  chan struct{}
}

// answering returns a front. Its channel enough is closed when it has answered so often.
func answering(t *testing.T, code int, times int32) *front {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{address: listener.Addr().String(), enough: make(chan struct{})}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "text/html")
		w.WriteHeader(code)
		_, _ = w.Write([]byte("<h1>nothing here</h1>"))
		if f.asked.Add(1) == times {
			close(f.enough)
		}
	})
	plain := &http.Protocols{}
	plain.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: plain}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return f
}

func TestAFrontThatAnswersHTMLForAWhileIsABrokenConnection(t *testing.T) {
	for _, code := range []int{200, 401, 403, 404, 405, 500, 502, 503} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			t.Parallel()
			here := serve(t)
			away := answering(t, code, 4)
			net := through(t, here.address)
			alice, bob, _ := pair(t, net.address, here.address)
			net.route(away.address)
			net.cut()
			hears[dyad.Reconnecting](alice)
			select {
			case <-away.enough:
			case <-time.After(patience):
				t.Fatal("it did not come back often enough")
			}
			net.route(here.address)
			net.cut()
			if !hears[dyad.Reconnected](alice).Resumed {
				t.Error("the session was not resumed")
			}
			bob.offers("v=0")
			alice.hearsOffer("v=0")
		})
	}
}

func TestBeforeTheFirstRoomAFrontThatAnswersHTMLIsReportedAtOnce(t *testing.T) {
	away := answering(t, http.StatusForbidden, 1)
	alice := dialWith(t, away.address, dyad.Token("x"))
	if _, err := alice.Create(alice.ctx); !errors.Is(err, dyad.ErrForbidden) {
		t.Errorf("it returned %v", err)
	}
}
