package dyad_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

// reconnecting returns a connection that was in a room when its network broke, and how often it
// has asked source. source gets the number of the call, from 1, and a good token.
func reconnecting(
	t *testing.T, source func(number int32, jwt string) (string, error), options ...dyad.Option,
) (*end, *atomic.Int32) {
	t.Helper()
	here := serve(t)
	net := through(t, here.address)
	jwt := token(t, "alice")
	asked := new(atomic.Int32)
	alice := dialWith(t, net.address, func(context.Context) (string, error) {
		return source(asked.Add(1), jwt)
	}, options...)
	alice.creates()
	net.cut()
	hears[dyad.Reconnecting](alice)
	return alice, asked
}

func TestDialRefusesArgumentsThatCannotWork(t *testing.T) {
	for _, bad := range []struct {
		target string
		token  dyad.TokenSource
		says   string
	}{
		{"localhost:50051", nil, "TokenSource"},
		{"", dyad.Token("x"), "target"},
		{"https://calls.example.com", dyad.Token("x"), "URL"},
	} {
		_, err := dyad.Dial(bad.target, bad.token)
		if err == nil || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("Dial(%q): %v", bad.target, err)
		}
	}
}

func TestTheTokenSourcesOwnErrorIsReported(t *testing.T) {
	failure := errors.New("the user is not signed in")
	alice := dialWith(t, "127.0.0.1:1", func(context.Context) (string, error) { return "", failure })
	if _, err := alice.Create(alice.ctx); !errors.Is(err, failure) {
		t.Errorf("it returned %v", err)
	}
}

func TestAfterGivingUpTheTokenSourcesErrorIsTheCause(t *testing.T) {
	t.Parallel()
	failure := errors.New("the user is not signed in")
	alice, _ := reconnecting(t, func(number int32, jwt string) (string, error) {
		if number == 1 {
			return jwt, nil
		}
		return "", failure
	}, dyad.WithGiveUpAfter(time.Second))
	err := alice.hearsEnd()
	var ended *dyad.Ended
	if !errors.Is(err, failure) || !errors.As(err, &ended) || !errors.Is(ended.Cause, failure) {
		t.Fatalf("it ended with %v", err)
	}
	if !strings.Contains(err.Error(), failure.Error()) || !errors.Is(err, dyad.ErrUnavailable) {
		t.Errorf("it says %q", err)
	}
	if err := alice.State().Err; !errors.Is(err, failure) {
		t.Errorf("the state's error is %v", err)
	}
}

func TestATokenSourceWithoutATokenEndsTheConnection(t *testing.T) {
	t.Parallel()
	alice, asked := reconnecting(t, func(number int32, jwt string) (string, error) {
		if number == 1 {
			return jwt, nil
		}
		return "", nil
	})
	alice.hearsEndFor(dyad.ErrUnauthenticated)
	if n := asked.Load(); n != 3 {
		t.Errorf("it was asked %d times", n)
	}
}

func TestItGivesUpIfTheTokenSourceNeverAnswers(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	alice, asked := reconnecting(t, func(number int32, jwt string) (string, error) {
		if number > 1 {
			<-release
		}
		return jwt, nil
	}, dyad.WithGiveUpAfter(time.Second))
	alice.hearsEndFor(dyad.ErrUnavailable)
	if n := asked.Load(); n != 2 {
		t.Errorf("it was asked %d times, though the second had not returned", n)
	}
}
