package dyad_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

func TestWithoutResumeABrokenConnectionIsOver(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice, bob, _ := pair(t, net.address, here.address, dyad.WithoutResume())
	net.cut()
	alice.hearsEndFor(dyad.ErrUnavailable)
	if heard := hears[dyad.PeerLeft](bob); heard.Reason != dyad.DepartureDisconnected {
		t.Errorf("Bob heard %+v", heard)
	}
}

func TestABrokenConnectionIsOverIfTheServerReservesNoSeat(t *testing.T) {
	t.Parallel()
	here := serve(t, "--resume-grace", "0")
	net := through(t, here.address)
	alice, _, _ := pair(t, net.address, here.address)
	net.cut()
	alice.hearsEndFor(dyad.ErrUnavailable)
}

func TestEachTryAsksForAToken(t *testing.T) {
	t.Parallel()
	alice, asked := reconnecting(t, func(number int32, jwt string) (string, error) {
		switch number {
		case 2:
			return "", errors.New("the network is down for the app too")
		case 3:
			return "expired", nil
		default:
			return jwt, nil
		}
	})
	if !hears[dyad.Reconnected](alice).Resumed {
		t.Error("the session was not resumed")
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("the app was asked %d times", n)
	}
}

func TestASecondRefusedTokenIsFinal(t *testing.T) {
	t.Parallel()
	alice, asked := reconnecting(t, func(number int32, jwt string) (string, error) {
		if number > 1 {
			return "expired", nil
		}
		return jwt, nil
	})
	if err := alice.hearsEnd(); !errors.Is(err, dyad.ErrUnauthenticated) || asked.Load() != 3 {
		t.Errorf("after %d tokens it ended with %v", asked.Load(), err)
	}
}

func TestItGivesUpAfterTheTimeThatTheAppChose(t *testing.T) {
	t.Parallel()
	here := serve(t)
	net := through(t, here.address)
	alice, _, _ := pair(t, net.address, here.address, dyad.WithGiveUpAfter(time.Second))
	alice.loses(net)
	alice.hearsEndFor(dyad.ErrUnavailable)
}
