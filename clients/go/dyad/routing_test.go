package dyad_test

import (
	"slices"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

func TestEveryConnectionCarriesTheKeyOfItsRoom(t *testing.T) {
	here := serve(t)
	way := relayed(t, here.address)
	net := through(t, way.address)
	alice, _, roomID := pair(t, net.address, way.address)
	net.cut()
	hears[dyad.Reconnecting](alice)
	if !hears[dyad.Reconnected](alice).Resumed {
		t.Error("the session was not resumed")
	}
	key := roomID[len(roomID)-8:]
	if keys := way.keysSeen(); !slices.Equal(keys, []string{key, key, key}) {
		t.Errorf("room %s was entered with %q", roomID, keys)
	}
}
